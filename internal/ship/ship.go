// Package ship carries the lines that a tail.Tail reads to a topic and knows
// which of them are safe. Its promise, what it rests on and what it does not
// cover yet is in DESIGN.md.
package ship

import (
	"context"
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

// Options is what a Shipper works with. Group, Registerer and Idle may be left out.
type Options struct {
	Topic Topic
	// Blocks is what was read, in order. When it is closed, Run ends after the
	// last line is safe.
	Blocks <-chan *tail.Block
	// State and Save make a position durable: Save returns once it is on disk.
	State func(tail.Mark) tail.State
	Save  func(tail.State) error
	// Quarantine is the folder for lines that the broker can't take.
	Quarantine string
	// Delay is the wait before the n-th attempt after a failure, n from 1.
	Delay func(n int) time.Duration
	// Class sorts errors of Topic; see TooLarge and OutOfOrder.
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
	work    context.Context // of connections; outlives Run's by the drain

	lanes    []*lane // nil until the topic has been described
	maxBytes int
	asking   bool // for the topic's description
	attempts int  // in vain

	order    order
	hold     *tail.Block // read, and not taken yet
	ended    bool        // no more blocks
	stored   bool        // where this run began
	stopping bool
	refused  []refusal // lines on their way to the quarantine

	ackedLines uint64

	view view
}

// New makes a Shipper. It does no I/O.
func New(o Options) *Shipper {
	if o.Group == nil {
		o.Group = NewGroup(o.Class, o.Log, o.Registerer)
	}
	if o.Idle <= 0 {
		o.Idle = idleAfter
	}
	return &Shipper{o: o, metrics: o.Group.metrics, events: make(chan event, roomForEach)}
}

// Run ships until ctx ends, or until every line of a closed Blocks is safe. It
// retries for ever: its error is nil, or says that the position could not be
// stored at the end. After it lines may be in the topic that the stored position
// does not cover; the next run sends those again.
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
		select {
		case b, ok := <-blocks:
			s.hold, s.ended = b, !ok
		case e := <-s.events:
			s.handle(e)
		case now := <-tick.C:
			ticking = false
			s.letGo(now)
			s.quarantineAll()
			s.advance()
			if err := s.save(); err != nil {
				s.o.Log.Warn().Err(err).Msg("position not stored, trying again")
			}
		case <-done:
			done, s.stopping = nil, true
			drained = time.After(s.o.Drain)
		case <-drained:
			drained = nil
			s.giveUp()
		}
		s.take()
		s.advance()
		s.pump()
		s.show()
		if !ticking && s.busyOrUnsaved() {
			ticking = true
			tick.Reset(saveEvery)
		}
	}
	cancel()
	s.disconnect()
	s.advance()
	err := s.save()
	s.show()
	if s.hold != nil {
		s.hold.Release()
	}
	s.order.release()
	return err
}

// busyOrUnsaved says whether there is something to look after once a second. A
// Shipper of a quiet log sleeps.
func (s *Shipper) busyOrUnsaved() bool {
	return s.order.moved || len(s.refused) > 0 || s.hold != nil || s.busy()
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

// describe asks for the topic's description beside the loop.
func (s *Shipper) describe() {
	s.asking = true
	go func() {
		n, maxBytes, err := s.o.Topic.Describe(s.work)
		s.events <- event{kind: eventDescribed, partitions: n, maxBytes: maxBytes, err: err}
	}()
}

// take deals with the block that was read last, if it can be dealt with now.
func (s *Shipper) take() {
	b := s.hold
	if b == nil {
		return
	}
	if b.Decision != nil {
		// Lines before it may be unsafe still; then the state at this block can't
		// be the durable one yet.
		if len(s.order.chunks) > 0 {
			return
		}
		if s.saveStart(b) != nil {
			return // said, and tried again, with the next tick
		}
		b.Release()
		s.hold = nil
		return
	}
	if !s.stored {
		// From now on the log's files are known to the next run, whatever becomes
		// of Kafka: one that is gone by then is missed and said, not passed over.
		if err := s.saveStart(b); err != nil {
			s.o.Log.Warn().Err(err).Msg("position not stored, trying again")
		}
	}
	if s.lanes == nil || s.waiting() > maxWaiting*len(s.lanes) {
		return
	}
	s.hold = nil
	s.split(b)
}

// saveStart makes the beginning of b, before which everything is final, durable.
func (s *Shipper) saveStart(b *tail.Block) error {
	s.stored = true
	s.order.frontier = b.Mark(b.Start.Offset, s.order.frontier.Before)
	s.order.moved = true
	return s.save()
}

// waiting is how many lines are in no batch yet.
func (s *Shipper) waiting() int {
	n := 0
	for _, l := range s.lanes {
		for _, p := range l.waiting {
			n += len(p.lines)
		}
	}
	return n
}

// split deals the lines of a block out to the lanes.
func (s *Shipper) split(b *tail.Block) {
	h := &held{block: b}
	s.metrics.read(b)
	if b.TooLong > 0 {
		h.chunks = 1
		c := &chunk{held: h, end: b.End.Offset, open: 1, size: b.End.Offset - b.Start.Offset}
		s.order.add(c)
		s.refuse(refusal{chunk: c, at: b.Start, content: b.Long})
		return
	}
	var c *chunk
	var current *lane
	lines := make([][]byte, 0, b.Lines)
	first := 0
	flush := func() {
		if c != nil && len(lines) > first {
			current.add(c, lines[first:len(lines):len(lines)])
		}
		first = len(lines)
	}
	at := b.Start.Offset
	tail.Lines(b.Data, func(line []byte, end int) bool {
		l := s.laneOf(tail.Position{Generation: b.Start.Generation, Offset: at})
		if c == nil || l != current {
			flush()
			c, current = &chunk{held: h}, l
			s.order.chunks = append(s.order.chunks, c)
			h.chunks++
		}
		next := b.Start.Offset + int64(end)
		c.end, c.size = next, c.size+next-at
		if len(line) == 0 {
			at = next // says nothing, and consumers of JSON stumble over it
			return true
		}
		c.open++
		s.order.lines++
		if len(line)+recordOverhead+batchOverhead > s.maxBytes {
			flush()
			s.refuse(refusal{chunk: c, at: tail.Position{Generation: b.Start.Generation, Offset: at}, content: bytesOf(line)})
		} else {
			lines = append(lines, line)
		}
		at = next
		return true
	})
	flush()
	if h.chunks == 0 {
		b.Release()
	}
}

// laneOf is the partition of the line that begins at p: a function of its
// position alone, so that a line read again goes where it went before.
func (s *Shipper) laneOf(p tail.Position) *lane {
	if len(s.lanes) == 1 {
		return s.lanes[0]
	}
	return s.lanes[(p.Generation+p.Offset/stripeSize)%int64(len(s.lanes))]
}

func (s *Shipper) advance() { s.metrics.acked.Add(float64(s.order.advance())) }

// save makes the frontier durable if it has moved.
func (s *Shipper) save() error {
	if !s.order.moved {
		return nil
	}
	if err := s.o.Save(s.o.State(s.order.frontier)); err != nil {
		return err
	}
	s.order.moved = false
	return nil
}

// Settle stores the position once more, after Run, for the reader's state to be the
// last one: what it knows of its files may have changed since the position moved.
func (s *Shipper) Settle() error {
	s.order.moved = s.stored
	return s.save()
}

// pump opens the lanes that have something to send and fills their windows.
func (s *Shipper) pump() {
	for _, l := range s.lanes {
		if l.idle() || s.stopping {
			continue
		}
		if l.state == laneDown && !l.retrying {
			l.open(s.work, s.o.Topic, s.events)
		}
		for l.state == laneOpen && l.session.pending < l.depth(time.Now()) {
			if l.unsent == 0 {
				if len(l.waiting) == 0 {
					break
				}
				l.window = append(l.window, l.cut(s.maxBytes))
				l.unsent = 1
			}
			b := l.window[len(l.window)-l.unsent]
			l.unsent--
			l.session.pending++
			// The channel has room for a full window: this never blocks.
			l.session.batches <- Batch{ProducerID: l.id, Epoch: l.epoch, FirstSequence: b.first, Time: time.Now(), Lines: b.lines}
		}
	}
}
