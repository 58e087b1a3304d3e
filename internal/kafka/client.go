package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/rs/zerolog"

	"eventline/internal/config"
)

// Client is a cluster as seen through one Config. Its methods may be called
// from several goroutines. Connections are made when needed; Close breaks them.
type Client struct {
	cfg  Config
	log  zerolog.Logger
	conf *sarama.Config // template, copied for each connection
	tls  *tls.Config    // nil for plain text

	ctx    context.Context // ends at Close
	cancel context.CancelCauseFunc
	open   sync.WaitGroup // what Close has to wait for

	mu    sync.Mutex
	last  string   // address that answered last
	known []string // addresses the cluster has told us about
}

// Open prepares a client. It reads the password, key and CA files but does no
// network I/O, so it fails only for a configuration that can never work.
func Open(cfg Config, log zerolog.Logger) (*Client, error) {
	c := &Client{cfg: cfg, log: log}
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("open kafka client: brokers: need at least one")
	}
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_6_0_0
	conf.ClientID = cfg.ClientID
	conf.Net.MaxOpenRequests = maxInFlight
	conf.Net.DialTimeout = cfg.DialTimeout
	conf.Net.ReadTimeout = cfg.RequestTimeout
	conf.Net.WriteTimeout = cfg.RequestTimeout
	conf.Net.Proxy.Enable = true // its dialer is our only way to make the connections
	conf.Net.Proxy.Dialer = &dialer{}
	conf.Metadata.AllowAutoTopicCreation = false
	if cfg.SASL.Mechanism != "" {
		password, err := cfg.SASL.PasswordFile.Read()
		if err != nil {
			return nil, fmt.Errorf("sasl.password_file: %w", err)
		}
		useSASL(conf, cfg.SASL, password)
		if cfg.SASL.Mechanism == saslPlain && !cfg.TLS.Enabled {
			log.Warn().Msg("sasl.mechanism PLAIN without tls sends the password in clear")
		}
	}
	if cfg.TLS.Enabled {
		var err error
		if c.tls, err = cfg.TLS.Load(); err != nil {
			return nil, err
		}
	}
	if err := conf.Validate(); err != nil {
		return nil, fmt.Errorf("open kafka client: %w", err)
	}
	c.conf = conf
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	libraryLog.attach(&c.log)
	return c, nil
}

// Load reads the files that tls.* names. It says nothing of t.Enabled.
func (t TLSConfig) Load() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: no PEM certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := os.ReadFile(t.CertFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		var key config.Secret
		if key, err = t.KeyFile.Read(); err != nil {
			return nil, fmt.Errorf("tls.key_file: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, []byte(key.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// Close breaks all connections, makes calls under way fail, and returns once
// every goroutine of the client has ended. Further calls fail with net.ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock() // no new work may be counted while we wait
	c.cancel(net.ErrClosed)
	c.mu.Unlock()
	c.open.Wait()
	libraryLog.detach(&c.log)
	return nil
}

// begin counts work that Close waits for; end it with c.open.Done.
func (c *Client) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return errClosed
	}
	c.open.Add(1)
	return nil
}

// dialerFor returns a dialer whose connections end with ctx.
func (c *Client) dialerFor(ctx context.Context) *dialer {
	return &dialer{ctx: ctx, timeout: c.cfg.DialTimeout, tls: c.tls, id: c.cfg.ClientID}
}

// config returns sarama's settings for connections that end with ctx. All
// copies share one metrics registry, which stays empty (see log.go).
func (c *Client) config(ctx context.Context) *sarama.Config {
	conf := *c.conf
	conf.Net.Proxy.Dialer = c.dialerFor(ctx)
	return &conf
}

// conn is one connection to a broker.
type conn struct {
	*sarama.Broker
	dialed *oneDialer
	client *Client
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
}

// dial connects to addr and authenticates. ctx bounds that, not the connection.
func (c *Client) dial(ctx context.Context, addr string) (*conn, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	connCtx, cancel := context.WithCancel(c.ctx)
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	cn := &conn{Broker: sarama.NewBroker(addr), dialed: &oneDialer{dialer: c.dialerFor(connCtx)}, client: c, ctx: connCtx, cancel: cancel}
	conf := c.config(connCtx)
	conf.Net.Proxy.Dialer = cn.dialed
	err := cn.Open(conf)
	if err == nil {
		_, err = cn.Connected() // waits for the goroutine that Open started
	}
	if err == nil && ctx.Err() == nil {
		return cn, nil
	}
	cn.close()
	if c.conf.Net.SASL.Enable && hungUp(err) && ClassOf(err) == Other {
		// It answered the first request, so this was the authentication. Some
		// brokers hang up on a wrong password instead of saying so.
		err = errorf(Auth, addr, "broker closed the connection during authentication: it is stopping, or sasl.user or sasl.password_file is wrong%w", quiet{err})
	}
	return nil, c.explain(ctx, addr, err)
}

// raw is the connection below the library, which is only read by the library while
// it waits for an answer.
func (cn *conn) raw() net.Conn { return cn.dialed.made }

// close breaks the connection and waits until sarama has let go of it.
func (cn *conn) close() {
	cn.cancel()
	_ = cn.Close()
	cn.client.open.Done()
}

// explain turns err into an Error, unless it only says that somebody gave up.
func (c *Client) explain(ctx context.Context, addr string, err error) error {
	if c.ctx.Err() != nil {
		return errClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := classify(addr, err)
	switch {
	case c.conf.Net.SASL.Enable && errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		if offers := c.dialerFor(ctx).mechanisms(addr); len(offers) > 0 {
			return errorf(Auth, addr, "broker does not offer sasl.mechanism %s, but %v%w", c.cfg.SASL.Mechanism, offers, quiet{err})
		}
	case e.Class == Unreachable && !c.conf.Net.SASL.Enable && hungUp(err):
		// A connection lost at the first request may mean "who are you?".
		if want := c.dialerFor(ctx).wantsSASL(addr); want != nil {
			return want
		}
	}
	return e
}

// at runs fn on a connection to addr that ends with the call.
func (c *Client) at(ctx context.Context, addr string, fn func(*conn) error) error {
	cn, err := c.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer cn.close()
	stop := context.AfterFunc(ctx, cn.cancel)
	defer stop()
	if err := fn(cn); err != nil {
		return c.explain(ctx, addr, err)
	}
	return nil
}

// any runs fn on a connection to some broker: the one that answered last, else
// the configured ones, else those the cluster named once. It goes on to the next
// only while the way to the broker is at fault.
func (c *Client) any(ctx context.Context, fn func(*conn) error) error {
	var failed []*Error
	for _, addr := range c.addrs() {
		err := c.at(ctx, addr, fn)
		if err == nil {
			c.mu.Lock()
			c.last = addr
			c.mu.Unlock()
			return nil
		}
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		switch e.Class {
		case Unreachable, Timeout, NotKafka, TLS, Auth:
			failed = append(failed, e)
		default:
			return err
		}
	}
	return combine(failed)
}

// settled runs fn again while the cluster says that something is not in its place
// just now (a leader, a coordinator, the controller: a broker answers before it
// knows them), at most for RequestTimeout.
func (c *Client) settled(ctx context.Context, fn func() error) error {
	deadline := time.Now().Add(c.cfg.RequestTimeout)
	for n := 1; ; n++ {
		err := fn()
		wait := c.cfg.Retry.Delay(n)
		if ClassOf(err) != Leader || time.Now().Add(wait).After(deadline) {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// sleep waits, or returns why it should not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) addrs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var addrs []string
	add := func(addr string) {
		if addr != "" && !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	add(c.last)
	for _, addr := range c.cfg.Brokers {
		add(addr)
	}
	for _, addr := range c.known {
		add(addr)
	}
	return addrs
}
