package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"
)

func TestLogIsJSONOnAPipe(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(DefaultLog(), Environment{Stderr: &out, LookupEnv: os.LookupEnv}, "demo")
	if err != nil {
		t.Fatal(err)
	}
	log.Warn().Int("unacked", 3).Err(errors.New("refused")).Msg("kafka unreachable")
	log.Debug().Msg("not wanted")
	got := out.String()
	for _, want := range []string{`"level":"warn"`, `"unacked":3`, `"err":"refused"`, `"message":"kafka unreachable"`} {
		if !strings.Contains(got, want) {
			t.Errorf("log: got %q, want %s in it", got, want)
		}
	}
	if strings.Contains(got, "not wanted") {
		t.Errorf("log: got a debug line at level info: %q", got)
	}
}

func TestConsoleHasNoColourWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(LogConfig{Level: "info", Format: "console"}, Environment{Stderr: &out, LookupEnv: os.LookupEnv}, "demo")
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Str("path", "/x").Msg("log rotated")
	if got := out.String(); strings.Contains(got, "\x1b[") || !strings.Contains(got, "INF log rotated path=/x") {
		t.Errorf("console: got %q", got)
	}
}

func TestJournalEntryKeepsFieldsAndShowsThem(t *testing.T) {
	var message string
	var priority journal.Priority
	var fields map[string]string
	w := &journalWriter{identifier: "demo", send: func(m string, p journal.Priority, f map[string]string) error {
		message, priority, fields = m, p, f
		return nil
	}}
	log := zerolog.New(w)
	log.Warn().Int64("unacked", 1<<60).Str("path", "/var/log/a b").Bool("once", true).Str("_x", "1").Msg("kafka unreachable")
	if want := `kafka unreachable unacked=1152921504606846976 path="/var/log/a b" once=true _x=1`; message != want {
		t.Errorf("message: got %q, want %q", message, want)
	}
	if priority != journal.PriWarning {
		t.Errorf("priority: got %d, want %d", priority, journal.PriWarning)
	}
	want := map[string]string{"UNACKED": "1152921504606846976", "PATH": "/var/log/a b", "ONCE": "true", "X_X": "1", "SYSLOG_IDENTIFIER": "demo"}
	if fmt.Sprint(fields) != fmt.Sprint(want) {
		t.Errorf("fields: got %v, want %v", fields, want)
	}
}

func TestLogGoesToStderrWhenTheJournalIsGone(t *testing.T) {
	var out bytes.Buffer
	w := &journalWriter{fallback: &out, send: func(string, journal.Priority, map[string]string) error { return errors.New("gone") }}
	log := zerolog.New(w)
	log.Error().Msg("disk full")
	if !strings.Contains(out.String(), "disk full") {
		t.Errorf("stderr: got %q, want the line", out.String())
	}
}

func TestJournalIsRecognisedByDeviceAndInode(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info := stat(t, f)
	for stream, want := range map[string]bool{
		fmt.Sprintf("%d:%d", info.Dev, info.Ino):   true,
		fmt.Sprintf("%d:%d", info.Dev, info.Ino+1): false,
		"": false,
	} {
		got := IsJournal(f, func(string) (string, bool) { return stream, true })
		if got != want {
			t.Errorf("IsJournal with JOURNAL_STREAM=%q: got %v, want %v", stream, got, want)
		}
	}
	if IsJournal(f, func(string) (string, bool) { return "", false }) {
		t.Error("IsJournal without the variable: got true")
	}
}

func TestNotifierSpeaksToTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	n := Systemd()
	n.Status("waiting")
	n.Ready("shipping")
	n.Ready("shipping")
	n.Status("shipping")
	n.Stopping("3 lines left")
	n.Stopping("")
	var nobody *Notifier
	nobody.Ready("")
	nobody.Status("")
	nobody.Stopping("")
	for _, want := range []string{"STATUS=waiting", "READY=1\nSTATUS=shipping", "STOPPING=1\nSTATUS=3 lines left"} {
		b := make([]byte, 1000)
		got, err := l.Read(b)
		if err != nil || string(b[:got]) != want {
			t.Errorf("message: got %q, %v, want %q", b[:got], err, want)
		}
	}
}

func stat(t *testing.T, f *os.File) *syscall.Stat_t {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

func TestTellSaysWhatCameSinceTheLastTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		n := NewNotifier(func(state string) { said = append(said, state) })
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		var done uint64
		n.Tell(ctx, time.Second, func() uint64 { done += 10; return done }, func(n uint64, took time.Duration) string {
			if done == 30 {
				return "" // nothing to say this time
			}
			return fmt.Sprintf("%d in %s, %d in all", n, took, done)
		})
		want := []string{"STATUS=10 in 1s, 20 in all", "STATUS=10 in 1s, 40 in all"}
		if !slices.Equal(said, want) {
			t.Errorf("said: got %q, want %q", said, want)
		}
	})
}
