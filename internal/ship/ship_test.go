package ship

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"eventline/internal/tail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a log file, the reader of it and what the shipper stored.
type rig struct {
	t     testing.TB
	dir   string
	topic *cluster

	mu    sync.Mutex
	saved []State
	slots [2]State // as on disk: the older and the newer
	boot  string

	process *process // that runs; nil for one that nobody kills
	fail    error    // of Save
	unsync  error    // of Sync

	rules   Rules
	group   *Group // nil for one of its own
	said    *said  // nil if nobody listens
	idle    time.Duration
	maxLine int
}

func newRig(t testing.TB, c *cluster) *rig {
	t.Helper()
	return &rig{t: t, dir: t.TempDir(), topic: c}
}

func (r *rig) log() string { return filepath.Join(r.dir, "events.log") }

func (r *rig) write(text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) save(s State, both bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	if p := r.process; p != nil {
		if p.step() {
			return errKilled
		}
		// It may also be killed between the two slots.
		if both {
			r.slots = [2]State{r.slots[1], s}
			if p.step() {
				return errKilled
			}
		}
	}
	if err := s.Check(); err != nil {
		r.t.Errorf("a state was saved that is refused when it is loaded: %v", err)
	}
	r.saved = append(r.saved, s)
	r.slots = [2]State{r.slots[1], s}
	if both {
		r.slots[0] = s
	}
	return nil
}

// last is the state that a next run would find; nil if none was stored.
func (r *rig) last() *State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.saved) == 0 {
		return nil
	}
	s := r.slots[1]
	return &s
}

// run ships what is there, or, with once false, until ctx ends.
func (r *rig) run(ctx context.Context, once bool) error {
	r.t.Helper()
	cfg := tail.Config{
		Path: r.log(), From: tail.Beginning, MaxLine: 4 << 20, Budget: 16 << 20,
		Once: once, Log: zerolog.Nop(), Reader: tail.ReaderBlock,
	}
	stored := r.last()
	if r.maxLine > 0 {
		cfg.MaxLine = stored.Longest(r.maxLine)
	}
	if stored != nil {
		cfg.State = &stored.Tail
	}
	tl, err := tail.New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	var topic Topic = r.topic
	if r.process != nil {
		topic = r.process
	}
	log := zerolog.Nop()
	if r.said != nil {
		log = zerolog.New(r.said)
	}
	s := New(Options{
		Topic: topic, Rules: r.rules, MaxLine: r.maxLine, Reached: tl.Reached, Stored: stored, Boot: r.boot, Blocks: tl.Blocks(), State: tl.State, Save: r.save,
		Sync: func(int64) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.unsync
		},
		Quarantine: filepath.Join(r.dir, "quarantine"),
		Delay:      func(int) time.Duration { return time.Millisecond },
		Class:      class, Drain: time.Minute, Log: log, Group: r.group, Idle: r.idle,
	})
	read := make(chan error, 1)
	readCtx, end := context.WithCancel(ctx)
	go func() { read <- tl.Run(readCtx) }()
	err = s.Run(ctx)
	end()
	return errors.Join(err, <-read)
}

func (r *rig) once() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.run(ctx, true); err != nil || ctx.Err() != nil {
		r.t.Fatalf("run: %v, %v", err, ctx.Err())
	}
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}

// wantLog compares one partition's log with a text.
func (r *rig) wantLog(partition int, text string) {
	r.t.Helper()
	got := strings.Join(r.topic.logs[partition], "\n") + "\n"
	if got == text {
		return
	}
	want := strings.Split(text, "\n")
	for i, line := range r.topic.logs[partition] {
		if i >= len(want) || line != want[i] {
			r.t.Fatalf("record %d of %d: got %.40q, want %.40q", i, len(r.topic.logs[partition]), line, want[min(i, len(want)-1)])
		}
	}
	r.t.Fatalf("log has %d records, want %d", len(r.topic.logs[partition]), len(want)-1)
}

// nth makes a fault that hits the n-th asking, from 1.
func nth(n int, when bool, err error) func(int32, Batch, bool) error {
	asked := 0
	return func(_ int32, _ Batch, appended bool) error {
		if appended != when {
			return nil
		}
		if asked++; asked == n {
			return err
		}
		return nil
	}
}

const bigLines = 200_000

// big is a text of several blocks, so that several batches are in flight.
func big() string { return numbered(0, bigLines) }

func TestLinesArriveInOrder(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.write(big())
	r.once()
	r.wantLog(0, big())
	if r.topic.mostFlying > maxInFlight {
		t.Errorf("batches in flight: got %d, want at most %d: a leader remembers no more", r.topic.mostFlying, maxInFlight)
	}
}

// A partition that does not know a producer id takes any first sequence. With
// the second batch in flight behind a refused first one, the second would be
// stored in the first one's place.
func TestFirstBatchGoesAlone(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.topic.fault = nth(1, false, refusedError("not_enough_replicas"))
	r.write(big())
	r.once()
	r.wantLog(0, big())
}

func TestFirstBatchGoesAloneAfterEveryReconnect(t *testing.T) {
	r := newRig(t, newCluster(1))
	opened, flying := 0, 0
	r.topic.fault = func(_ int32, _ Batch, appended bool) error {
		if r.topic.opened != opened {
			opened, flying = r.topic.opened, 0
		}
		if flying++; !appended && opened%2 == 1 && flying == 4 {
			return errLost
		}
		return nil
	}
	r.write(big())
	r.once()
	r.wantLog(0, big())
}

func TestLostAckIsNotASecondCopy(t *testing.T) {
	for n := 1; n <= 4; n++ {
		r := newRig(t, newCluster(1))
		r.topic.fault = nth(n, true, errLost)
		r.write(big())
		r.once()
		r.wantLog(0, big())
	}
}

func TestConnectionLostMidWindowIsRepaired(t *testing.T) {
	for n := 1; n <= 5; n++ {
		r := newRig(t, newCluster(1))
		r.topic.fault = nth(n, false, errLost)
		r.write(big())
		r.once()
		r.wantLog(0, big())
	}
}

func TestRefusalForSizeIsCutSmaller(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	// The broker's limit is lower than what it said: changed since.
	r.topic.fault = func(_ int32, b Batch, appended bool) error {
		if !appended && len(b.Lines) > 1000 {
			return errTooLarge
		}
		return nil
	}
	r.write(numbered(0, 5000))
	r.once()
	r.wantLog(0, numbered(0, 5000))
}

func TestSingleLineThatIsRefusedGoesToQuarantine(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.topic.fault = func(_ int32, b Batch, appended bool) error {
		for _, line := range b.Lines {
			if !appended && string(line) == "line 000123" {
				return errTooLarge
			}
		}
		return nil
	}
	r.write(numbered(0, 300))
	r.once()
	r.wantLog(0, numbered(0, 123)+numbered(124, 300))
	kept, err := os.ReadFile(filepath.Join(r.dir, "quarantine", fmt.Sprintf("0-%d", 123*12)))
	if err != nil || string(kept) != "line 000123" {
		t.Errorf("quarantine: got %q, %v", kept, err)
	}
}

func TestLeaderThatForgotUsLosesAndRepeatsNothing(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.topic.fault = nth(3, false, errOrder)
	r.write(big())
	r.once()
	r.wantLog(0, big())
}

func TestTopicThatIsNotThereIsAskedForAgain(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.topic.describe = func(call int) error {
		if call < 5 {
			return errors.New("no such topic")
		}
		return nil
	}
	r.write(numbered(0, 10))
	r.once()
	r.wantLog(0, numbered(0, 10))
}

// The durable position must never be ahead of what the topic holds: a crash at
// that moment would lose the difference.
func TestStoredPositionNeverPassesTheTopic(t *testing.T) {
	r := newRig(t, newCluster(1))
	arrived, gate := make(chan struct{}, 1000), make(chan struct{})
	r.topic.fault = func(_ int32, _ Batch, appended bool) error {
		if !appended {
			arrived <- struct{}{}
			<-gate // nothing is ever acknowledged before the end
		}
		return nil
	}
	r.write(big())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, false) }()
	<-arrived
	time.Sleep(2 * saveEvery) // not to be right: to give a wrong one the time to store
	r.mu.Lock()
	for _, s := range r.saved {
		for _, g := range s.Tail.Generations {
			if g.Offset != 0 || g.Done {
				t.Errorf("stored offset %d of a log that no broker has acknowledged a line of", g.Offset)
			}
		}
	}
	r.mu.Unlock()
	cancel()
	close(gate)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestStopKeepsWhatWasAcknowledged(t *testing.T) {
	r := newRig(t, newCluster(2))
	for round := range 4 {
		r.write(numbered(round*50_000, round*50_000+50_000))
		ctx, cancel := context.WithCancel(context.Background())
		r.topic.mu.Lock()
		stored := len(r.topic.logs[0]) + len(r.topic.logs[1])
		r.topic.mu.Unlock()
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx, false) }()
		for {
			r.topic.mu.Lock()
			now := len(r.topic.logs[0]) + len(r.topic.logs[1])
			r.topic.mu.Unlock()
			if now > stored {
				break
			}
			time.Sleep(time.Millisecond)
		}
		cancel() // in the middle of it
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	r.once()
	checkExact(t, 0, r.topic, numbered(0, 200_000))
}

// What is not reserved on disk could be taken for another line's number after a
// crash, so nothing leaves.
func TestFullDiskForTheStateHoldsTheLinesUntilThereIsRoom(t *testing.T) {
	c := newCluster(1)
	log := new(said)
	r := newRig(t, c)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(0, 10))
	r.once()
	r.fail = errors.New("no space left on device")
	r.write(numbered(10, 20))
	stop := r.background()
	eventually(t, "the trouble to be said", func() bool { return log.count("state can't be stored") == 1 })
	r.wantLog(0, numbered(0, 10))
	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	eventually(t, "the lines to arrive", func() bool { return c.count(func() int { return len(c.logs[0]) }) == 20 })
	stop()
	r.wantLog(0, numbered(0, 20))
	if n := log.count("state can be stored again"); n != 1 {
		t.Errorf("that it healed was said %d times, want once", n)
	}
}

// What a power loss could take from the log's file is not stored as dealt with.
func TestPositionWaitsForTheLogToBeOnDisk(t *testing.T) {
	c := newCluster(1)
	log := new(said)
	r := newRig(t, c)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(0, 10))
	p := r.start()
	eventually(t, "the position to be stored", func() bool { return r.stored() == 9 })
	r.mu.Lock()
	r.unsync = errors.New("input/output error")
	r.mu.Unlock()
	r.write(numbered(10, 20)) // within what is reserved
	eventually(t, "the trouble to be said", func() bool { return log.count("input/output error") == 1 })
	eventually(t, "the lines to arrive", func() bool { return c.records(0) == 20 })
	if got := r.stored(); got != 9 {
		t.Errorf("line %d is stored as final, and the log's file is not synced beyond 9", got)
	}
	r.mu.Lock()
	r.unsync = nil
	r.mu.Unlock()
	eventually(t, "the position to be stored", func() bool { return r.stored() == 19 })
	p.stop(t)
}

// stored is the last final line of the newest state, -1 without one.
func (r *rig) stored() int64 {
	if s := r.last(); s != nil && len(s.Partitions) > 0 {
		return s.Partitions[0].Final
	}
	return -1
}

func TestNumbersDoNotRunFarAheadOfWhatIsOnDisk(t *testing.T) {
	l := newLane(0, LaneState{ID: 1, Final: 99, Before: 99, Reserved: 99})
	l.next, l.marked, l.ahead = 100+mostOpen-10, 100+mostOpen-10, 1000
	if got, most := l.reserve(mark{final: 99}), int64(99+mostOpen); got != most {
		t.Errorf("reserved up to %d, want %d", got, most)
	}
}

// Whatever fails, whenever: within one run every line is in its partition's log
// once and in order.
func TestRandomFaultsLoseAndRepeatNothing(t *testing.T) {
	for seed := range int64(30) {
		rnd := rand.New(rand.NewSource(seed))
		partitions := 1 + rnd.Intn(3)
		c := newCluster(partitions)
		c.maxBytes = 20_000 + rnd.Intn(100_000)
		rate := rnd.Float64() * 0.3
		c.fault = func(int32, Batch, bool) error {
			switch f := rnd.Float64(); {
			case f < rate:
				return errLost
			case f < rate*1.2:
				return refusedError("not_enough_replicas")
			}
			return nil
		}
		r := newRig(t, c)
		text := numbered(0, 20_000+rnd.Intn(60_000))
		r.write(text)
		r.once()
		checkExact(t, seed, c, text)
	}
}

// checkExact wants every line once, and each partition in the log's order.
func checkExact(t *testing.T, seed int64, c *cluster, text string) {
	t.Helper()
	checkOnce(t, seed, c, text, "")
}

// checkOnce is checkExact with lines that may be missing.
func checkOnce(t *testing.T, seed int64, c *cluster, text, may string) {
	t.Helper()
	want := make(map[string]bool)
	for line := range lines(text + may) {
		want[line] = true
	}
	for p, log := range c.logs {
		for i, line := range log {
			if !want[line] {
				t.Fatalf("seed %d: partition %d holds %q twice, or it is no line of the log", seed, p, line)
			}
			delete(want, line)
			if i > 0 && line <= log[i-1] {
				t.Fatalf("seed %d: partition %d has %q behind %q", seed, p, line, log[i-1])
			}
		}
	}
	for line := range lines(may) {
		delete(want, line)
	}
	if len(want) > 0 {
		t.Fatalf("seed %d: %d lines are missing", seed, len(want))
	}
}

// lines are those of a text, without their newlines.
func lines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}

func TestSequenceBeginsAgainAtZero(t *testing.T) {
	for _, c := range []struct {
		near     int64
		sequence int32
		want     int64
	}{
		{-1, 0, 0},
		{-1, sequenceMask, -1},
		{10, 12, 12},
		{12, 10, 10},
		{sequenceMask, 0, sequenceMask + 1},
		{sequenceMask - 4, 5, sequenceMask + 6},
		{sequenceMask + 6, sequenceMask, sequenceMask},
		{3<<31 + 7, 9, 3<<31 + 9},
	} {
		if got := numberNear(c.near, c.sequence); got != c.want {
			t.Errorf("numberNear(%d, %d): got %d, want %d", c.near, c.sequence, got, c.want)
		}
		if got := sequenceOf(c.want); got != c.sequence {
			t.Errorf("sequenceOf(%d): got %d, want %d", c.want, got, c.sequence)
		}
	}
}
