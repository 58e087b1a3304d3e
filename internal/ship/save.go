package ship

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"time"

	"eventline/internal/tail"
)

const (
	// leastAhead is how many numbers are reserved beyond the last that was sent. A copy
	// of the state that is used somewhere else is noticed at the latest when it is past
	// them.
	leastAhead = 16
	// mostAhead bounds what may have to be compared after a crash: 16 bytes a line.
	mostAhead = 1 << 20
	// mostOpen is how far the numbers may run ahead of what is stored as final: where
	// the log's file can't be synced nothing more leaves.
	mostOpen = 8 << 20
)

// progress is how far the log is dealt with.
type progress struct {
	frontier tail.Mark
	lanes    []mark
}

// mark is how far a lane is.
type mark struct{ before, final, offset int64 }

// now is the progress at this moment.
func (s *Shipper) now() progress {
	p := progress{frontier: s.order.frontier}
	p.frontier.Before = bytes.Clone(p.frontier.Before)
	for _, l := range s.lanes {
		p.lanes = append(p.lanes, mark{l.before, l.final, l.offset})
	}
	return p
}

// snapshot is the state to be stored: of what the log is known to hold on disk, with
// a reservation for each lane that sends.
func (s *Shipper) snapshot() State {
	st := State{
		Tail: s.o.State(s.safe.frontier), Cluster: s.topic.ClusterID, Topic: s.topic.TopicID,
		Algorithm: algorithm, Limit: s.maxBytes, MaxLine: s.maxLine, Rules: s.rules, Clean: s.settled && s.clean,
	}
	if s.lanes == nil { // nothing was heard of the topic yet
		st.Cluster, st.Topic, st.Clean = s.o.Stored.Cluster, s.o.Stored.Topic, s.clean
		st.Partitions, st.MaxLine, st.Rules = s.o.Stored.Partitions, s.o.Stored.MaxLine, s.o.Stored.Rules
		return st
	}
	for i, l := range s.lanes {
		m := s.safe.lanes[i]
		st.Partitions = append(st.Partitions, LaneState{
			ID: l.id, Epoch: l.epoch, Before: m.before, Final: max(m.final, m.before), Offset: m.offset,
			Reserved: l.reserve(m), Boot: l.boot, Left: slices.Clone(l.left), Starts: l.startsBehind(s.safe.frontier.Generation),
		})
	}
	return st
}

// startsBehind are those of files behind one.
func (l *lane) startsBehind(generation int64) []Start {
	l.starts = slices.DeleteFunc(l.starts, func(s Start) bool { return s.Generation < generation })
	return slices.Clone(l.starts)
}

// reserve is up to which number the next slot, which says that m is final, allows
// sending.
func (l *lane) reserve(m mark) int64 {
	if l.id < 0 || l.ahead == 0 && l.virgin() {
		return -1 // nothing is to be sent
	}
	ahead := max(l.ahead, leastAhead, 2*(l.next-l.marked))
	return max(l.reserved[1], l.loaded, l.final, min(l.next-1+min(ahead, mostAhead), m.final+mostOpen))
}

// reserve makes room for n more lines of a lane in both slots, as far as may be.
func (s *Shipper) reserve(l *lane, n int64) error {
	if !s.stale && l.may() >= s.safe.lanes[l.partition].final+mostOpen {
		return errOpen
	}
	l.ahead = min(max(4*l.ahead, 2*n, leastAhead), mostAhead)
	return s.saveOrSay(true)
}

var errOpen = errors.New("too many lines are not known to be on the log's disk")

// secure has the log's file synced beside the loop, and the progress of this moment
// stored after that: what is stored as dealt with may not go with a power loss, or
// the lines that the writer puts in its place would count as dealt with.
func (s *Shipper) secure() {
	if s.syncing || !s.order.moved || s.lanes == nil || !s.stored {
		return
	}
	e := event{kind: eventSynced, progress: s.now(), version: s.version}
	generation := s.reading
	s.syncing, s.order.moved = true, false
	go func() {
		e.err = s.o.Sync(generation)
		s.events <- e
	}()
}

func (s *Shipper) synced(e event) {
	s.syncing = false
	switch {
	case e.err != nil:
		s.order.moved = true
		s.o.Group.cannotStore(s, e.err)
		return
	case e.version == s.version:
		s.safe = e.progress
	default:
		s.order.moved = true // lines got other numbers meanwhile
	}
	_ = s.saveOrSay(false)
}

// save makes the state durable. Where the present numbers are not those that were
// secured last, the log is synced here.
func (s *Shipper) save(both bool) error {
	if s.stale {
		if err := s.o.Sync(s.reading); err != nil {
			return err
		}
		s.safe, s.stale, s.order.moved = s.now(), false, false
		s.version++
	}
	st := s.snapshot()
	if err := s.o.Save(st, both); err != nil {
		s.metrics.saveFailures.Inc()
		s.order.moved = true
		return err
	}
	for i, l := range s.lanes {
		r := st.Partitions[i].Reserved
		if both {
			l.reserved[1], l.barred = r, math.MaxInt64
		}
		l.reserved = [2]int64{l.reserved[1], r}
	}
	s.saved = time.Now()
	return nil
}

// saveOrSay is save for those who go on without.
func (s *Shipper) saveOrSay(both bool) error {
	err := s.save(both)
	if err != nil {
		s.o.Group.cannotStore(s, err)
	} else {
		s.o.Group.stores(s)
	}
	return err
}

// Settle stores the state once more, after Run, for the reader's state to be the
// last one: what it knows of its files may have changed since the position moved.
func (s *Shipper) Settle() error {
	if !s.stored {
		return nil
	}
	return s.save(false)
}
