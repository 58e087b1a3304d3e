package eventgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/generate"
	"eventline/internal/pace"
)

// told is what the service manager was told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (s *told) add(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, state)
}

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// testConfig writes to path and serves nothing.
func testConfig(path string, rate pace.Rate, count int64) Config {
	c := Default()
	c.Path, c.Rate, c.Count, c.Seed, c.Admin.Listen = path, rate, count, 1, admin.Off
	return c
}

func newApp(t *testing.T, c Config, out io.Writer) (*App, *told) {
	t.Helper()
	s := new(told)
	p := daemon.Process{Name: "eventgen", Log: zerolog.Nop(), Notify: daemon.NewNotifier(s.add), Environment: daemon.Environment{Stdout: out}}
	a, err := New(c, p)
	if err != nil {
		t.Fatal(err)
	}
	return a, s
}

func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return 1
}

// timed is standard output that knows when each line came, and may be slow.
type timed struct {
	at    []time.Time
	delay func(lines int) time.Duration // before a write, given the lines so far
}

func (w *timed) Write(p []byte) (int, error) {
	if w.delay != nil {
		time.Sleep(w.delay(len(w.at)))
	}
	for range bytes.Count(p, []byte("\n")) {
		w.at = append(w.at, time.Now())
	}
	return len(p), nil
}

func TestFiveEventsASecondAreFiveEventsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(timed)
		a, s := newApp(t, testConfig("-", 5*pace.PerSecond, 0), out)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run until it is stopped = %v, want nil", err)
		}
		for i, at := range out.at {
			if want := start.Add(time.Duration(i) * 200 * time.Millisecond); !at.Equal(want) {
				t.Fatalf("line %d came at %v, want %v", i, at.Sub(start), want.Sub(start))
			}
		}
		if n := len(out.at); n < 18_000 || n > 18_001 {
			t.Errorf("%d lines in an hour, want 18000", n)
		}
		if want := []string{"READY=1\nSTATUS=writing to standard output at 5.0/s"}; !slices.Equal(s.all(), want) {
			t.Errorf("told %d times, at last %q, want %q and no change for an hour", len(s.all()), s.all()[len(s.all())-1], want)
		}
	})
}

func TestEventsCarryTheTimeAtWhichTheyWereDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &timed{delay: func(int) time.Duration { return 700 * time.Millisecond }}
		var text bytes.Buffer
		a, _ := newApp(t, testConfig("-", 5*pace.PerSecond, 20), io.MultiWriter(out, &text))
		start := time.Now()
		_ = a.Run(t.Context())
		i := 0
		for line := range bytes.Lines(text.Bytes()) {
			var e struct{ Timestamp time.Time }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			if want := start.Add(time.Duration(i) * 200 * time.Millisecond); !e.Timestamp.Equal(want) {
				t.Errorf("event %d carries %v, want %v, however late it was written", i, e.Timestamp, want)
			}
			i++
		}
		if i != 20 {
			t.Errorf("%d events, want 20", i)
		}
	})
}

func TestFiniteRunThatFellBehindIsDegraded(t *testing.T) {
	for _, c := range []struct {
		name   string
		count  int64 // at 10/s
		behind time.Duration
		code   int
	}{
		{"a short run may be a second late", 50, time.Second, 0},
		{"but not more", 50, 1001 * time.Millisecond, 3},
		{"a long run may be late by a twentieth", 1001, 5 * time.Second, 0},
		{"but not by more", 1001, 5001 * time.Millisecond, 3},
		{"a stall that was caught up is forgotten", 1001, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			out := &timed{delay: func(lines int) time.Duration {
				switch lines {
				case 5:
					return 2 * time.Second // caught up in any case
				case int(c.count) - 1:
					return c.behind
				}
				return 0
			}}
			a, _ := newApp(t, testConfig("-", 10*pace.PerSecond, c.count), out)
			err := a.Run(t.Context())
			if code := exitCode(err); code != c.code {
				t.Errorf("%s: %d events, %v late: exit code %d (%v), want %d", c.name, c.count, c.behind, code, err, c.code)
			}
			if c.code == 3 && !strings.HasPrefix(err.Error(), "could not hold 10/s: the last event was written") {
				t.Errorf("%s: error %q does not say what was not held", c.name, err)
			}
		})
	}
}

func TestLagIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &timed{delay: func(lines int) time.Duration {
			if lines == 1 {
				return time.Minute
			}
			return 0
		}}
		a, s := newApp(t, testConfig("-", 5*pace.PerSecond, 1000), out)
		if err := a.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(s.all(), "\n"); !strings.Contains(all, "STATUS=writing to standard output at 0/s, 50s behind schedule") {
			t.Errorf("stalled for a minute, told only\n%s", all)
		}
	})
}

func TestStreamThatBreaksIsAFailure(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	a, _ := newApp(t, testConfig("-", 5*pace.PerSecond, 0), w)
	if err := a.Run(t.Context()); exitCode(err) != 1 || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("Run = %v, want a failure because of a broken pipe", err)
	}
}

func TestPathThatCannotBeWrittenIsAConfigError(t *testing.T) {
	dir := t.TempDir()
	a, s := newApp(t, testConfig(dir, 5*pace.PerSecond, 0), nil)
	if err := a.Run(t.Context()); exitCode(err) != daemon.ExitConfig || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("Run = %v, want exit code 78 because of a directory", err)
	}
	if len(s.all()) != 0 {
		t.Errorf("told %q before it failed, want nothing", s.all())
	}
}

func TestMissingFolderIsWaitedForReadyAndInWords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "eventline")
	path := filepath.Join(dir, "events.log")
	a, s := newApp(t, testConfig(path, 1000*pace.PerSecond, 50), nil)
	result := make(chan error, 1)
	go func() { result <- a.Run(t.Context()) }()
	eventually(t, "the wait is told", func() bool { return len(s.all()) > 0 })
	if want := "READY=1\nSTATUS=waiting: open \"" + path + "\": no such file or directory"; s.all()[0] != want {
		t.Errorf("told %q, want %q", s.all()[0], want)
	}
	if err := a.ready(); err == nil {
		t.Error("/readyz has no objection while the file is waited for")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Errorf("Run = %v, want nil: time spent waiting for the folder is not lag", err)
	}
	if err := a.ready(); err != nil {
		t.Errorf("/readyz objects after the wait: %v", err)
	}
	wantEvents(t, 1, 50, path)
}

func TestStopWhileWaitingForTheFolderIsNoFailure(t *testing.T) {
	a, s := newApp(t, testConfig(filepath.Join(t.TempDir(), "no", "events.log"), 5*pace.PerSecond, 0), nil)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	eventually(t, "the wait is told", func() bool { return len(s.all()) > 0 })
	cancel()
	if err := <-result; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestLinesGivenUpOnAFullDiskAreToldAndCounted(t *testing.T) {
	c := testConfig("/dev/full", 5*pace.PerSecond, 0)
	c.Admin.Listen = "127.0.0.1:0"
	a, s := newApp(t, c, nil)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	eventually(t, "the full disk is told", func() bool { return strings.Contains(strings.Join(s.all(), ""), "no space left on device") })
	eventually(t, "errors and lag are measured", func() bool {
		page := get(t, a, "/metrics")
		return strings.Contains(page, `eventgen_write_errors_total{errno="ENOSPC"}`) && !strings.Contains(page, "eventgen_schedule_lag_seconds 0\n")
	})
	cancel()
	err := <-result
	if exitCode(err) != daemon.ExitDegraded || !strings.Contains(err.Error(), "1 lines not written") {
		t.Errorf("Run = %v, want exit code 3 and one line told", err)
	}
	if dropped, events := testutil.ToFloat64(a.metrics.dropped), testutil.ToFloat64(a.metrics.events); dropped != 1 || events != 0 {
		t.Errorf("%v events counted as dropped and %v as written, want 1 and 0", dropped, events)
	}
}

func TestMetricsAreThose(t *testing.T) {
	c := testConfig(filepath.Join(t.TempDir(), "events.log"), 1000*pace.PerSecond, 0)
	c.Admin.Listen = "127.0.0.1:0"
	a, _ := newApp(t, c, nil)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	eventually(t, "events are counted", func() bool { return !strings.Contains(get(t, a, "/metrics"), "eventgen_events_total 0\n") })
	page := get(t, a, "/metrics")
	for _, want := range []string{
		"eventgen_events_total ", "eventgen_bytes_total ", "eventgen_dropped_total 0\n", "eventgen_target_rate 1000\n",
		"eventgen_schedule_lag_seconds ", "eventgen_build_info{",
	} {
		if !strings.Contains(page, "\n"+want) {
			t.Errorf("/metrics has no line %q", want)
		}
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRandomSeedsDiffer(t *testing.T) {
	c := testConfig("-", pace.PerSecond, 0)
	c.Seed = 0
	c.Count = 1
	a, _ := newApp(t, c, io.Discard)
	b, _ := newApp(t, c, io.Discard)
	if err := errors.Join(a.Run(t.Context()), b.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	if a.seed <= 0 || a.seed == b.seed {
		t.Errorf("seeds %d and %d, want two that differ", a.seed, b.seed)
	}
}

func get(t *testing.T, a *App, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + a.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// eventually waits until something has come true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute until %s", what)
		}
	}
}

// wantEvents fails unless the files, one after the other, hold the first n events of the seed, each once,
// whole and in order.
func wantEvents(t *testing.T, seed uint64, n int, paths ...string) {
	t.Helper()
	var all []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	wantEventText(t, seed, n, all)
}

func wantEventText(t *testing.T, seed uint64, n int, text []byte) {
	t.Helper()
	shop := generate.New(seed, generate.DefaultProfile()).NewShop()
	i := 0
	var first time.Time
	for line := range bytes.Lines(text) {
		var e struct{ Timestamp time.Time }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %d is torn: %q: %v", i+1, line, err)
		}
		if i == 0 {
			first = e.Timestamp
		}
		if want, _ := shop.Append(nil, e.Timestamp.Sub(first), e.Timestamp, nil); !bytes.Equal(line, want) {
			t.Fatalf("line %d is\n%sbut event %d is\n%s", i+1, line, i, want)
		}
		i++
	}
	if i != n {
		t.Errorf("%d events, want %d", i, n)
	}
}
