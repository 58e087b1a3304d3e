package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventline/internal/config"
	"eventline/internal/kafka/kafkatest"
)

// trouble is a broker, or what stands in its place, and what a person is told.
type trouble struct {
	name  string
	setup func(t *testing.T) Config
	class Class
	says  string // part of the error, beside the address
}

func impatient(addrs ...string) Config {
	cfg := settings(addrs...)
	cfg.DialTimeout = time.Second
	return cfg
}

var troubles = []trouble{
	{"nobody listens", func(t *testing.T) Config {
		ln := listen(t)
		addr := ln.Addr().String()
		_ = ln.Close()
		return settings(addr)
	}, Unreachable, "connection refused"},

	{"no such host", func(*testing.T) Config {
		return settings("broker.invalid:9092") // reserved by RFC 2606
	}, Unreachable, "no such host"},

	{"a silent listener", func(t *testing.T) Config {
		ln := listen(t)
		serve(t, ln, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
		return impatient(ln.Addr().String())
	}, Timeout, "accepts the connection but does not answer"},

	{"a silent listener where TLS is set", func(t *testing.T) Config {
		ln := listen(t)
		serve(t, ln, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
		cfg := impatient(ln.Addr().String())
		cfg.TLS.Enabled = true
		return cfg
	}, Timeout, "does not begin TLS"},

	{"a web server", func(t *testing.T) Config {
		return impatient(webServer(t, false))
	}, NotKafka, "HTTP"},

	{"a web server where TLS is set", func(t *testing.T) Config {
		cfg := settings(webServer(t, false))
		cfg.TLS.Enabled = true
		return cfg
	}, NotKafka, "HTTP"},

	{"a web server with TLS", func(t *testing.T) Config {
		return settings(webServer(t, true))
	}, TLS, "tls.enabled: true"},

	{"a greeting of another protocol", func(t *testing.T) Config {
		ln := listen(t)
		serve(t, ln, func(nc net.Conn) {
			_, _ = nc.Write([]byte("220 mail.example.org ESMTP\r\n"))
			_, _ = io.Copy(io.Discard, nc)
		})
		return settings(ln.Addr().String())
	}, NotKafka, "not with the Kafka protocol"},

	{"a listener that hangs up", func(t *testing.T) Config {
		ln := listen(t)
		serve(t, ln, func(net.Conn) {})
		return settings(ln.Addr().String())
	}, NotKafka, "closes the connection"},

	{"TLS where the setting is plain", func(t *testing.T) Config {
		f := kafkatest.Start(t, kfake.TLS(newAuthority(t, "ca").server()))
		return settings(f.Addr)
	}, TLS, "tls.enabled: true"},

	{"plain where the setting is TLS", func(t *testing.T) Config {
		f := kafkatest.Start(t)
		cfg := settings(f.Addr)
		// kfake waits for the 369 MB that a ClientHello seems to announce.
		cfg.DialTimeout = time.Second
		cfg.TLS = TLSConfig{Enabled: true, CAFile: newAuthority(t, "ca").file}
		return cfg
	}, TLS, "tls.enabled: false"},

	{"an authority nobody knows", func(t *testing.T) Config {
		f := kafkatest.Start(t, kfake.TLS(newAuthority(t, "ca").server()))
		cfg := settings(f.Addr)
		cfg.TLS = TLSConfig{Enabled: true, CAFile: newAuthority(t, "another").file}
		return cfg
	}, TLS, "tls.ca_file"},

	{"a certificate for another name", func(t *testing.T) Config {
		ca := newAuthority(t, "ca")
		f := kafkatest.Start(t, kfake.TLS(ca.server()))
		cfg := settings(f.Addr)
		cfg.TLS = TLSConfig{Enabled: true, CAFile: ca.file, ServerName: "kafka.example.org"}
		return cfg
	}, TLS, "tls.server_name"},

	{"a certificate that has expired", func(t *testing.T) Config {
		ca := newAuthority(t, "ca")
		tmpl := template("broker")
		tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		pair, _, _ := ca.sign(tmpl)
		f := kafkatest.Start(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
		cfg := settings(f.Addr)
		cfg.TLS = TLSConfig{Enabled: true, CAFile: ca.file}
		return cfg
	}, TLS, "not valid"},

	{"a client certificate is wanted", func(t *testing.T) Config {
		cfg, _ := mutual(t)
		cfg.TLS.CertFile, cfg.TLS.KeyFile = "", ""
		return cfg
	}, TLS, "tls.cert_file"},

	{"SASL is wanted", func(t *testing.T) Config {
		f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslScram256, "me", "right"))
		return settings(f.Addr)
	}, Auth, "set sasl.mechanism"},

	{"a wrong password, SCRAM", func(t *testing.T) Config {
		f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslScram512, "me", "right"))
		return login(t, f.Addr, saslScram512, "me", "wrong-secret")
	}, Auth, "sasl.password_file"},

	{"a wrong password, PLAIN", func(t *testing.T) Config {
		f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslPlain, "me", "right"))
		return login(t, f.Addr, saslPlain, "me", "wrong-secret")
	}, Auth, "sasl.password_file"},
}

func TestDiagnoseTellsWhatStandsInTheWay(t *testing.T) {
	for _, tr := range troubles {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			cfg := tr.setup(t)
			err := Diagnose(within(t), cfg)
			check(t, "Diagnose", err, cfg, tr)
		})
	}
}

// What an operator sees in a daemon's log are the errors of ordinary calls. They
// must say the same.
func TestOrdinaryCallsTellTheSame(t *testing.T) {
	for _, tr := range troubles {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			cfg := tr.setup(t)
			_, err := open(t, cfg).Topic("events", ProduceOptions{}).Describe(within(t))
			check(t, "Partitions", err, cfg, tr)
		})
	}
}

func check(t *testing.T, call string, err error, cfg Config, want trouble) {
	t.Helper()
	wantClass(t, call, err, want.class)
	for _, part := range []string{cfg.Brokers[0], want.says} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not say %q", call, err, part)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %q shows a secret or has several lines", call, err)
	}
}

func TestDiagnoseIsContentWithGoodSettings(t *testing.T) {
	ca := newAuthority(t, "ca")
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T) Config
	}{
		{"plain", func(t *testing.T) Config { return settings(kafkatest.Start(t).Addr) }},
		{"TLS", func(t *testing.T) Config {
			f := kafkatest.Start(t, kfake.TLS(ca.server()))
			cfg := settings(f.Addr)
			cfg.TLS = TLSConfig{Enabled: true, CAFile: ca.file}
			return cfg
		}},
		{"TLS with client certificate", func(t *testing.T) Config {
			cfg, _ := mutual(t)
			return cfg
		}},
		{"PLAIN", func(t *testing.T) Config {
			f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslPlain, "me", "right"))
			return login(t, f.Addr, saslPlain, "me", "right")
		}},
		{"SCRAM-SHA-256", func(t *testing.T) Config {
			f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslScram256, "me", "right"))
			return login(t, f.Addr, saslScram256, "me", "right")
		}},
		{"SCRAM-SHA-512 over TLS", func(t *testing.T) Config {
			f := kafkatest.Start(t, kfake.TLS(ca.server()), kfake.EnableSASL(), kfake.Superuser(saslScram512, "me", "right"))
			cfg := login(t, f.Addr, saslScram512, "me", "right")
			cfg.TLS = TLSConfig{Enabled: true, CAFile: ca.file}
			return cfg
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.setup(t)
			if err := Diagnose(within(t), cfg); err != nil {
				t.Fatalf("Diagnose: %v", err)
			}
			c := open(t, cfg)
			if err := c.CreateTopic(within(t), "events", 1, 1, nil); err != nil {
				t.Fatalf("CreateTopic: %v", err)
			}
			newProducer(t, c.Topic("events", ProduceOptions{}), 0).append(0, 0, "in")
		})
	}
}

func TestOneLivingBrokerIsEnough(t *testing.T) {
	dead := listen(t)
	_ = dead.Close()
	f := kafkatest.Start(t)
	c := open(t, settings(dead.Addr().String(), f.Addr))
	if _, err := c.ListTopics(within(t)); err != nil {
		t.Errorf("ListTopics: %v", err)
	}
}

func TestEveryDeadBrokerIsNamed(t *testing.T) {
	web := webServer(t, false)
	dead := listen(t)
	_ = dead.Close()
	_, err := open(t, impatient(dead.Addr().String(), web)).ListTopics(within(t))
	// Of the two, the one that is no broker is what someone must look at.
	wantClass(t, "ListTopics", err, NotKafka)
	for _, addr := range []string{web, dead.Addr().String()} {
		if !strings.Contains(err.Error(), addr) {
			t.Errorf("%q does not name %s", err, addr)
		}
	}
}

func TestClearPasswordIsWarnedOf(t *testing.T) {
	f := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(saslPlain, "me", "right"))
	var out strings.Builder
	c, err := Open(login(t, f.Addr, saslPlain, "me", "right"), zerolog.New(&out))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if !strings.Contains(out.String(), "in clear") {
		t.Errorf("log %q has no warning", out.String())
	}
}

func login(t *testing.T, addr, mechanism, user, password string) Config {
	cfg := settings(addr)
	cfg.SASL = SASLConfig{Mechanism: mechanism, User: user, PasswordFile: config.SecretFile(writeFile(t, "password", password+"\n"))}
	return cfg
}

// mutual is a broker that wants to see a client's certificate.
func mutual(t *testing.T) (Config, *kafkatest.Fake) {
	ca := newAuthority(t, "ca")
	server := ca.server()
	server.ClientAuth = tls.RequireAndVerifyClientCert
	server.ClientCAs = x509.NewCertPool()
	server.ClientCAs.AddCert(ca.cert)
	f := kafkatest.Start(t, kfake.TLS(server))
	tmpl := template("client")
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, certFile, keyFile := ca.sign(tmpl)
	cfg := settings(f.Addr)
	cfg.TLS = TLSConfig{Enabled: true, CAFile: ca.file, CertFile: certFile, KeyFile: config.SecretFile(keyFile)}
	return cfg, f
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// serve answers each connection with handle, then closes it.
func serve(t *testing.T, ln net.Listener, handle func(net.Conn)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				handle(nc)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
}

func webServer(t *testing.T, secure bool) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = discard()
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}
