package model

import "fmt"

// snapshot is the state to be stored.
func (w *world) snapshot(clean bool) state {
	p := &w.p
	s := state{set: true, clean: clean, low: p.low, at: p.safe.at, file: p.safe.file, begun: p.begun, ends: p.ends, n: p.n}
	if !p.described {
		old := &w.slots[1]
		s.at, s.file, s.clean, s.low, s.n, s.lanes = p.at, p.frontFile, p.clean, old.low, old.n, old.lanes
		return s
	}
	for i := range p.n {
		l, m := &p.lanes[i], p.safe.lanes[i]
		st := l.laneState
		st.before, st.final, st.offset = m.before, max(m.final, m.before), m.offset
		st.reserved = l.reserve(m)
		for f := range p.safe.file {
			l.starts[f] = unset
			st.starts[f] = unset
		}
		s.lanes[i] = st
	}
	return s
}

func (l *lane) reserve(m mark) int {
	if l.id < 0 || l.ahead == 0 && l.virgin() {
		return -1
	}
	ahead := min(max(l.ahead, leastAhead), mostAhead)
	return max(l.slot[1], l.loaded, l.final, min(l.next-1+ahead, m.final+mostOpen))
}

// save makes the state durable, in the older slot, or in both one after the other.
func (w *world) save(both bool) bool {
	p := &w.p
	if p.stale {
		w.sync(p.pos)
		p.safe, p.stale, p.moved = p.now(), false, false
		p.version++
	}
	return w.put(w.snapshot(false), both)
}

func (w *world) put(s state, both bool) bool {
	p := &w.p
	if w.fault() {
		p.moved = true
		return false // the disk is full
	}
	if w.dies() {
		return false
	}
	stored := s
	for i := range s.lanes[:s.n] {
		if w.NoReserve {
			stored.lanes[i].reserved = s.lanes[i].final
		}
	}
	w.slots[0], w.slots[1] = w.slots[1], stored
	if w.trace != nil {
		w.note("    saved, both %v: %s", both, brief(&s))
	}
	if both {
		if w.dies() {
			return false
		}
		if !w.OneSlot {
			w.slots[0] = stored
		}
	}
	for i := range p.n {
		l, r := &p.lanes[i], s.lanes[i].reserved
		if both {
			l.slot[1], l.barred = r, 1<<20
		}
		l.slot = [2]int{l.slot[1], r}
	}
	return true
}

func (w *world) sync(pos int) {
	if !w.NoSync {
		w.log.synced = max(w.log.synced, pos)
	}
}

// secure begins to sync the log; synced stores what that makes safe.
func (w *world) secure() {
	p := &w.p
	if p.syncing || !p.moved || !p.described || !p.stored {
		return
	}
	p.syncing, p.moved = true, false
	p.synced, p.syncedAt, p.syncedOf = p.now(), p.pos, p.version
}

func (w *world) syncedNow() {
	p := &w.p
	if !p.syncing {
		return
	}
	p.syncing = false
	if w.fault() {
		p.moved = true
		return
	}
	w.sync(p.syncedAt)
	if p.syncedOf == p.version {
		p.safe = p.synced
	} else {
		p.moved = true
	}
	w.save(false)
}

// end is the end of a process that was not killed.
func (w *world) end() {
	p := &w.p
	for i := range p.n {
		l := &p.lanes[i]
		w.cut(i)
		if l.step == asking && l.q.next != askLeader && w.chance(2) {
			// An answer that comes in the end.
			w.finishAsking(i)
		}
		l.step = down
	}
	p.advance()
	clean := w.nothingOnItsWay()
	if !p.stored {
		p.alive = false
		return
	}
	w.sync(p.pos)
	if p.described {
		p.safe = p.now()
	}
	s := w.snapshot(clean)
	if !p.described {
		s.clean = p.clean
	}
	if !w.dies() {
		w.slots[0], w.slots[1] = w.slots[1], s
		if w.trace != nil {
			w.note("    saved at the end: %s", brief(&s))
		}
	}
	p.alive = false
}

func (w *world) nothingOnItsWay() bool {
	p := &w.p
	switch {
	case !p.described:
		return p.clean
	case !p.clean && !p.drained, len(p.chunks) > 0:
		return false
	}
	for i := range p.n {
		if l := &p.lanes[i]; l.doubtful() || l.next <= l.claimed() && !w.Unsettled || l.final != max(l.before, -1) {
			return false
		}
	}
	return true
}

// brief is a state in a line.
func brief(s *state) string {
	text := fmt.Sprintf("clean %v at %d of file %d, begun %v", s.clean, s.at, s.file, s.begun)
	for _, l := range s.lanes[:s.n] {
		text += fmt.Sprintf(" | id %d epoch %d before %d final %d offset %d reserved %d boot %d left %v starts %v", l.id, l.epoch, l.before, l.final, l.offset, l.reserved, l.boot, l.left.of[:l.left.n], l.starts)
	}
	return text
}
