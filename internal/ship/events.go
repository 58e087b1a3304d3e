package ship

import (
	"context"
	"errors"
	"time"
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
	case eventLooked:
		s.looked(e)
	case eventSynced:
		s.synced(e)
	case eventLeft:
		s.counted(e)
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
	d, stored := e.topic, s.o.Stored
	s.topic = Description{ClusterID: stored.Cluster, TopicID: stored.Topic}
	if err := s.fits(d); err != nil {
		s.refuseAll(err)
		return
	}
	s.topic = d
	s.batchBytes = min(d.MaxBytes, maxBatchBytes)
	partitions := len(stored.Partitions)
	if partitions == 0 {
		partitions = int(d.Partitions)
		s.maxBytes, s.maxLine, s.rules = s.batchBytes, s.o.MaxLine, s.o.Rules
	}
	if partitions != int(d.Partitions) || s.maxBytes != s.batchBytes || s.maxLine != s.o.MaxLine || s.rules != s.o.Rules {
		s.change = &change{partitions: int(d.Partitions), maxBytes: s.batchBytes, maxLine: s.o.MaxLine, rules: s.o.Rules}
	}
	for i := range partitions {
		st := noNumbering()
		if i < len(stored.Partitions) {
			st = stored.Partitions[i]
		}
		l := newLane(int32(i), st)
		switch {
		case s.clean:
			l.boot, l.loaded = s.o.Boot, l.final
		case l.id >= 0 && l.boot != s.o.Boot:
			l.fresh = true
		}
		s.lanes = append(s.lanes, l)
	}
	s.safe.lanes = s.now().lanes
	// Nothing else can be on its way here yet. For all lanes there is more room than
	// answers, so that a callback does not wait for the loop as a rule: there may be more
	// partitions later.
	s.events = make(chan event, roomForEach*int(d.Partitions)+roomForEach)
	s.healed()
}

// fits refuses a topic in which nothing can be appended exactly once.
func (s *Shipper) fits(d Description) error {
	if err := sameTopic(s.topic, d); err != nil {
		return err
	}
	switch n := len(s.o.Stored.Partitions); {
	case d.Compacted:
		return refusef("set cleanup.policy=delete, or ship to another topic", "the topic is compacted: Kafka refuses lines without a key, and would remove others")
	case n > int(d.Partitions):
		return refusef(remedyAdopt, "the topic has %d partitions, lines were sent to %d", d.Partitions, n)
	}
	return nil
}

// open connects a lane beside the loop, and asks what the leader holds of it.
func (s *Shipper) open(l *lane) {
	l.state, l.wanted = laneOpening, false
	q := question{
		partition: l.partition, id: l.id, epoch: l.epoch, final: l.final, offset: l.offset,
		most: max(l.sent, l.loaded), careful: l.fresh || l.careful, fresh: l.fresh,
	}
	virgin, want := l.virgin(), s.topic
	go func() {
		e := event{lane: l, kind: eventOpened, question: q}
		if e.topic, e.err = s.o.Topic.Identity(s.work); e.err == nil {
			e.err = sameTopic(want, e.topic)
		}
		to := &way{open: func(ctx context.Context) (Appender, error) { return s.o.Topic.Open(ctx, q.partition) }}
		if e.err == nil {
			e.err = to.connect(s.work)
		}
		switch {
		case e.err != nil:
		case virgin:
			e.found, e.err = begin(s.work, to, s.o.Topic, q, s.o.Class)
		default:
			e.found, e.err = q.ask(s.work, to, s.o.Topic, s.o.Class, s.o.Delay)
		}
		if e.err != nil {
			to.leave()
		} else {
			e.session = &session{appender: to.Appender, batches: make(chan Batch, maxInFlight)}
		}
		e.stamp = to.stamp
		s.events <- e
	}()
}

// opened goes on from what the leader holds.
func (s *Shipper) opened(e event) {
	l := e.lane
	s.clock(l, e.stamp)
	l.state = laneDown
	if e.err != nil {
		var refused *RefusedError
		if errors.As(e.err, &refused) {
			s.refuseAll(e.err)
			return
		}
		s.again(l, e.err)
		return
	}
	l.state, l.session = laneOpen, e.session
	l.session.start(l, s.events, s.over)
	l.used, l.seen, l.proven, l.resumed = time.Now(), time.Now(), false, false
	if q := e.question; s.stopping || q.id != l.id || q.epoch != l.epoch || q.final != l.final || l.careful && !q.careful {
		// Nothing more is sent, or it was asked of what has changed meanwhile.
		l.unsent, l.err, l.wanted = len(l.window), nil, l.careful
		s.breakOff(l)
		return
	}
	f := e.found
	l.id, l.epoch, l.unknown, l.answered = f.id, f.epoch, f.unknown, true
	l.sure, l.careful = l.sure || l.careful, false
	if l.virgin() {
		l.boot = s.o.Boot
		s.safe.lanes[l.partition].offset = f.offset // of a numbering of which nothing was stored yet
		s.version++                                 // and what is on its way to be stored does not know it
	}
	switch {
	case f.lost > 0:
		s.lost(l, f)
	case f.last > l.final:
		// Lines that are there, perhaps of another process and cut in another way. They
		// come once more, to be compared.
		l.uncut(0)
		l.claims = claims{checked: l.final, sums: f.sums, offset: f.offset}
		l.disorder = 0
		if f.begins < l.offset { // the state is of before a loss
			l.offset = f.begins
			s.stale, s.order.moved = true, true
			s.version++
		}
	default:
		l.offset = f.offset
		l.claims = claims{checked: l.final, offset: f.offset}
	}
	l.unsent = len(l.window)
}

// lost deals with records that the cluster had acknowledged and has no longer.
func (s *Shipper) lost(l *lane, f *found) {
	l.uncut(0)
	gone := max(l.next-1-f.last, 0)
	s.o.Log.Error().Int32("partition", l.partition).Int64("producer_id", l.id).Int64("lines", f.lost).Int64("sent_again", f.lost-gone).
		Msg("cluster has lost lines that it had acknowledged")
	s.metrics.lost.Add(float64(f.lost))
	if gone == 0 {
		// That less is final, and at which offsets what comes next will be, is in both slots
		// before anything leaves.
		l.loaded = max(l.loaded, l.sent)
		l.final, l.offset, l.claims = f.last, f.offset, claims{checked: f.last}
		l.reserved = [2]int64{f.last, f.last}
		s.stale, s.order.moved = true, true
		s.version++
		return
	}
	// The lines are behind the frontier; their numbers can't be used for others. What was
	// sent after them may be there or come, if only the leader was not the right one.
	l.offset = f.offset
	s.renumber(l, l.next, max(l.sent, l.loaded) > l.final)
}

// renumber begins a new numbering, with a connection of its own.
func (s *Shipper) renumber(l *lane, first int64, doubt bool) {
	l.renumber(first, doubt)
	l.unlearn(s.reading + 1)
	l.boot = s.o.Boot
	s.stale, s.order.moved = true, true
	s.version++
	s.metrics.numberings.Inc()
	s.breakOff(l)
}

// leaveOut keeps the line that comes next, and that the leader refuses, in the
// quarantine, and begins a new numbering behind it.
func (s *Shipper) leaveOut(l *lane) {
	c, line := l.waiting[0].chunk, l.waiting[0].lines[0]
	if err := s.keep(refusal{chunk: c, at: positionOf(c, line), content: bytesOf(line)}); err != nil {
		l.err = err
		s.breakOff(l)
		return
	}
	l.take(1)
	l.next++
	l.inRow++
	l.err = nil
	s.metrics.cuts.Inc()
	s.renumber(l, l.next, true)
}

// settle takes note that lines up to a number are final.
func (s *Shipper) settle(l *lane, number int64) {
	lines := 0
	l.settle(number, func(b *batch) {
		for _, p := range b.pieces {
			s.order.final(p.chunk, len(p.lines))
		}
		lines += len(b.lines)
	})
	s.metrics.ackedLines.Add(float64(lines))
	s.ackedLines += uint64(lines)
}

// answered takes the answer to the oldest batch that is under way: answers come in
// the order of sending.
func (s *Shipper) answered(e event) {
	l := e.lane
	e.session.pending--
	if e.session.broken {
		return // an earlier answer was an error; this one says no more than that
	}
	b := l.flying[0]
	l.flying[0] = nil
	l.flying = l.flying[1:]
	if e.err == nil {
		if b.last() > l.final {
			s.settle(l, b.last())
			if e.base >= 0 {
				l.offset = e.base + int64(len(b.lines)) - 1
				l.receipts.add(e.base, b)
			}
		}
		// Not when the answer came: a leader forgets an id by the time of its records.
		l.inRow = 0
		l.proven, l.took, l.attempts, l.disorder, l.err = true, b.sent, 0, 0, nil
		l.used, l.limit = time.Now(), min(2*l.limit, mostLines)
		s.count(l)
		s.healed()
		return
	}
	l.err = e.err
	switch s.o.Class(e.err) {
	case TooLarge, Refused:
		// Where it was sent before, and is in the log, that shows when the leader is asked.
		l.uncut(0)
		l.limit, l.refused = max(len(b.lines)/2, 1), -1
		if len(b.lines) == 1 && (l.inRow < mostRefused || s.o.Class(e.err) == TooLarge) {
			l.refused = b.first
		}
	case OutOfOrder:
		l.disorder++
	}
	s.metrics.recoveries.WithLabelValues(s.o.Class(e.err)).Inc()
	s.breakOff(l)
}

// breakOff ends a lane's connection, to begin again with asking the leader.
func (s *Shipper) breakOff(l *lane) {
	if l.state != laneOpen || l.session.broken {
		return
	}
	l.state = laneClosing
	l.session.close(l, s.events)
}

func (s *Shipper) closed(l *lane) {
	l.state, l.session, l.flying = laneDown, nil, nil
	if l.leaving {
		l.leaving = false
		return
	}
	if l.err == nil {
		return // it was ended from here
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
// most are quiet. The producer id and its numbering stay.
func (s *Shipper) letGo(now time.Time) {
	for _, l := range s.lanes {
		if l.state == laneOpen && l.idle() && l.session.pending == 0 && now.Sub(l.used) >= s.o.Idle {
			l.leaving = true
			s.breakOff(l)
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
	case Refused:
		if l.inRow < mostRefused {
			wait = 0
			break
		}
		s.o.Group.fails(s, err, wait) // it is not the lines
	default:
		s.o.Group.fails(s, err, wait)
	}
	l.retrying = true
	after(s.work, wait, s.events, event{lane: l, kind: eventRetry})
}

// after sends e in a while, unless ctx ends before.
func after(ctx context.Context, d time.Duration, events chan<- event, e event) {
	go func() {
		if sleep(ctx, d) != nil {
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
		s.breakOff(l)
	}
}

// disconnect ends all connections and what runs beside the loop.
func (s *Shipper) disconnect() {
	s.stopping = true
	s.giveUp()
	for s.asking || s.syncing || s.counting > 0 || s.busy() {
		e := <-s.events
		if e.kind != eventDescribe && e.kind != eventRetry {
			s.handle(e)
		}
	}
}

func (s *Shipper) busy() bool {
	for _, l := range s.lanes {
		if l.state != laneDown || l.asking {
			return true
		}
	}
	return false
}
