package kafka

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventline/internal/config"
)

// Config says how to reach a cluster. Daemons embed it with `yaml:",inline"`,
// so its keys are theirs: brokers, tls.ca_file, sasl.user, retry.max.
type Config struct {
	Brokers        []string      `yaml:"brokers" help:"addresses of one or more brokers, host:port"`
	ClientID       string        `yaml:"client_id" help:"name shown in the broker's logs, metrics and quotas"`
	TLS            TLSConfig     `yaml:"tls"`
	SASL           SASLConfig    `yaml:"sasl"`
	DialTimeout    time.Duration `yaml:"dial_timeout" help:"how long to wait for a connection and for its first answer"`
	RequestTimeout time.Duration `yaml:"request_timeout" help:"how long to wait for the answer to one request"`
	Retry          Backoff       `yaml:"retry"`
}

// TLSConfig says whether connections are encrypted and whom to trust.
type TLSConfig struct {
	Enabled    bool              `yaml:"enabled" help:"encrypt connections to the brokers"`
	CAFile     string            `yaml:"ca_file" help:"PEM file of the authorities to trust instead of the system's"`
	CertFile   string            `yaml:"cert_file" help:"PEM file of the client certificate, for brokers that ask for one"`
	KeyFile    config.SecretFile `yaml:"key_file" help:"PEM file of the client certificate's private key"`
	ServerName string            `yaml:"server_name" help:"name the broker's certificate must carry, where it differs from the address"`
}

// SASLConfig says who we are. An empty Mechanism means no SASL.
type SASLConfig struct {
	Mechanism    string            `yaml:"mechanism" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none"`
	User         string            `yaml:"user" help:"user name"`
	PasswordFile config.SecretFile `yaml:"password_file" help:"file that holds the password"`
}

// Backoff is an exponential delay between attempts: Initial, then Multiplier
// times the last one, up to Max. It never gives up.
type Backoff struct {
	Initial    time.Duration `yaml:"initial" help:"wait after the first failure"`
	Max        time.Duration `yaml:"max" help:"longest wait between two attempts"`
	Multiplier float64       `yaml:"multiplier" help:"how much longer each wait is than the one before"`
}

// The SASL mechanisms.
const (
	saslPlain    = "PLAIN"
	saslScram256 = "SCRAM-SHA-256"
	saslScram512 = "SCRAM-SHA-512"
)

// DefaultConfig is a plain-text connection to a broker on this host.
func DefaultConfig() Config {
	return Config{
		Brokers:        []string{"127.0.0.1:9092"},
		ClientID:       "eventline",
		DialTimeout:    5 * time.Second,
		RequestTimeout: 10 * time.Second,
		Retry:          Backoff{Initial: 250 * time.Millisecond, Max: 15 * time.Second, Multiplier: 2},
	}
}

// Validate reports every problem that can be seen without the network.
func (c *Config) Validate(r *config.Report) {
	if len(c.Brokers) == 0 {
		r.Addf("brokers", "need at least one")
	}
	for i, addr := range c.Brokers {
		if problem := addrProblem(addr); problem != "" {
			r.Addf(fmt.Sprintf("brokers[%d]", i), "%s", problem)
		}
	}
	if c.DialTimeout <= 0 {
		r.Addf("dial_timeout", "must be above 0, got %s", c.DialTimeout)
	}
	if c.RequestTimeout < time.Millisecond {
		r.Addf("request_timeout", "must be at least 1ms, got %s", c.RequestTimeout)
	}
	c.Retry.validate("retry", r)
	c.TLS.validate(r)
	c.SASL.validate(r)
}

// addrProblem says what is wrong with a broker address, or "".
func addrProblem(addr string) string {
	if strings.Contains(addr, "://") {
		return fmt.Sprintf("must be host:port without a scheme, got %q", addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || strings.ContainsAny(host, " \t,/") {
		return fmt.Sprintf("must be host:port, got %q", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Sprintf("port must be 1 to 65535, got %q", port)
	}
	return ""
}

func (t *TLSConfig) validate(r *config.Report) {
	for _, f := range []struct{ key, path string }{
		{"tls.ca_file", t.CAFile},
		{"tls.cert_file", t.CertFile},
	} {
		if f.path == "" {
			continue
		}
		if !filepath.IsAbs(f.path) {
			r.Addf(f.key, "must be an absolute path, got %q", f.path)
		} else if problem := fileProblem(f.path); problem != "" {
			r.Addf(f.key, "%s", problem)
		}
	}
	secretProblem("tls.key_file", t.KeyFile, r)
	if (t.CertFile == "") != (t.KeyFile == "") {
		if t.CertFile == "" {
			r.Addf("tls.cert_file", "is needed beside tls.key_file")
		} else {
			r.Addf("tls.key_file", "is needed beside tls.cert_file")
		}
	}
	if t.Enabled {
		return
	}
	for _, f := range []struct{ key, value string }{
		{"tls.ca_file", t.CAFile},
		{"tls.cert_file", t.CertFile},
		{"tls.key_file", string(t.KeyFile)},
		{"tls.server_name", t.ServerName},
	} {
		if f.value != "" {
			// Someone who names an authority means to be encrypted.
			r.Addf(f.key, "has no effect while tls.enabled is false")
		}
	}
}

func (s *SASLConfig) validate(r *config.Report) {
	secretProblem("sasl.password_file", s.PasswordFile, r)
	if s.Mechanism == "" {
		if s.User != "" {
			r.Addf("sasl.user", "has no effect without sasl.mechanism")
		}
		if s.PasswordFile != "" {
			r.Addf("sasl.password_file", "has no effect without sasl.mechanism")
		}
		return
	}
	if !slices.Contains([]string{saslPlain, saslScram256, saslScram512}, s.Mechanism) {
		r.Addf("sasl.mechanism", "must be %s, %s or %s, got %q", saslPlain, saslScram256, saslScram512, s.Mechanism)
	}
	if s.User == "" {
		r.Addf("sasl.user", "is needed with sasl.mechanism")
	}
	if s.PasswordFile == "" {
		r.Addf("sasl.password_file", "is needed with sasl.mechanism")
	}
}

// secretProblem reports a secret's file that can't work. A file that exists but
// is not ours to read is left to Open: settings are often checked by a person
// who is not the service's user.
func secretProblem(key string, f config.SecretFile, r *config.Report) {
	if problem := f.Problem(); problem != "" {
		r.Addf(key, "%s", problem)
		return
	}
	if filepath.IsAbs(string(f)) {
		if problem := fileProblem(string(f)); problem != "" {
			r.Addf(key, "%s", problem)
		}
	}
}

func fileProblem(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("no such file: %s", path)
	case err == nil && info.IsDir():
		return fmt.Sprintf("is a directory: %s", path)
	}
	return ""
}

func (b Backoff) validate(key string, r *config.Report) {
	if b.Initial <= 0 {
		r.Addf(key+".initial", "must be above 0, got %s", b.Initial)
	}
	if b.Max < b.Initial {
		r.Addf(key+".max", "must be at least %s.initial (%s), got %s", key, b.Initial, b.Max)
	}
	if !(b.Multiplier >= 1) || math.IsInf(b.Multiplier, 0) {
		r.Addf(key+".multiplier", "must be 1 or more, got %v", b.Multiplier)
	}
}

// Jittered is Delay spread by a fifth either way, so that many clients do not come
// back in one moment.
func (b Backoff) Jittered(n int) time.Duration {
	return time.Duration(float64(b.Delay(n)) * (0.8 + 0.4*rand.Float64()))
}

// Delay is the wait after the n-th failure in a row, counted from 1, without
// jitter: never below zero, never above Max.
func (b Backoff) Delay(n int) time.Duration {
	if n < 1 {
		return 0
	}
	d := float64(b.Initial) * math.Pow(b.Multiplier, float64(n-1))
	if !(d < float64(b.Max)) { // also when Pow overflowed
		return b.Max
	}
	return time.Duration(d)
}
