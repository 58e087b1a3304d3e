package eventline

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/truth"
	"eventline/internal/verify"
)

// answerKey writes a log's key and its digests to a folder and returns the path.
func answerKey(t *testing.T, lines ...string) string {
	t.Helper()
	rec := truth.NewRecorder(time.Minute, 0)
	var digests []byte
	for _, line := range lines {
		rec.Text([]byte(line+"\n"), 1)
		digests = binary.LittleEndian.AppendUint64(digests, truth.Digest([]byte(line+"\n")))
	}
	key := rec.Key()
	key.Complete, key.Digests = true, "key.lines"
	var b bytes.Buffer
	if err := key.Encode(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := errors.Join(os.WriteFile(path, b.Bytes(), 0o600), os.WriteFile(path+".lines", digests, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventline runs the command and returns its exit code and what it printed.
func eventline(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := daemon.OS()
	env.Stdout, env.Stderr = &out, &errs
	code = daemon.Execute(ctx, Command(), args, env)
	return code, out.String(), errs.String()
}

func TestVerifyEndsWithItsVerdict(t *testing.T) {
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", 1)
	kafkatest.Produce(t, k.Addr, "events", 0, `{"a":1}`, `{"a":2}`)
	ctx := context.Background()

	code, out, errs := eventline(t, ctx, "verify", "--brokers", k.Addr, "--truth", answerKey(t, `{"a":1}`, `{"a":2}`))
	if code != daemon.ExitOK || !strings.Contains(out, "all right") || !strings.Contains(out, "windows: not checked (no topic events.buckets)") {
		t.Errorf("equal: exit code %d, want 0:\n%s%s", code, out, errs)
	}
	different := answerKey(t, `{"a":1}`, `{"a":3}`)
	if code, out, errs = eventline(t, ctx, "verify", "--brokers", k.Addr, "--truth", different); code != daemon.ExitDegraded || errs != "" {
		t.Errorf("different: exit code %d, want 3:\n%s%s", code, out, errs)
	}
	code, out, _ = eventline(t, ctx, "verify", "--brokers", k.Addr, "--truth", different, "--json")
	var rep verify.Report
	if err := json.Unmarshal([]byte(out), &rep); err != nil || code != daemon.ExitDegraded || rep.Equal || rep.Lines[verify.Altered].Count != 1 {
		t.Errorf("exit code %d, %v, want 3 and a report with an altered line: %s", code, err, out)
	}
}

func TestVerifySaysWhatItCannotUse(t *testing.T) {
	k := kafkatest.Start(t)
	good := answerKey(t, "{}")
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte(`{"version":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no key", nil, daemon.ExitUsage, `required flag(s) "truth" not set`},
		{"a key that is not there", []string{"--truth", "/nowhere"}, daemon.ExitConfig, "read answer key: open /nowhere: no such file"},
		{"a key of another version", []string{"--truth", bad}, daemon.ExitConfig, "its version is 7"},
		{"no time to wait", []string{"--truth", good, "--timeout", "0s"}, daemon.ExitConfig, "--timeout: must be above 0"},
		{"a topic that has no name", []string{"--truth", good, "--buckets-topic", "a b"}, daemon.ExitConfig, "--buckets-topic: must be of letters"},
		{"an unknown mechanism", []string{"--truth", good, "--sasl-mechanism", "GSSAPI"}, daemon.ExitConfig, "GSSAPI"},
		{"no topic", []string{"--truth", good, "--brokers", k.Addr}, daemon.ExitFailed, `verify: read topic "events": there is no such topic`},
		{"nobody there", []string{"--truth", good, "--brokers", "127.0.0.1:1"}, daemon.ExitFailed, "connection refused"},
	} {
		code, out, errs := eventline(t, context.Background(), append([]string{"verify"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", c.name, code, c.code, c.want, out, errs)
		}
	}
}

func TestVerifySaysThatItWasInterrupted(t *testing.T) {
	k := kafkatest.Start(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("received interrupt"))
	code, _, errs := eventline(t, ctx, "verify", "--brokers", k.Addr, "--truth", answerKey(t, "{}"), "--wait")
	if want := "eventline: verify topic \"events\": interrupted, there is no verdict\n"; code != daemon.ExitFailed || errs != want {
		t.Errorf("exit code %d, want 1; said %q, want %q", code, errs, want)
	}
}

func TestVerifyRefusesAMechanismItsClientHasNot(t *testing.T) {
	cfg := kafka.DefaultConfig()
	cfg.SASL.Mechanism = "OAUTHBEARER"
	if _, err := connection(cfg); err == nil || !strings.Contains(err.Error(), "sasl.mechanism: OAUTHBEARER") {
		t.Errorf("got %v, want the mechanism named", err)
	}
}

func TestVerifyReadsTheFilesOfTLS(t *testing.T) {
	cfg := kafka.DefaultConfig()
	cfg.TLS.Enabled = true
	cfg.TLS.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if _, err := connection(cfg); err == nil || !strings.HasPrefix(err.Error(), "tls.ca_file: ") {
		t.Errorf("no file: got %v", err)
	}
	if err := os.WriteFile(cfg.TLS.CAFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("tls.ca_file: no PEM certificate in %s", cfg.TLS.CAFile)
	if _, err := connection(cfg); err == nil || err.Error() != want {
		t.Errorf("no certificate: got %v, want %s", err, want)
	}
	cfg.TLS.CAFile, cfg.TLS.ServerName = "", "kafka1"
	if c, err := connection(cfg); err != nil || c.TLS == nil || c.TLS.ServerName != "kafka1" {
		t.Errorf("got %+v, %v; want TLS for kafka1", c.TLS, err)
	}
}
