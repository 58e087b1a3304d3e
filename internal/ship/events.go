package ship

import (
	"context"
	"time"

	"eventline/internal/tail"
)

// handle takes one event into account.
func (s *Shipper) handle(e event) {
	switch e.kind {
	case eventDescribed:
		s.described(e)
	case eventDescribe:
		s.describe()
	case eventOpened:
		s.opened(e)
	case eventAnswered:
		s.answered(e)
	case eventClosed:
		s.closed(e.lane)
	case eventRetry:
		e.lane.retrying = false // pump opens it
	}
}

func (s *Shipper) described(e event) {
	s.asking = false
	if e.err != nil && s.stopping {
		return
	}
	if e.err != nil {
		s.attempts++
		wait := s.o.Delay(s.attempts)
		s.o.Group.fails(s, e.err, wait)
		if !s.stopping {
			after(s.work, wait, s.events, event{kind: eventDescribe})
		}
		return
	}
	s.attempts = 0
	s.maxBytes = min(e.maxBytes, maxBatchBytes)
	s.lanes = make([]*lane, e.partitions)
	for i := range s.lanes {
		s.lanes[i] = newLane(int32(i))
	}
	// Nothing else can be on its way here yet, and for all lanes there is more room
	// than answers, so that a callback never waits for the loop.
	s.events = make(chan event, roomForEach*len(s.lanes)+roomForEach)
	s.healed()
}

func (s *Shipper) opened(e event) {
	l := e.lane
	if e.err != nil {
		l.state = laneDown
		s.again(l, e.err)
		return
	}
	l.id, l.epoch, l.session = e.id, e.epoch, e.session
	l.state, l.proven, l.unsent, l.used = laneOpen, false, len(l.window), time.Now()
	l.session.start(l, s.events)
	if s.stopping {
		l.state = laneClosing
		l.session.close(l, s.events)
	}
}

// answered takes the answer to the oldest batch of a lane's window: answers come
// in the order of sending.
func (s *Shipper) answered(e event) {
	l := e.lane
	e.session.pending--
	if e.session.broken {
		return // an earlier answer was an error; this one says no more than that
	}
	if e.err == nil {
		b := l.window[0]
		l.window[0] = nil // nothing may keep its lines in memory
		if l.window = l.window[1:]; len(l.window) == 0 {
			l.window = nil
		}
		for _, p := range b.pieces {
			s.order.final(p.chunk, len(p.lines))
		}
		s.metrics.ackedLines.Add(float64(len(b.lines)))
		s.ackedLines += uint64(len(b.lines))
		l.proven, l.took, l.attempts, l.err = true, time.Now(), 0, nil
		l.used = l.took
		s.healed()
		return
	}
	l.err = e.err
	switch s.o.Class(e.err) {
	case TooLarge:
		s.tooLarge(l)
	case OutOfOrder:
		// The leader no longer knows what it took from us. With a fresh id the
		// window is sent again; what of it was stored already is stored twice.
		s.o.Log.Warn().Err(e.err).Int32("partition", l.partition).Int("lines", lines(l.window)).
			Msg("leader lost track of the producer, lines may be stored twice")
		s.renumber(l)
	}
	l.state = laneClosing
	l.session.close(l, s.events)
}

// tooLarge deals with a refusal for size of the first batch in the window: with
// smaller batches, or, where it is a single line, without that line.
func (s *Shipper) tooLarge(l *lane) {
	b := l.window[0]
	n := len(b.lines)
	l.uncut(0)
	if n > 1 {
		l.limit = n / 2
		return
	}
	// Its sequence would mean another line from now on, and a request of before
	// may still be on its way: a fresh id.
	line := l.dropFirst()
	s.renumber(l)
	s.refuse(refusal{chunk: b.pieces[0].chunk, at: positionOf(b.pieces[0].chunk, line), content: bytesOf(line)})
}

// renumber lets the lane begin with a fresh producer id.
func (s *Shipper) renumber(l *lane) {
	if len(l.window) > 0 {
		l.uncut(0)
	}
	l.id, l.sequence = -1, 0
}

func (s *Shipper) closed(l *lane) {
	l.state, l.session = laneDown, nil
	l.unsent = len(l.window)
	if l.leaving {
		l.leaving = false
		return
	}
	s.again(l, l.err)
}

// healed takes note that Kafka does its part.
func (s *Shipper) healed() {
	for _, l := range s.lanes {
		if l.err != nil {
			return // another partition is still in trouble
		}
	}
	s.o.Group.heals(s)
}

// letGo ends connections over which nothing has gone for a while: of many logs
// most are quiet. The producer id and its sequence stay.
func (s *Shipper) letGo(now time.Time) {
	for _, l := range s.lanes {
		if l.state == laneOpen && l.idle() && l.session.pending == 0 && now.Sub(l.used) >= s.o.Idle {
			l.state, l.leaving = laneClosing, true
			l.session.close(l, s.events)
		}
	}
}

// again tries a lane anew after a while, unless the end has come.
func (s *Shipper) again(l *lane, err error) {
	if s.stopping {
		return
	}
	l.attempts++
	l.err = err
	wait := s.o.Delay(l.attempts)
	switch s.o.Class(err) {
	case TooLarge, Stale:
		wait = 0 // it is smaller now, or nothing was wrong
	default:
		s.o.Group.fails(s, err, wait)
	}
	l.retrying = true
	after(s.work, wait, s.events, event{lane: l, kind: eventRetry})
}

// after sends e in a while, unless ctx ends before.
func after(ctx context.Context, d time.Duration, events chan<- event, e event) {
	go func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}()
}

// giveUp breaks the connections whose answers did not come within the drain.
func (s *Shipper) giveUp() {
	for _, l := range s.lanes {
		if l.state == laneOpen && !l.session.broken {
			l.state = laneClosing
			l.session.close(l, s.events)
		}
	}
}

// disconnect ends all connections and what runs beside the loop.
func (s *Shipper) disconnect() {
	s.stopping = true
	s.giveUp()
	for s.asking || s.busy() {
		e := <-s.events
		if e.kind != eventDescribe && e.kind != eventRetry {
			s.handle(e)
		}
	}
}

func (s *Shipper) busy() bool {
	for _, l := range s.lanes {
		if l.state != laneDown {
			return true
		}
	}
	return false
}

// positionOf finds a line of a chunk again.
func positionOf(c *chunk, line []byte) tail.Position {
	b := c.held.block
	p := b.Start
	tail.Lines(b.Data, func(l []byte, end int) bool {
		if len(l) == len(line) && len(l) > 0 && &l[0] == &line[0] {
			return false
		}
		p.Offset = b.Start.Offset + int64(end)
		return true
	})
	return p
}

func lines(window []*batch) int {
	n := 0
	for _, b := range window {
		n += len(b.lines)
	}
	return n
}
