package tail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// nxadm/tail has two goroutines that live as long as the process. They are started
// here, and these two alone are none of a leak.
func TestMain(m *testing.M) {
	if does := os.Getenv(childEnv); does != "" {
		beChild(does, os.Args[1])
	}
	if err := nxadmTail.begin(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// patience bounds every wait for something that must come.
const patience = time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reader runs a Tail and keeps what it reads.
type reader struct {
	t      testing.TB
	tail   *Tail
	cancel context.CancelFunc
	ended  chan error
	gone   chan struct{} // closed when no more blocks come

	mu        sync.Mutex
	lines     []string
	settled   []settled
	decisions []Decision
	problems  []string
	hold      bool // keep blocks instead of releasing them
	held      []*Block
	last      Position
	reached   int           // lines received when Reached was seen first, -1 before
	stall     chan struct{} // nothing is received before it is closed
	killed    bool          // nothing is received any more
}

// settled is a position and how many lines lie before it.
type settled struct {
	mark  Mark
	lines int
}

func config(t testing.TB, path string) Config {
	cfg := Config{
		Path: path, Log: zerolog.New(zerolog.NewTestWriter(t)), Reader: ReaderBlock,
		rescan: 20 * time.Millisecond, quiet: 300 * time.Millisecond, linger: 600 * time.Millisecond,
	}
	if strings.HasPrefix(t.Name(), withFollower+"/") {
		return eager(cfg)
	}
	return cfg
}

func start(t testing.TB, cfg Config) *reader {
	t.Helper()
	return startStalled(t, cfg, nil)
}

// startStalled starts a reader that receives nothing before stall is closed.
func startStalled(t testing.TB, cfg Config, stall chan struct{}) *reader {
	t.Helper()
	r := &reader{t: t, reached: -1, ended: make(chan error, 1), gone: make(chan struct{}), stall: stall}
	cfg.Changed = func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.problems = append(r.problems, fmt.Sprint(err))
	}
	var err error
	r.tail, err = New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.ended <- r.tail.Run(ctx) }()
	go r.consume()
	t.Cleanup(r.stop)
	return r
}

func (r *reader) consume() {
	defer close(r.gone)
	if r.stall != nil {
		<-r.stall
	}
	for b := range r.tail.Blocks() {
		r.mu.Lock()
		if r.killed {
			b.Release()
		} else {
			r.take(b)
		}
		r.mu.Unlock()
	}
}

func (r *reader) take(b *Block) {
	if b.Start.Generation < r.last.Generation || b.Start.Generation == r.last.Generation && b.Start.Offset != r.last.Offset && len(r.lines) > 0 {
		r.t.Errorf("block %s–%s after %s: positions must go on without a gap", b.Start, b.End, r.last)
	}
	r.last = b.End
	if at := b.Mark(b.Start.Offset, nil); at.Position != b.Start || len(at.Before) != int(min(b.Start.Offset, frontierSize)) {
		r.t.Errorf("mark at the start of block %s–%s: got %s with %d bytes before it", b.Start, b.End, at, len(at.Before))
	} else if n := len(r.settled); n > 0 && r.settled[n-1].mark.Position == b.Start && !bytes.Equal(at.Before, r.settled[n-1].mark.Before) {
		r.t.Errorf("mark at %s: the bytes before it differ from those at the end of the block before", b.Start)
	}
	before := len(r.lines)
	if b.Decision != nil {
		r.decisions = append(r.decisions, *b.Decision)
	}
	if b.TooLong > 0 {
		text, err := io.ReadAll(b.Long())
		if err != nil || int64(len(text)) != b.TooLong {
			r.t.Errorf("too long line of %d: read %d, %v", b.TooLong, len(text), err)
		}
		r.lines = append(r.lines, fmt.Sprintf("too long: %d of %.3q", b.TooLong, text))
	}
	Lines(b.Data, func(line []byte, _ int) bool {
		r.lines = append(r.lines, string(line))
		return true
	})
	if got := len(r.lines) - before; got != b.Lines {
		r.t.Errorf("block says %d lines, has %d", b.Lines, got)
	}
	if r.reached < 0 && r.tail.Reached() {
		r.reached = len(r.lines)
	}
	r.settled = append(r.settled, settled{b.Mark(b.End.Offset, nil), len(r.lines)})
	if r.hold && b.Decision == nil {
		r.held = append(r.held, b)
		return
	}
	b.Release()
}

// stop ends the reader and returns when it has.
func (r *reader) stop() {
	r.mu.Lock()
	r.killed = r.killed || r.stall != nil && !r.isGoing()
	r.mu.Unlock()
	r.goOn()
	r.cancel()
	if err, ok := <-r.ended; ok && err != nil {
		r.t.Errorf("run: %v", err)
	}
	<-r.gone
	acceptedInAll.Add(r.tail.follow.accepted.Swap(0))
	for _, b := range r.held {
		b.Release()
	}
	r.held = nil
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
}

// isGoing tells whether a reader is not stalled any more.
func (r *reader) isGoing() bool {
	select {
	case <-r.stall:
		return true
	default:
		return r.stall == nil
	}
}

// goOn ends a stall.
func (r *reader) goOn() {
	if !r.isGoing() {
		close(r.stall)
	}
}

func (r *reader) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// state stops the reader and returns the state at its end.
func (r *reader) state() *State {
	r.t.Helper()
	r.stop()
	return r.stateAt(len(r.settled) - 1)
}

// stateAt is the state at a settled position, through its stored form.
func (r *reader) stateAt(i int) *State {
	r.t.Helper()
	return r.stateFor(r.settled[i].mark)
}

func (r *reader) stateFor(m Mark) *State {
	r.t.Helper()
	s := r.tail.State(m)
	text, err := json.Marshal(s)
	must(r.t, err)
	var back State
	must(r.t, json.Unmarshal(text, &back))
	return &back
}

// eventually waits until ok, which must come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen within %s", what, patience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// wants waits for exactly the lines of text, in order.
func (r *reader) wants(text string) {
	r.t.Helper()
	want := split(text)
	eventually(r.t, fmt.Sprintf("%d lines", len(want)), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.lines) >= len(want)
	})
	same(r.t, r.got(), want)
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d: got %.80q, want %.80q", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d", len(got), len(want))
	}
}

// folder is a log's directory.
type folder struct {
	t    testing.TB
	dir  string
	path string
}

func newFolder(t testing.TB) *folder {
	dir := t.TempDir()
	return &folder{t: t, dir: dir, path: filepath.Join(dir, "events.log")}
}

// append opens a file, appends text and closes it, as a writer of one line does.
func (f *folder) append(path, text string) {
	f.t.Helper()
	w := f.writer(path)
	_, err := w.WriteString(text)
	must(f.t, err)
	must(f.t, w.Close())
}

func (f *folder) writer(path string) *os.File {
	f.t.Helper()
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(f.t, err)
	return w
}

func (f *folder) write(text string)    { f.t.Helper(); f.append(f.path, text) }
func (f *folder) rotate(suffix string) { f.t.Helper(); must(f.t, os.Rename(f.path, f.path+suffix)) }

func (f *folder) rename(from, to string) { f.t.Helper(); must(f.t, os.Rename(f.path+from, f.path+to)) }

// numbered are lines from…to of a numbered log, 32 bytes each.
func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %09d ................\n", i)
	}
	return b.String()
}

// copyFile copies a log as copytruncate does.
func (f *folder) copyFile(to string) {
	f.t.Helper()
	text, err := os.ReadFile(f.path)
	must(f.t, err)
	must(f.t, os.WriteFile(f.path+to, text, 0o600))
}
