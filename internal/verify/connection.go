package verify

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Connection says how to reach a cluster.
type Connection struct {
	Brokers  []string // host:port
	ClientID string
	TLS      *tls.Config // nil for plain text
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for no SASL.
	Mechanism, User, Password string
	// DialTimeout bounds one attempt to connect. RequestTimeout is how long trouble may last before it
	// is an error.
	DialTimeout, RequestTimeout time.Duration
}

var mechanisms = []string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// Check says what in a connection can never work.
func (c *Connection) Check() error {
	if !slices.Contains(mechanisms, c.Mechanism) {
		return fmt.Errorf("sasl.mechanism: %s is not supported here, only %v", c.Mechanism, mechanisms[1:])
	}
	return nil
}

func (c *Connection) open() (*cluster, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.ClientID), kgo.DialTimeout(c.DialTimeout),
		kgo.RetryTimeout(c.RequestTimeout), kgo.RequestTimeoutOverhead(max(c.RequestTimeout, 100*time.Millisecond)),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.DisableClientMetrics(), // a judge tells the cluster nothing
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	switch c.Mechanism {
	case "PLAIN":
		opts = append(opts, kgo.SASL(saslplain.Auth{User: c.User, Pass: c.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism()))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("open kafka client: %w", err)
	}
	return &cluster{Client: cl, unpack: kgo.DefaultDecompressor(), patience: c.RequestTimeout}, nil
}
