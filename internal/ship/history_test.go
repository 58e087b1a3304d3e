package ship

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/tail"
)

// A history is a log that is written and rotated, leaders that fail in every way that
// they may, and processes that ship and are killed, one after the other, in simulated
// time. At its end everything heals, and what the topic holds is held against the log
// line by line.

var (
	histories = flag.Int("histories", 400, "random histories to run")
	keep      = flag.String("keep", "", "folder for the stories of histories that went wrong")
	seedFlag  = flag.Int64("seed", 0, "run the history with this seed only")
)

// mostWritten is from how many lines on nothing more is written by the way: there may be
// more steps to a line than lines to a step.
const mostWritten = 20_000

type history struct {
	t       *testing.T
	seed    int64
	dir     string
	leaders *leaders

	mu      sync.Mutex
	rnd     *rand.Rand
	said    *said
	gens    []*written
	next    int // number of the next line
	removed map[string]bool
	slots   [2]*State
	boot    int
	life    *life
	held    [][]request // of the dead, by connection
	rules   Rules
	wrong   string // the first thing that was
	quiet   bool   // nothing is written
	// mayBeLate says that a request has outlived a machine, or the lines before its own.
	mayBeLate bool
	controls
}

// controls are faults of the shipper itself, to show that histories find them.
type controls struct {
	oneSlot   bool // decisions are stored in one slot only
	noReserve bool // the state does not say how much may have been sent
	unsynced  bool // what is stored as dealt with need not be on the log's disk
	freshID   bool // a process does not know the producer id of the one before
}

type request struct {
	partition int32
	epoch     int32
	b         Batch
}

// life is one process.
type life struct {
	kill  context.CancelFunc
	dead  bool
	steps int // to live
}

func newHistory(t *testing.T, seed int64, c controls) *history {
	rnd := rand.New(rand.NewSource(seed))
	h := &history{
		t: t, seed: seed, dir: t.TempDir(), rnd: rnd, controls: c, said: new(said), gens: []*written{{}}, removed: make(map[string]bool),
		leaders: newLeaders(rand.New(rand.NewSource(seed+1)), 1+rnd.Intn(3)),
	}
	h.leaders.faults = [...]float64{0, 0.02, 0.1}[rnd.Intn(3)]
	h.limits()
	switch rnd.Intn(8) {
	case 0:
		h.leaders.mute = true
	case 1:
		h.leaders.fromZero = true
	}
	h.leaders.busy = rnd.Intn(3) == 0
	h.leaders.note = h.note
	return h
}

// limits sets how large a batch may be, and what the settings say of it.
func (h *history) limits() {
	h.leaders.described = 3000 + h.rnd.Intn(5000)
	h.rules.Partitioner = [...]Partitioner{Stripe, File}[h.rnd.Intn(2)]
	h.leaders.limit = h.leaders.described
	if h.rnd.Intn(4) == 0 {
		h.leaders.limit -= h.rnd.Intn(2500) // it was lowered since
	}
}

// note writes what happened between the lines of the shippers.
func (h *history) note(format string, args ...any) {
	fmt.Fprintf(h.said, "--- "+format+"\n", args...)
}

// step is one thing that a process may be killed at, and around which others happen.
func (h *history) step() (dead bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stepOf(h.life)
}

func (h *history) stepOf(l *life) (dead bool) {
	if l.dead || l != h.life {
		return true
	}
	if l.steps--; l.steps == 0 {
		l.dead = true
		l.kill()
		return true
	}
	if h.rnd.Intn(5) == 0 {
		h.deliver(false)
	}
	if !h.quiet && h.next < mostWritten && h.rnd.Intn(8) == 0 {
		h.write(h.rnd.Intn(40))
	}
	return false
}

// deliver lets some of what dead processes had sent arrive.
func (h *history) deliver(all bool) {
	var left [][]request
	for _, c := range h.held {
		n := h.rnd.Intn(len(c) + 1)
		if all {
			n = len(c)
		}
		for _, r := range c[:n] {
			_, err := h.leaders.append(r.partition, r.epoch, r.b)
			h.note("late request to %d of id %d epoch %d first %d lines %d (%.7s…): %v", r.partition, r.b.ProducerID, r.b.Epoch, r.b.FirstSequence, len(r.b.Lines), r.b.Lines[0], err)
		}
		if len(c) > n {
			left = append(left, c[n:])
		}
	}
	h.held = left
}

func (h *history) save(s State, both bool) error {
	if h.step() {
		return errKilled
	}
	if err := s.Check(); err != nil {
		h.t.Errorf("seed %d: state is refused when it is loaded: %v", h.seed, err)
	}
	if h.noReserve {
		for i := range s.Partitions {
			s.Partitions[i].Reserved = s.Partitions[i].Final
		}
	}
	h.mu.Lock()
	h.slots = [2]*State{h.slots[1], &s}
	h.mu.Unlock()
	h.note("saved, in both %v: %s", both, brief(&s))
	if both && !h.oneSlot {
		if h.step() {
			return errKilled
		}
		h.mu.Lock()
		h.slots[0] = &s
		h.mu.Unlock()
	}
	return nil
}

func (h *history) sync(generation int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.unsynced && generation >= 0 {
		g := h.gens[generation]
		g.synced = max(g.synced, g.read)
	}
	return nil
}

// live runs a process until it is killed after so many steps, 0 for never, or has
// shipped what is there.
func (h *history) live(steps int) (killed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	own := &life{kill: cancel, steps: steps}
	h.mu.Lock()
	h.life = own
	h.mu.Unlock()
	stored := h.slots[1]
	var from tail.State
	if stored != nil {
		s := *stored
		from = s.Tail
		if h.freshID {
			s.Partitions = nil
		}
		stored = &s
	}
	h.note("life of %d steps begins with %s", steps, brief(stored))
	r := h.read(from)
	reading, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(reading)
	}()
	err := New(Options{
		Topic: mayDie{h.leaders, h}, Rules: h.rules, Stored: stored, Boot: fmt.Sprint(h.boot), Blocks: r.blocks,
		Reached:    r.reached.Load,
		State:      r.state,
		Save:       h.save,
		Sync:       h.sync,
		Quarantine: filepath.Join(h.dir, "quarantine"),
		Delay:      func(n int) time.Duration { return time.Duration(min(n, 10)) * 100 * time.Millisecond },
		Class:      class, Drain: time.Minute, Log: zerolog.New(h.said),
	}).Run(ctx)
	end()
	for b := range r.blocks {
		b.Release()
	}
	<-done
	switch {
	case own.dead:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		h.wrong = fmt.Sprintf("a process did not end within a simulated hour: %v", err)
	case err != nil:
		h.wrong = fmt.Sprintf("a process that was not killed ended with: %v", err)
	}
	h.note("life ended, killed %v, wrong %q", own.dead, h.wrong)
	return own.dead
}

// run is the history up to its end, with everything healed.
func (h *history) run() {
	for range 3 + h.rnd.Intn(15) {
		if h.wrong != "" {
			return
		}
		h.quiet = h.rnd.Intn(2) == 0
		h.write(h.rnd.Intn(400))
		killed := h.live(h.rnd.Intn(60))
		if killed && h.rnd.Intn(5) == 0 && h.slots[0] != nil {
			h.slots[1] = h.slots[0] // a torn write
			h.note("newer slot lost")
		}
		if killed && h.rnd.Intn(6) == 0 {
			h.losePower()
		}
		if h.rnd.Intn(12) == 0 {
			h.remove()
		}
		h.deliver(false)
		h.leaders.mu.Lock()
		for _, p := range h.leaders.partitions {
			switch h.rnd.Intn(10) {
			case 3:
				h.retain(p)
			case 0:
				h.note("election")
				h.leaders.elect(p)
			case 1:
				h.note("restart of a leader")
				p.rebuild(true)
			case 2:
				if len(h.held) == 0 { // it takes a day
					h.note("producers of partition %d forgotten", p.index)
					h.leaders.settle(p)
					p.forget()
				}
			}
		}
		if h.rnd.Intn(10) == 0 && len(h.leaders.partitions) < 4 {
			h.leaders.grow()
			h.note("a partition more")
		}
		if h.rnd.Intn(5) == 0 && len(h.held) == 0 {
			h.limits()
		}
		h.leaders.mu.Unlock()
	}
	h.leaders.faults, h.quiet = 0, true
	for _, p := range h.leaders.partitions {
		h.leaders.settle(p)
		p.stale = 0
	}
	h.live(0)
	h.deliver(true)
	h.write(50) // and it goes on
	h.live(0)
}

// check says what is wrong with what the topic and the quarantine hold, "" if nothing.
func (h *history) check() string {
	if h.wrong != "" {
		return h.wrong
	}
	want := make(map[string]bool)
	for _, g := range h.gens {
		for line := range lines(string(g.text)) {
			want[line] = true
		}
	}
	late := h.late()
	times := make(map[string]int)
	for n, p := range h.leaders.partitions {
		last := ""
		for _, b := range p.batches {
			for _, line := range b.Lines {
				if b.id == othersID {
					continue
				}
				if string(line[:7]) <= last && late > 0 {
					late--
					continue
				}
				if string(line[:7]) <= last {
					return fmt.Sprintf("partition %d: %s behind %s", n, line[:7], last)
				}
				last = string(line[:7])
				if times[string(line)]++; times[string(line)] > 1 {
					return fmt.Sprintf("partition %d: %s is there twice", n, last)
				}
				if !want[string(line)] && !h.removed[string(line)] {
					return fmt.Sprintf("partition %d: %s is no line of the log", n, last)
				}
			}
		}
	}
	kept, err := filepath.Glob(filepath.Join(h.dir, "quarantine", "*"))
	if err != nil {
		return err.Error()
	}
	for _, path := range kept {
		line, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		if times[string(line)]++; times[string(line)] > 1 {
			return fmt.Sprintf("%s is in the topic and in the quarantine, or twice in one of them", line[:7])
		}
	}
	for line := range want {
		if times[line] == 0 {
			return line[:7] + " is missing"
		}
	}
	return ""
}

// retain deletes records that every state knows to be final.
func (h *history) retain(p *partition) {
	final := p.high
	for _, s := range h.slots {
		if s == nil || p.index >= len(s.Partitions) {
			return
		}
		final = min(final, s.Partitions[p.index].Offset+1)
	}
	if final > p.start {
		p.start = final - int64(h.rnd.Intn(int(final-p.start)))
		h.note("records of partition %d deleted below %d", p.index, p.start)
	}
}

var lateRecords = regexp.MustCompile(`"records":(\d+),"message":"lines that were sent before the last numbering arrived after it began`)

// late is how many records there may be too many, as the shippers have said.
func (h *history) late() (n int) {
	if !h.mayBeLate {
		return 0
	}
	for _, l := range h.slots[1].Partitions {
		if l.Left != nil {
			n = len(h.removed) + h.next // not counted yet: that takes a line of the partition
		}
	}
	return n + h.said.late()
}

// late is how many records were said to have come late.
func (s *said) late() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range lateRecords.FindAllStringSubmatch(s.text.String(), -1) {
		records, _ := strconv.Atoi(m[1])
		n += records
	}
	return n
}

// brief is what a state says, without its files.
func brief(s *State) string {
	if s == nil {
		return "nothing"
	}
	text, _ := json.Marshal(s.Partitions)
	at := fmt.Sprint("end of ", s.Tail.Next)
	for _, g := range s.Tail.Generations {
		if !g.Done {
			at = fmt.Sprintf("%d:%d begun %v", g.Number, g.Offset, g.Begun)
			break
		}
	}
	return fmt.Sprintf("%s clean %v limit %d %s", at, s.Clean, s.Limit, text)
}

func tell(t *testing.T, seed int64, c controls) (wrong, said string) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t, seed, c)
		h.run()
		wrong, said = h.check(), h.said.text.String()
	})
	return wrong, said
}

func TestHistories(t *testing.T) {
	if *seedFlag != 0 {
		wrong, said := tell(t, *seedFlag, controls{})
		t.Logf("%s\n%s", wrong, said)
		return
	}
	first := time.Now().UnixNano()
	t.Logf("seeds 1 to %d, and from %d on", *histories/2, first)
	for i := range int64(*histories) {
		seed := i + 1
		if i >= int64(*histories/2) {
			seed = first + i
		}
		if wrong, said := tell(t, seed, controls{}); wrong != "" {
			t.Errorf("seed %d: %s", seed, wrong)
			if testing.Verbose() {
				t.Log(said)
			}
			if *keep != "" {
				_ = os.WriteFile(filepath.Join(*keep, fmt.Sprint("history-", seed)), []byte(wrong+"\n"+said), 0o600)
			}
		}
	}
}

// Each rule that the shipper would break is noticed.
func TestHistoriesFindWhatIsWrong(t *testing.T) {
	for name, c := range map[string]controls{
		"decisions in one slot":       {oneSlot: true},
		"no reserved end":             {noReserve: true},
		"the log's disk is forgotten": {unsynced: true},
		"a producer id for each life": {freshID: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := int64(1); seed < 3000; seed++ {
				if wrong, _ := tell(t, seed, c); wrong != "" {
					t.Logf("seed %d: %s", seed, wrong)
					return
				}
			}
			t.Error("3000 histories found nothing")
		})
	}
}

// A fuzzer looks for seeds whose histories go where none has been.
func FuzzHistory(f *testing.F) {
	f.Add(int64(1))
	f.Fuzz(func(t *testing.T, seed int64) {
		if wrong, said := tell(t, seed, controls{}); wrong != "" {
			t.Errorf("seed %d: %s\n%s", seed, wrong, said)
		}
	})
}
