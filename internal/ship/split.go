package ship

import "eventline/internal/tail"

// take deals with the block that was read last, if it can be dealt with now.
func (s *Shipper) take() {
	b := s.hold
	if b == nil {
		return
	}
	if !s.stored {
		s.order.frontier = b.Mark(b.Start.Offset, s.order.frontier.Before)
	}
	if b.Decision != nil {
		// Lines before it may be unsafe still; then the state at this block can't
		// be the durable one yet.
		if s.lanes == nil && !s.clean || len(s.order.chunks) > 0 || !s.pastClaims(b.Start.Generation) {
			return
		}
		if s.saveStart(b) != nil {
			return // said, and tried again, with the next tick
		}
		s.reading = b.Start.Generation
		b.Release()
		s.hold = nil
		return
	}
	if !s.stored {
		// From now on the log's files are known to the next run, whatever becomes
		// of Kafka: one that is gone by then is missed and said, not passed over.
		if s.saveStart(b) != nil {
			return
		}
	}
	if err := s.recall(); err != nil {
		s.o.Group.cannotStore(s, err)
		return
	}
	if s.lanes == nil || !s.changed() || s.waiting() > maxWaiting*len(s.lanes) {
		return
	}
	s.hold = nil
	if s.reading >= 0 && b.Start.Generation != s.reading {
		for _, l := range s.lanes {
			l.begin(b.Start.Generation)
		}
	}
	s.reading = b.Start.Generation
	s.split(b)
}

// beginsIn is the generation in which reading goes on, -1 if there is none yet.
func beginsIn(s tail.State) int64 {
	for _, g := range s.Generations {
		if !g.Done {
			return g.Number
		}
	}
	return -1
}

// saveStart makes the beginning of b, before which everything is final, durable.
func (s *Shipper) saveStart(b *tail.Block) error {
	s.order.frontier = b.Mark(b.Start.Offset, s.order.frontier.Before)
	s.stale = true
	err := s.saveOrSay(true)
	s.stored = s.stored || err == nil
	return err
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
			c.numbered += int64(len(lines) - first)
			current.add(c, lines[first:len(lines):len(lines)])
		}
		first = len(lines)
	}
	at := b.Start.Offset
	tail.Lines(b.Data, func(line []byte, end int) bool {
		l := s.laneOf(tail.Position{Generation: b.Start.Generation, Offset: at})
		if c == nil || l != current {
			flush()
			c, current = &chunk{held: h, lane: l}, l
			s.order.chunks = append(s.order.chunks, c)
			h.chunks++
		}
		next := b.Start.Offset + int64(end)
		c.end, c.size = next, c.size+next-at
		if len(line) == 0 {
			at = next // says nothing, and consumers of JSON stumble over it
			return true
		}
		was := len(lines)
		lines = s.parts(line, lines)
		n := max(len(lines)-was, 1)
		c.open += n
		s.order.lines += n
		switch {
		case len(lines) == was:
			flush()
			s.refuse(refusal{chunk: c, at: tail.Position{Generation: b.Start.Generation, Offset: at}, content: bytesOf(line)})
		case n > 1:
			s.metrics.split.Inc()
		case len(lines[was]) < len(line):
			s.metrics.truncated.Inc()
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
	switch {
	case len(s.lanes) == 1:
		return s.lanes[0]
	case s.rules.Partitioner == File:
		return s.lanes[s.o.Home%uint64(len(s.lanes))]
	}
	return s.lanes[(p.Generation+p.Offset/stripeSize)%int64(len(s.lanes))]
}

// resume goes on from what the leader holds: the lines that it has already go no
// further. It reports whether the lane may send.
func (s *Shipper) resume(l *lane) bool {
	if l.resumed {
		return true
	}
	if !s.compare(l) || l.comparing() {
		return false
	}
	if len(l.claims.sums) > 0 {
		l.offset = l.claims.offset
		l.claims = claims{checked: l.final}
	}
	l.resumed, l.sent = true, max(l.sent, l.final)
	switch {
	case l.refused == l.final+1:
		s.leaveOut(l)
	case l.fresh:
		s.o.Log.Info().Int32("partition", l.partition).Int64("producer_id", l.id).
			Msg("machine was started anew since lines were sent, beginning a new numbering")
		s.renumber(l, l.next, true)
	case l.unknown && l.disorder > 1:
		// Some brokers (before Kafka 2.5) take only sequence 0 of an id that they do not know.
		l.uncut(0)
		s.renumber(l, l.next, true)
	case l.disorder >= confirmations:
		s.refuseAll(refusef(remedyAdopt, "partition %d: the leader holds line %d of producer id %d and refuses the next one as out of order", l.partition, l.final, l.id))
	}
	l.refused = -1 // or it is in the log after all, or another one comes first
	s.count(l)
	return l.state == laneOpen
}

// compare holds the lines that come first against what the topic holds already. It
// reports false where they are others.
func (s *Shipper) compare(l *lane) bool {
	for len(l.waiting) > 0 && l.next <= l.claims.last() {
		p := l.waiting[0]
		n, there := 0, len(p.lines)
		for n < len(p.lines) && l.next <= l.claims.last() && l.claims.holds(l.next, p.lines[n]) {
			if l.next > l.claims.checked {
				there = min(there, n)
			}
			n++
			l.next++
		}
		if err := s.reclaim(piece{p.chunk, p.lines[min(there, n):n]}); err != nil {
			s.o.Log.Error().Err(err).Msg("line is in the topic and in the quarantine")
		}
		l.final = max(l.final, l.next-1)
		s.order.final(p.chunk, n)
		if n < len(p.lines) && l.next <= l.claims.last() {
			if n > 0 {
				l.take(n)
			}
			s.disown(l, "the log holds other lines now")
			return false
		}
		l.take(n)
	}
	return true
}

// disown begins a new numbering where the topic holds records that no line of the
// log stands for: the next line is not there.
func (s *Shipper) disown(l *lane, why string) {
	records := l.claims.last() - l.next + 1
	s.o.Log.Error().Int32("partition", l.partition).Int64("records", records).Int64("producer_id", l.id).Str("reason", why).
		Msg("the topic holds records whose lines are no longer in the log, going on with the lines that are")
	s.metrics.disowned.Add(float64(records))
	first := l.next
	l.final, l.offset = l.claims.last(), l.claims.offset // these are accounted for
	s.renumber(l, first, true)
}

// pastClaims tells whether no line that an earlier process sent can still come. It
// is asked before a decision, when every line before it was dealt with: the lines
// behind are others, though they may read the same, and get other numbers. Only where
// it is stored with which number the file begins that comes next, and all before that
// is there, are they the lines that were sent, and keep theirs.
func (s *Shipper) pastClaims(generation int64) bool {
	past := true
	for _, l := range s.lanes {
		switch {
		case l.doubtful():
			l.wanted, past = true, false // ask what is there, though there is nothing to send
		case l.goesOn(generation):
		case (l.comparing() || l.loaded > l.final) && !l.fresh && !l.proven && !l.sure:
			// What the leader said was enough as long as it had to take the next batch
			// behind it: one that was deposed can't. A new numbering would not show it.
			l.careful, l.wanted, l.answered, past = true, true, false, false
			s.breakOff(l)
		case l.comparing():
			s.disown(l, "the log is shorter now")
		case l.fresh || l.loaded > l.final:
			s.renumber(l, l.next, true)
		}
	}
	for _, l := range s.lanes {
		if past && !l.beginsWith(generation, l.next) {
			l.unlearn(max(generation, s.reading+1))
		}
	}
	return past
}
