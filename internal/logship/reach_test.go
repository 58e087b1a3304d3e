package logship

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
)

// checkConnected is the command with --connect, as typed.
func checkConnected(broker, topic string) (code int, out string) {
	var stdout, stderr bytes.Buffer
	args := []string{"check", "--connect", "--brokers", broker, "--topic", topic}
	code = daemon.Execute(context.Background(), Command(), args, daemon.Environment{
		Stdout: &stdout, Stderr: &stderr, LookupEnv: func(string) (string, bool) { return "", false },
	})
	return code, stdout.String() + stderr.String()
}

func TestCheckAsksKafka(t *testing.T) {
	k := fakeBroker(t)
	kafkatest.CreateTopic(t, k.Addr, "compacted", 1, "cleanup.policy", "compact")
	for _, c := range []struct {
		name, addr, topic string
		code              int
		says              string
	}{
		{"all is well", k.Addr, "events", 0, "every right is given"},
		{"topic missing", k.Addr, "none", 78, "eventline topics create --topic none"},
		{"compacted", k.Addr, "compacted", 78, "cleanup.policy=delete"},
		{"nobody there", "127.0.0.1:1", "events", 1, "connection refused"},
	} {
		if code, out := checkConnected(c.addr, c.topic); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: got exit %d, saying %q; want %d and %q", c.name, code, out, c.code, c.says)
		}
	}
}
