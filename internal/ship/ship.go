// Package ship carries the lines that a tail.Tail reads to a topic and knows
// which of them are safe. Its promise, what it rests on and what it does not
// cover yet is in DESIGN.md.
package ship

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"eventline/internal/tail"
)

const (
	// saveEvery is how often the position is stored while it moves.
	saveEvery = time.Second
	// maxBatchBytes bounds a batch also where the broker would take more: above
	// 1 MiB nothing gets faster, and what is in flight is memory.
	maxBatchBytes = 1 << 20
	// stripeSize is how many bytes of the log go to one partition before the next
	// one is used. A line belongs to the stripe in which it begins.
	stripeSize = 64 << 10
	// maxWaiting is from how many lines for each partition on no more blocks are
	// taken apart: a line costs 24 bytes beside its text, which for a log of empty
	// lines is all.
	maxWaiting = 100_000
	// roomForEach is more than the events that can be on their way for one lane:
	// five answers, and as many that an earlier connection still owes.
	roomForEach = 16
	// idleAfter is how long a connection is kept over which nothing goes.
	idleAfter = 10 * time.Second
	// repeatWarning is how often a trouble that lasts is said again.
	repeatWarning = time.Minute
)

// Options is what a Shipper works with. Stored, Reached, Group, Registerer and Idle
// may be left out.
type Options struct {
	Topic Topic
	// Stored is what the run before left; nil at the very first start.
	Stored *State
	// Rules hold for lines from here on; Home is a number of the log's own, for
	// partitioner File.
	Rules Rules
	Home  uint64
	// MaxLine is how long a line in bytes may be: a longer one goes to the quarantine,
	// whatever Rules say. It is a setting of the numbering like these. Blocks have to have
	// Data of all lines up to Stored.Longest(MaxLine). 0: as long as any with Data.
	MaxLine int
	// Boot names this run of the machine, between two of its starts.
	Boot string
	// Blocks is what was read, in order. When it is closed, Run ends after the
	// last line is safe.
	Blocks <-chan *tail.Block
	// Reached tells whether all that was in the log when reading began has been
	// received from Blocks; nil if that is not known. It may not say so too early.
	Reached func() bool
	// State tells what the reader has to know to go on at a mark. Save makes it
	// durable together with what the Shipper has to know, and returns once it is on
	// disk; with both, no older state may be found by the next run, whatever is
	// damaged.
	State func(tail.Mark) tail.State
	Save  func(s State, both bool) error
	// Sync sees to it that a generation of the log is on disk as far as it was read; nil
	// if a power loss is no concern.
	Sync func(generation int64) error
	// Quarantine is the folder for lines that the broker can't take.
	Quarantine string
	// Delay is the wait before the n-th attempt after a failure, n from 1.
	Delay func(n int) time.Duration
	// Class sorts errors of Topic; see TooLarge and those after it.
	Class func(error) string
	// Drain bounds how long answers are waited for after Run's context has ended.
	Drain time.Duration
	Log   zerolog.Logger
	// Group is shared with other Shippers of the same topic. Without it the Shipper
	// has one of its own, with metrics in Registerer.
	Group      *Group
	Registerer prometheus.Registerer
	// Idle is how long a connection is kept over which nothing goes; the default is
	// 10 s.
	Idle time.Duration
}

// Shipper is one log's way to one topic. Run uses it once.
type Shipper struct {
	o       Options
	metrics *metrics
	events  chan event      // replaced once, when the number of lanes is known
	over    chan struct{}   // closed when nobody takes events any more
	work    context.Context // of connections; outlives Run's by the drain

	topic      Description // what lines go to; its ids are those of the stored state
	lanes      []*lane     // nil until the topic has been described
	maxBytes   int         // of a line, with what goes around it: a setting of the numbering
	batchBytes int
	maxLine    int     // of a line as it is; a setting too
	rules      Rules   // the same
	change     *change // of the settings, waiting for its moment
	clean      bool    // nothing was on its way when the run before ended
	clockSaid  bool    // that the clock is behind
	asking     bool    // for the topic's description
	counting   int     // questions for what came late
	attempts   int     // in vain

	order    order
	hold     *tail.Block // read, and not taken yet
	late     bool        // hold is behind all that was there when reading began
	reached  bool        // see Options.Reached
	drained  bool        // all that was there then is final
	ended    bool        // no more blocks
	stored   bool        // where this run began
	stopping bool
	settled  bool       // the loop has ended
	refusal  error      // why nothing more may be sent
	refused  []refusal  // lines on their way to the quarantine
	kept     []keptLine // lines that are in the quarantine, in order
	recalled bool       // kept was read

	ackedLines uint64
	saved      time.Time

	safe    progress // that may be stored
	stale   bool     // lines got other numbers since
	version int      // of the numbers
	syncing bool     // the log
	reading int64    // generation that lines are taken from; -1 before the first

	view view
}

// New makes a Shipper. It does no I/O.
func New(o Options) *Shipper {
	o.Class = withOwn(o.Class)
	if o.Group == nil {
		o.Group = NewGroup(o.Class, o.Log, o.Registerer)
	}
	if o.Idle <= 0 {
		o.Idle = idleAfter
	}
	if o.Reached == nil {
		o.Reached = func() bool { return false }
	}
	if o.Sync == nil {
		o.Sync = func(int64) error { return nil }
	}
	if o.Stored == nil {
		o.Stored = &State{Clean: true}
	}
	return &Shipper{
		o: o, metrics: o.Group.metrics, events: make(chan event, roomForEach), over: make(chan struct{}),
		clean: o.Stored.Clean, maxBytes: o.Stored.Limit, maxLine: cmp.Or(o.Stored.MaxLine, o.MaxLine), rules: o.Stored.Rules, saved: time.Now(), reading: beginsIn(o.Stored.Tail),
	}
}

// Run ships until ctx ends, or until every line of a closed Blocks is safe. It
// retries for ever. Its error is nil, or says that the state could not be stored at
// the end, or is a *RefusedError: then a person has to decide.
func (s *Shipper) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.work = work
	s.o.Group.join(s)
	defer s.o.Group.leave(s)
	tick := time.NewTimer(saveEvery)
	defer tick.Stop()
	ticking := true
	done := ctx.Done()
	var drained <-chan time.Time
	s.describe()
	for !s.finished() {
		var blocks <-chan *tail.Block
		if s.hold == nil && !s.ended && !s.stopping {
			blocks = s.o.Blocks
		}
		reached := s.reached || s.o.Reached()
		select {
		case b, ok := <-blocks:
			s.hold, s.ended, s.late = b, !ok, reached
		case e := <-s.events:
			s.handle(e)
		case now := <-tick.C:
			ticking = false
			s.everySecond(now)
		case <-done:
			done, s.stopping = nil, true
			drained = time.After(s.o.Drain)
		case <-drained:
			drained = nil
			s.giveUp()
		}
		s.reached = reached
		s.take()
		s.wonder()
		s.pump()
		s.advance()
		s.drain()
		s.show()
		if !ticking && s.busyOrUnsaved() {
			ticking = true
			tick.Reset(saveEvery)
		}
	}
	cancel()
	s.disconnect()
	close(s.over)
	s.advance()
	s.clean, s.settled = s.nothingOnItsWay(), true
	var err error
	if s.stored {
		s.stale = true
		err = s.save(false)
	}
	s.show()
	if s.hold != nil {
		s.hold.Release()
	}
	s.order.release()
	if s.refusal != nil {
		return s.refusal
	}
	return err
}

// everySecond does what is done once a second while there is anything to do.
func (s *Shipper) everySecond(now time.Time) {
	s.letGo(now)
	s.quarantineAll()
	s.advance()
	for _, l := range s.lanes {
		if l.looks > 0 {
			s.look(l)
		}
	}
	s.secure()
	for _, l := range s.lanes {
		l.ahead, l.marked = 0, l.next
	}
}

// busyOrUnsaved says whether there is something to look after once a second. A
// Shipper of a quiet log sleeps.
func (s *Shipper) busyOrUnsaved() bool {
	return s.order.moved || len(s.refused) > 0 || s.hold != nil || s.busy() || s.wonders()
}

// finished says whether Run has nothing to wait for any more.
func (s *Shipper) finished() bool {
	if s.ended && s.hold == nil && len(s.order.chunks) == 0 {
		return true
	}
	if !s.stopping {
		return false
	}
	for _, l := range s.lanes {
		if l.session != nil && l.session.pending > 0 {
			return false
		}
	}
	return true
}

// nothingOnItsWay tells whether every line that was ever sent is behind the
// frontier.
func (s *Shipper) nothingOnItsWay() bool {
	switch {
	case s.lanes == nil:
		return s.clean // as it was
	case s.refusal != nil, !s.clean && !s.drained, len(s.order.chunks) > 0:
		return false
	}
	for _, l := range s.lanes {
		if l.doubtful() || l.comparing() || l.final != max(l.before, -1) {
			return false
		}
	}
	return true
}

// through tells whether all that was in the log when reading began was dealt with.
func (s *Shipper) through() bool {
	return s.reached && len(s.order.chunks) == 0 && (s.hold == nil || s.late)
}

// wonders tells whether there is a lane of which it is not known what the topic holds.
func (s *Shipper) wonders() bool {
	return !s.drained && !s.stopping && slices.ContainsFunc(s.lanes, (*lane).doubtful)
}

// wonder asks what an earlier process has sent, though nothing is to be sent, as soon as
// what was in the log has been read. It could be asked with the next line, but that may
// come when the leader has forgotten it, and the records are gone.
func (s *Shipper) wonder() {
	if !s.wonders() || !s.through() {
		return
	}
	for _, l := range s.lanes {
		l.wanted = l.wanted || l.doubtful() && l.state == laneDown && !l.retrying
	}
}

// drain takes note when everything that an earlier process can have sent is final.
func (s *Shipper) drain() {
	if s.drained || !s.through() {
		return
	}
	s.drained = true
	for _, l := range s.lanes {
		if l.doubtful() || l.comparing() || l.fresh && l.loaded > l.final {
			// The topic may hold, or holds, or may get by a request that has outlived the
			// machine, lines that the log has no more.
			s.drained = false
			continue
		}
		l.loaded = -1
	}
}

// describe asks for the topic's description beside the loop.
func (s *Shipper) describe() {
	s.asking = true
	go func() {
		d, err := s.o.Topic.Describe(s.work)
		s.events <- event{kind: eventDescribed, topic: d, err: err}
	}()
}

func (s *Shipper) advance() { s.metrics.acked.Add(float64(s.order.advance())) }

// pump opens the lanes that have something to send and fills their windows.
func (s *Shipper) pump() {
	for _, l := range s.lanes {
		if l.idle() || s.stopping {
			if l.err != nil && l.state == laneOpen && !s.stopping {
				l.attempts, l.err = 0, nil // there was no answer to a batch to end the trouble
				s.healed()
			}
			continue
		}
		if l.state == laneDown && !l.retrying {
			s.open(l)
		}
		if l.state != laneOpen || !s.resume(l) {
			continue
		}
		for l.state == laneOpen && l.session.pending < l.depth(time.Now()) {
			if l.unsent == 0 && !s.cut(l) {
				break
			}
			now := time.Now()
			if now.Sub(l.lastSent) >= quiet && now.Sub(l.seen) >= quiet {
				s.look(l) // the answer pumps again
				break
			}
			s.send(l, now)
		}
	}
}

// cut makes the next batch of a lane, if there is something to send and it may be.
func (s *Shipper) cut(l *lane) bool {
	if len(l.waiting) == 0 {
		return false
	}
	if room := l.may() - l.next + 1; room < int64(s.batchBytes/recordOverhead) {
		if want := l.wants(s.batchBytes); room < want && s.reserve(l, want) != nil && room <= 0 {
			return false // said, and tried again, with the next tick
		}
	}
	b := l.cut(s.batchBytes, l.may())
	if b == nil {
		return false
	}
	l.window = append(l.window, b)
	for _, p := range b.pieces {
		if err := s.reclaim(p); err != nil {
			s.o.Group.cannotStore(s, err)
			l.uncut(len(l.window) - 1)
			return false // said, and tried again, with the next tick
		}
	}
	l.unsent = 1
	return true
}

// send hands the first unsent batch of a lane's window to its connection.
func (s *Shipper) send(l *lane, now time.Time) {
	b := l.window[len(l.window)-l.unsent]
	l.unsent--
	l.flying = append(l.flying, b)
	l.session.pending++
	l.sent = max(l.sent, b.last())
	l.looks, l.lastSent, b.sent = 2, now, now
	// The channel has room for a full window: this never blocks.
	l.session.batches <- Batch{ProducerID: l.id, Epoch: l.epoch, FirstSequence: sequenceOf(b.first), Time: now, Lines: b.lines}
}
