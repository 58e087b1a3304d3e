package eventgen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventline/internal/truth"
)

// dirtyProfile has some of every kind of dirt.
const dirtyProfile = `
products: 200
users: 300
dirt:
  late: 0.01
  out_of_order: 0.02
  future: 0.005
  duplicate: 0.05
  invalid_json: 0.01
  price_missing: 0.005
  price_negative: 0.005
  price_nan: 0.005
  price_string: 0.005
  oversized: 0.001
  oversized_bytes: 5000
  halves: 0.0005
  halves_pause: 2ms
  crlf: 0.01
  broken_utf8: 0.005
  nul: 0.005
schema:
  v2_at: 5000
  breaking_at: 25000
`

// story is a run that is started again and again.
type story struct {
	dir, path string
	args      []string
}

func newStory(t *testing.T, args ...string) *story {
	t.Helper()
	s := &story{dir: t.TempDir()}
	s.path = filepath.Join(s.dir, "log", "events.log")
	profile := filepath.Join(s.dir, "profile.yaml")
	if err := errors.Join(os.Mkdir(filepath.Dir(s.path), 0o700), os.WriteFile(profile, []byte(dirtyProfile), 0o600)); err != nil {
		t.Fatal(err)
	}
	s.args = append([]string{
		"run", "--admin-listen=off", "--path", s.path, "--profile", profile, "--truth", s.truth(), "--seed=3",
	}, args...)
	return s
}

func (s *story) truth() string { return filepath.Join(s.dir, "truth.json") }

// start starts it with so many processors.
func (s *story) start(t *testing.T, procs int, more ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command("eventgen", append(s.args, more...)...)}
	c.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs))
	c.Stderr = &c.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// key reads the answer key.
func (s *story) key(t *testing.T) *truth.Key {
	t.Helper()
	f, err := os.Open(s.truth())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k, err := truth.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// wantKeyOf fails unless the answer key tells of exactly this text.
func (s *story) wantKeyOf(t *testing.T, text []byte) {
	t.Helper()
	k := s.key(t)
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); k.Chain != got {
		t.Errorf("the answer key's chain is %s, the log's is %s", k.Chain, got)
	}
	if n := uint64(bytes.Count(text, []byte("\n"))); k.Lines != n || k.Bytes != uint64(len(text)) {
		t.Errorf("the answer key has %d lines and %d bytes, the log %d and %d", k.Lines, k.Bytes, n, len(text))
	}
	digests, err := os.ReadFile(filepath.Join(s.dir, k.Digests))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for line := range bytes.Lines(text) {
		if 8*i+8 > len(digests) {
			break
		}
		var got uint64
		for b := 7; b >= 0; b-- {
			got = got<<8 | uint64(digests[8*i+b])
		}
		if got != truth.Digest(line) {
			t.Fatalf("line %d has another digest than the answer key says", i+1)
		}
		i++
	}
	if len(digests) != 8*i {
		t.Errorf("%d line digests for %d lines", len(digests)/8, i)
	}
}

// text is all that was written: the generations that were rotated away in order, then the log.
func (s *story) text(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for i := 1; ; i++ {
		part, err := os.ReadFile(fmt.Sprintf("%s.%d", s.path, i))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	part, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return append(all, part...)
}

// diff says where two texts part.
func diff(got, want []byte) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	line := bytes.Count(want[:i], []byte("\n")) + 1
	cut := func(b []byte) []byte { return b[max(0, i-100):min(len(b), i+200)] }
	return fmt.Sprintf("%d bytes, want %d; they part in line %d:\n%q\nwant\n%q", len(got), len(want), line, cut(got), cut(want))
}

// reference is what a run that nothing disturbs writes, and its answer key.
func reference(t *testing.T, args ...string) ([]byte, *truth.Key) {
	t.Helper()
	s := newStory(t, append(args, "--unpaced")...)
	if c := s.start(t, 1); c.ended(t) != 0 {
		t.Fatalf("the reference run failed: %s", c.stderr.String())
	}
	text := s.text(t)
	s.wantKeyOf(t, text)
	return text, s.key(t)
}

const killedRun = "--rate=20k --count=30000 --start=2026-11-22T10:00:00Z"

// TestKilledRunWritesTheSameFile kills a run fifty times, at any moment, on 1, 2 and 8 processors: file and
// answer key are those of a run that nothing disturbed.
func TestKilledRunWritesTheSameFile(t *testing.T) {
	args := strings.Fields(killedRun)
	want, wantKey := reference(t, args...)
	s := newStory(t, append(args, "--state-dir", filepath.Join(t.TempDir(), "state"))...)
	kills := s.killAndRestart(t, 50, nil)
	if got := s.text(t); !bytes.Equal(got, want) {
		t.Errorf("after %d kills: %s", kills, diff(got, want))
	}
	s.wantKeyOf(t, want)
	got := s.key(t)
	if fmt.Sprint(got.Windows, got.Complete, got.Valid) != fmt.Sprint(wantKey.Windows, wantKey.Complete, wantKey.Valid) {
		t.Errorf("the answer key has other windows after %d kills", kills)
	}
	for kind, d := range wantKey.Defects {
		if g := got.Defects[kind]; g == nil || g.Count != d.Count || strings.Join(g.EventIDs, " ") != strings.Join(d.EventIDs, " ") {
			t.Errorf("the answer key has other defects of kind %s after %d kills: %+v, want %+v", kind, kills, g, d)
		}
	}
	if code := s.start(t, 1).ended(t); code != 0 || !bytes.Equal(s.text(t), want) {
		t.Errorf("started once more, a complete run wrote something or ended with %d", code)
	}
}

// killAndRestart starts the run and kills it so many times, then lets it end. Each start does some of the
// work, so that the run gets on.
func (s *story) killAndRestart(t *testing.T, times int, meanwhile func()) (kills int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for kills < times {
		c := s.start(t, []int{1, 2, 8}[kills%3])
		before := len(s.text(t))
		for deadline := time.Now().Add(time.Minute); len(s.text(t)) <= before && time.Now().Before(deadline); {
			if meanwhile != nil {
				meanwhile()
			}
			time.Sleep(time.Millisecond) // polls
		}
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond) // any moment
		if err := c.Process.Signal(syscall.SIGKILL); err != nil {
			break
		}
		if c.ended(t) == 0 {
			break // it was quicker
		}
		kills++
	}
	c := s.start(t, 2)
	if code := c.ended(t); code != 0 {
		t.Fatalf("the run ended with %d: %s", code, c.stderr.String())
	}
	return kills
}

// TestKilledRunThatIsRotatedWritesTheSameLines renames the log every few milliseconds beside the kills.
func TestKilledRunThatIsRotatedWritesTheSameLines(t *testing.T) {
	args := strings.Fields(killedRun)
	want, _ := reference(t, args...)
	s := newStory(t, append(args, "--state-dir", filepath.Join(t.TempDir(), "state"))...)
	stop, stopped := context.WithCancel(t.Context())
	defer stopped()
	rotations := make(chan int)
	go func() {
		n := 0
		for tick := time.NewTicker(5 * time.Millisecond); stop.Err() == nil; <-tick.C {
			if info, err := os.Stat(s.path); err != nil || info.Size() == 0 {
				continue
			}
			if os.Rename(s.path, fmt.Sprintf("%s.%d", s.path, n+1)) == nil {
				n++
			}
		}
		rotations <- n
	}()
	kills := s.killAndRestart(t, 20, nil)
	stopped()
	n := <-rotations
	if got := s.text(t); !bytes.Equal(got, want) {
		t.Errorf("after %d kills and %d rotations: %s", kills, n, diff(got, want))
	}
	s.wantKeyOf(t, want)
	if n < 10 || kills < 10 {
		t.Errorf("only %d rotations and %d kills: this shows nothing", n, kills)
	}
}

// TestRunGoesOnBehindTruncations copies the log and truncates it, as copytruncate does, beside kills. What is
// written between copy and truncation is lost, and nothing comes twice.
func TestRunGoesOnBehindTruncations(t *testing.T) {
	args := strings.Fields(killedRun)
	want, _ := reference(t, args...)
	s := newStory(t, append(args, "--state-dir", filepath.Join(t.TempDir(), "state"))...)
	copies := 0
	truncate := func() {
		text, err := os.ReadFile(s.path)
		if err != nil || len(text) < 10_000 {
			return
		}
		copies++
		text = text[:bytes.LastIndexByte(text, '\n')+1] // half a line is written anew
		if err := errors.Join(os.WriteFile(fmt.Sprintf("%s.%d", s.path, copies), text, 0o600), os.Truncate(s.path, 0)); err != nil {
			t.Fatal(err)
		}
	}
	kills := s.killAndRestart(t, 15, truncate)
	at := 0 // in want
	for line := range bytes.Lines(s.text(t)) {
		i := bytes.Index(want[at:], line)
		if i < 0 {
			t.Fatalf("after %d kills and %d truncations line %q came twice, or is none of the run", kills, copies, line)
		}
		at += i + len(line)
	}
}

func TestRunWithoutAStartGoesOnWithTheNextEvent(t *testing.T) {
	s := newStory(t, "--rate=2k", "--count=3000", "--state-dir", filepath.Join(t.TempDir(), "state"))
	kills := s.killAndRestart(t, 10, nil)
	text := s.text(t)
	want, _ := reference(t, "--rate=2k", "--count=3000", "--start=2026-11-22T10:00:00Z")
	if got, want := timestamps.ReplaceAll(text, nil), timestamps.ReplaceAll(want, nil); countIDs(got) != countIDs(want) {
		t.Errorf("after %d kills the events are others, or out of order", kills)
	}
	s.wantKeyOf(t, text)
}

// countIDs sums up the events of a text, in order.
func countIDs(text []byte) string {
	h := sha256.New()
	for line := range bytes.Lines(text) {
		h.Write(line[:min(len(line), 50)])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestKeyIsFinishedByTheNextStart is a run that was killed between its last line and its answer key.
func TestKeyIsFinishedByTheNextStart(t *testing.T) {
	s := newStory(t, "--rate=1k", "--count=500", "--start=2026-11-22T10:00:00Z", "--unpaced", "--state-dir", filepath.Join(t.TempDir(), "state"))
	for range 2 {
		if c := s.start(t, 1); c.ended(t) != 0 {
			t.Fatal(c.stderr.String())
		}
		s.wantKeyOf(t, s.text(t))
		if !s.key(t).Complete {
			t.Error("the key is not complete")
		}
		if err := os.Remove(s.truth()); err != nil {
			t.Fatal(err)
		}
	}
}
