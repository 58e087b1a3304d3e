package kafka

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/config"
)

// problems validates as a daemon does: the settings are inlined into its own.
func problems(t *testing.T, cfg Config) []string {
	t.Helper()
	var target struct {
		daemonSettings
	}
	target.Kafka = cfg
	err := config.New("logship", &target.daemonSettings).Read("", false, nil, nil)
	var p *config.Problems
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &p):
		t.Fatalf("Read: %v", err)
	}
	return p.Lines
}

type daemonSettings struct {
	Kafka Config `yaml:",inline"`
}

func (d *daemonSettings) Validate(r *config.Report) { d.Kafka.Validate(r) }

func TestDefaultsAreValid(t *testing.T) {
	if got := problems(t, DefaultConfig()); got != nil {
		t.Errorf("DefaultConfig has problems: %q", got)
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	file := writeFile(t, "something.pem", "x")
	dir := t.TempDir()
	none := filepath.Join(dir, "none.pem")
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want []string
	}{
		{"no broker at all", func(c *Config) { c.Brokers = nil }, []string{"brokers: need at least one"}},
		{"addresses that are none", func(c *Config) {
			c.Brokers = []string{"kafka", "kafka://h:1", ":9092", "h:0", "h:http", "h:70000", "[::1]:9092", "ok:1", "a b:1"}
		}, []string{
			`brokers[0]: must be host:port, got "kafka"`,
			`brokers[1]: must be host:port without a scheme, got "kafka://h:1"`,
			`brokers[2]: must be host:port, got ":9092"`,
			`brokers[3]: port must be 1 to 65535, got "0"`,
			`brokers[4]: port must be 1 to 65535, got "http"`,
			`brokers[5]: port must be 1 to 65535, got "70000"`,
			`brokers[8]: must be host:port, got "a b:1"`,
		}},
		{"times below zero", func(c *Config) { c.DialTimeout, c.RequestTimeout = 0, -time.Second }, []string{
			"dial_timeout: must be above 0, got 0s",
			"request_timeout: must be at least 1ms, got -1s",
		}},
		{"a back-off that shrinks", func(c *Config) { c.Retry = Backoff{time.Second, time.Millisecond, 0.5} }, []string{
			"retry.max: must be at least retry.initial (1s), got 1ms",
			"retry.multiplier: must be 1 or more, got 0.5",
		}},
		{"a back-off that is none", func(c *Config) { c.Retry = Backoff{Multiplier: math.NaN()} }, []string{
			"retry.initial: must be above 0, got 0s",
			"retry.multiplier: must be 1 or more, got NaN",
		}},
		{"files without TLS", func(c *Config) { c.TLS = TLSConfig{CAFile: file, ServerName: "h"} }, []string{
			"tls.ca_file: has no effect while tls.enabled is false",
			"tls.server_name: has no effect while tls.enabled is false",
		}},
		{"files that are not there", func(c *Config) {
			c.TLS = TLSConfig{Enabled: true, CAFile: none, CertFile: "client.pem", KeyFile: config.SecretFile(dir)}
		}, []string{
			"tls.ca_file: no such file: " + none,
			`tls.cert_file: must be an absolute path, got "client.pem"`,
			"tls.key_file: is a directory: " + dir,
		}},
		{
			"a certificate without its key", func(c *Config) { c.TLS = TLSConfig{Enabled: true, CertFile: file} },
			[]string{"tls.key_file: is needed beside tls.cert_file"},
		},
		{
			"a key without its certificate", func(c *Config) { c.TLS = TLSConfig{Enabled: true, KeyFile: config.SecretFile(file)} },
			[]string{"tls.cert_file: is needed beside tls.key_file"},
		},
		{
			"a mechanism nobody knows", func(c *Config) {
				c.SASL = SASLConfig{Mechanism: "scram", User: "me", PasswordFile: config.SecretFile(file)}
			},
			[]string{`sasl.mechanism: must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, got "scram"`},
		},
		{"nobody to log in", func(c *Config) { c.SASL.Mechanism = saslPlain }, []string{
			"sasl.user: is needed with sasl.mechanism",
			"sasl.password_file: is needed with sasl.mechanism",
		}},
		{"somebody without a mechanism", func(c *Config) { c.SASL = SASLConfig{User: "me", PasswordFile: "credential"} }, []string{
			"sasl.user: has no effect without sasl.mechanism",
			"sasl.password_file: has no effect without sasl.mechanism",
		}},
		{"a password file that is a relative path", func(c *Config) {
			c.SASL = SASLConfig{Mechanism: saslPlain, User: "me", PasswordFile: "secret/file"}
		}, []string{`sasl.password_file: must be an absolute path or the name of a credential, got "secret/file"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			if got := problems(t, cfg); !slices.Equal(got, tt.want) {
				t.Errorf("problems:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
			}
		})
	}
}

func TestOpenRefusesWhatCanNeverWork(t *testing.T) {
	file := writeFile(t, "something.pem", "no certificate")
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"no broker", func(c *Config) { c.Brokers = nil }, "brokers: need at least one"},
		{"no password", func(c *Config) {
			c.SASL = SASLConfig{Mechanism: saslPlain, User: "me", PasswordFile: "/does/not/exist"}
		}, "sasl.password_file: "},
		{"an authority that is no certificate", func(c *Config) { c.TLS = TLSConfig{Enabled: true, CAFile: file} }, "tls.ca_file: no PEM certificate"},
		{"a key that is none", func(c *Config) {
			c.TLS = TLSConfig{Enabled: true, CertFile: file, KeyFile: config.SecretFile(file)}
		}, "tls.cert_file, tls.key_file: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			if _, err := Open(cfg, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	cfg := login(t, "127.0.0.1:1", saslScram256, "me", "hunter2")
	var out strings.Builder
	c, err := Open(cfg, zerolog.New(&out).Level(zerolog.DebugLevel))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ListTopics(within(t))
	_ = c.Close()
	for what, text := range map[string]string{"log": out.String(), "error": fmt.Sprint(err), "settings": fmt.Sprintf("%+v", cfg)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the password: %s", what, text)
		}
	}
}

func TestBackoffGrowsToItsLimit(t *testing.T) {
	b := Backoff{Initial: 100 * time.Millisecond, Max: time.Second, Multiplier: 2}
	for n, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond,
		5: time.Second, 100_000: time.Second,
	} {
		if got := b.Delay(n); got != want {
			t.Errorf("Delay(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		text, _ := c.MarshalText()
		var back Codec
		if err := back.UnmarshalText(text); err != nil || back != c {
			t.Errorf("%s does not survive being written and read: %v, %v", text, back, err)
		}
	}
	if err := new(Codec).UnmarshalText([]byte("LZ4")); err == nil {
		t.Error("LZ4 in capitals is taken; names are lower-case")
	}
	if got := Codec(9).String(); got != "codec(9)" {
		t.Errorf("String of no codec: %q", got)
	}
}

func FuzzAddrProblem(f *testing.F) {
	for _, s := range []string{"h:1", "[::1]:9092", ":", "h", "kafka://h:1", "h:99999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		if problem := addrProblem(addr); problem != "" {
			return
		}
		if strings.Count(addr, ":") == 0 || strings.ContainsAny(addr, "/ ,") {
			t.Errorf("%q is taken for an address", addr)
		}
	})
}

func FuzzParseMechanisms(f *testing.F) {
	f.Add([]byte{0, 33, 0, 0, 0, 1, 0, 5, 'P', 'L', 'A', 'I', 'N'})
	f.Add([]byte{0, 33, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, answer []byte) {
		n := 0
		for _, name := range parseMechanisms(answer) {
			n += 2 + len(name)
		}
		if n > len(answer) {
			t.Errorf("%d bytes of names from %d bytes", n, len(answer))
		}
	})
}
