package eventgen

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// child is an eventgen in a process of its own.
type child struct {
	*exec.Cmd
	stderr shared
}

// shared is a buffer that is written while it is read.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// log is what it has said so far. It fails if the process has ended.
func (c *child) log(t *testing.T) string {
	t.Helper()
	if c.Process.Signal(syscall.Signal(0)) != nil {
		t.Fatalf("it has ended: %s", c.stderr.String())
	}
	return c.stderr.String()
}

func startChild(t *testing.T, path string, rate int) *child {
	t.Helper()
	c := &child{Cmd: exec.Command("eventgen", "run", "--admin-listen=off", "--seed=1", "--path", path, "--rate", strconv.Itoa(rate))}
	c.Stderr = &c.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// signal sends a signal, or fails if there is no process any more.
func (c *child) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the end and gives the exit code, -1 after death by a signal.
func (c *child) ended(t *testing.T) int {
	t.Helper()
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// TestHangupReopens is logrotate with a reload after it. The rate is so low that no line would come in
// time to find out by itself.
func TestHangupReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	c := startChild(t, path, 1)
	openWhenWritten(t, path).Close()
	for i := range 3 {
		if err := os.Rename(path, old(path, i)); err != nil {
			t.Fatal(err)
		}
		c.signal(t, syscall.SIGHUP)
		eventually(t, "there is a new file", func() bool { _, err := os.Stat(path); return err == nil })
	}
	c.signal(t, syscall.SIGTERM)
	if code := c.ended(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0: %s", code, c.stderr.String())
	}
	paths := []string{old(path, 0), old(path, 1), old(path, 2), path}
	n := 0
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	wantEvents(t, 1, n, paths...)
}

func TestSignalFinishesTheBatchInHand(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		path := filepath.Join(t.TempDir(), "events.log")
		c := startChild(t, path, 100_000)
		openWhenWritten(t, path).Close()
		c.signal(t, s)
		if code := c.ended(t); code != 0 {
			t.Errorf("exit code %d after %v, want 0: %s", code, s, c.stderr.String())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := bytes.Count(text, []byte("\n"))
		wantEvents(t, 1, n, path)
		if want := `"events":` + strconv.Itoa(n) + ","; !strings.Contains(c.stderr.String(), want) {
			t.Errorf("the file has %d events, but the log does not say so: %s", n, c.stderr.String())
		}
	}
}

// TestKillLeavesNoHalfLineBehind kills in the middle of large writes and starts again, again and again.
func TestKillLeavesNoHalfLineBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	size := int64(0)
	for range 8 {
		c := startChild(t, path, 300_000)
		eventually(t, "there is more", func() bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > size+1<<20
		})
		c.signal(t, syscall.SIGKILL)
		c.ended(t)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size = info.Size()
	}
	c := startChild(t, path, 1)
	eventually(t, "the last one writes", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() != size
	})
	c.signal(t, syscall.SIGTERM)
	c.ended(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if !wholeEvent.Match(line) {
			t.Fatalf("half a line is left: %q", line)
		}
	}
}

func TestSecondEventgenOnTheSameFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	first := startChild(t, path, 100)
	openWhenWritten(t, path).Close()
	second := startChild(t, path, 100)
	if code := second.ended(t); code != 78 || !strings.Contains(second.stderr.String(), "another process is writing it") {
		t.Errorf("the second ended with %d: %s, want 78 and why", code, second.stderr.String())
	}
	first.signal(t, syscall.SIGTERM)
	if code := first.ended(t); code != 0 {
		t.Errorf("the first ended with %d: %s", code, first.stderr.String())
	}
}
