package model

import (
	"fmt"
	"slices"
)

// open connects, and begins to ask.
func (w *world) open(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	l.wanted = false
	if w.chance(3) {
		w.settle(part)
	}
	if w.fault() || w.dies() {
		return
	}
	w.connect(i)
	l.step = asking
	l.q = question{begins: l.virgin(), id: l.id, epoch: l.epoch, final: l.final, offset: l.offset, most: max(l.sent, l.loaded), careful: l.fresh || l.careful, fresh: l.fresh}
}

// connect finds the leader, or who says that it is.
func (w *world) connect(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	l.leader = part.leader
	if part.stale > 0 && w.chance(3) {
		l.leader-- // who led before says that it does
	}
}

// asked is one step of asking; see ship's question.
func (w *world) asked(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	if l.step != asking {
		return
	}
	q := &l.q
	if w.chance(3) {
		w.settle(part)
	}
	if w.dies() {
		return
	}
	if w.fault() {
		l.step = down
		return
	}
	if q.begins {
		q.found = q.id
		if q.id < 0 {
			q.found = w.newID()
		}
		if _, f := w.ask(part, q.found, l.leader); f != none {
			l.step = down
			return
		}
		w.opened(i, found{last: -1, offset: part.high - 1})
		return
	}
	switch q.next {
	case askLeader:
		w.askedLeader(i)
	case search:
		w.searched(i)
	case askEnd:
		if part.leader != l.leader && !w.OldLeader {
			l.step = down
			return
		}
		w.opened(i, found{last: q.last, offset: min(q.offset, part.high-1), lost: q.final - q.last})
	}
}

func (w *world) askedLeader(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	q := &l.q
	word, f := w.ask(part, q.id, l.leader)
	if f != none {
		l.step = down
		return
	}
	q.unknown = !word.known
	last := numberNear(q.final, word.last)
	if word.epoch < q.epoch {
		last = -1
	}
	q.last = last
	switch {
	case q.unknown:
	case word.epoch > q.epoch, last > q.most:
		if q.doubts++; q.doubts >= confirmations {
			w.refuse("a healthy state is refused: foreign")
		}
		w.connect(i)
		return
	case last < q.final:
		if q.doubts++; q.doubts >= confirmations {
			q.next = askEnd
			return
		}
		w.connect(i)
		return
	case last == q.final:
		if q.same++; q.careful && q.same < confirmations {
			w.connect(i)
			return
		}
		if q.careful && part.leader != l.leader && !w.OldLeader {
			l.step = down
			return
		}
		w.opened(i, found{last: last, offset: q.offset})
		return
	}
	if w.LeaderWord && !q.unknown {
		f := found{last: last, offset: q.offset}
		l.seen = l.seen[:0]
		for range last - q.final {
			l.seen = append(l.seen, anything)
		}
		w.opened(i, f)
		return
	}
	q.next = search
}

// searched reads the log behind the last final line.
func (w *world) searched(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	q := &l.q
	q.next = askLeader
	log := w.bounds(part)
	f := found{last: q.final, offset: q.offset, unknown: q.unknown}
	l.seen = l.seen[:0]
	if log.high > q.offset {
		for at := max(q.offset+1, log.start); at < log.high; at++ {
			r := part.records[at]
			if int(r.id) != q.id || int(r.epoch) != q.epoch {
				continue
			}
			number := numberNear(q.final, int(r.sequence))
			if number <= f.last {
				continue
			}
			if number > q.most {
				w.refuse(fmt.Sprintf("a healthy state is refused: foreign record %d at %d, line %d, most %d, sent %d loaded %d", number, at, r.line, q.most, l.sent, l.loaded))
				return
			}
			for f.last+1 < number {
				l.seen = append(l.seen, anything)
				f.last++
			}
			l.seen = append(l.seen, r.line)
			f.last, f.offset = number, at
		}
	} else {
		f.last = -1
		for at := log.start; at < log.high; at++ {
			if r := part.records[at]; int(r.id) == q.id && int(r.epoch) == q.epoch {
				f.last = max(f.last, numberNear(q.final, int(r.sequence)))
			}
		}
	}
	if log.leader != l.leader {
		l.step = down
		return
	}
	settled := q.settled(log, f.last)
	switch {
	case q.fresh && slices.Contains(l.seen, anything) && !w.AnyLine:
		w.refuse(undecidable)
	case !q.unknown && f.last == q.last, q.unknown && f.last == q.final && q.most <= q.final:
		w.opened(i, f)
	case !settled:
	case f.last < q.final:
		if q.doubts++; q.unknown && q.doubts >= confirmations {
			f.lost, f.offset = q.final-f.last, min(q.offset, log.high-1)
			l.seen = l.seen[:0]
			w.opened(i, f)
		}
	case !q.unknown && f.last < q.last:
		// Ship has five looks instead, with enough replicas in sync; see its limits.
		if log.start <= q.offset+1 || part.lags {
			return
		}
		if q.careful {
			w.refuse(undecidable)
			return
		}
		for f.last < q.last {
			l.seen = append(l.seen, anything)
			f.last++
		}
		w.opened(i, f)
	case f.last == q.final && log.start > q.offset+1 && q.most > q.final:
		w.refuse(undecidable)
	default:
		w.opened(i, f)
	}
}

// settled is ship's watch.
func (q *question) settled(log bounds, last int) bool {
	still := q.looks > 0 && log == q.end
	switch {
	case log.few:
		q.looks = 0
	case q.looks > 0 && log.leader == q.end.leader && log.high >= q.end.high && last == q.seen:
		q.looks++
	default:
		q.looks = 1
	}
	q.end, q.seen = log, last
	return q.looks > 0 && still || q.looks >= confirmations
}

const undecidable = "undecidable"

func (w *world) finishAsking(i int) {
	for n := 0; n < 20 && w.p.lanes[i].step == asking && w.p.alive && w.wrong == ""; n++ {
		w.asked(i)
	}
}

// opened is ship's: going on from what the leader holds.
func (w *world) opened(i int, f found) {
	p := &w.p
	l := &p.lanes[i]
	if w.trace != nil {
		w.note("    partition %d: opened %+v, seen %v, final %d, fresh %v, stopping %v", i, f, l.seen, l.final, l.fresh, p.stopping)
	}
	l.step = up
	l.resumed, l.proven = false, false
	q := &l.q
	if other := q.id != l.id || q.epoch != l.epoch || q.final != l.final || l.careful && !q.careful; p.stopping || other && !w.OldAnswer {
		l.unsent, l.wanted = len(l.window), l.careful
		w.breakOff(i)
		return
	}
	if q.begins {
		l.id = q.found
	}
	l.unknown, l.answered = f.unknown, true
	if w.OldAnswer && !q.begins {
		l.id, l.epoch = q.id, q.epoch
	}
	if l.virgin() {
		l.boot = w.boot
		p.safe.lanes[i].offset = f.offset
		if !w.OldOffset {
			p.version++ // what is on its way to be stored does not know it
		}
	}
	switch {
	case f.lost > 0:
		w.wrong = "records that were acknowledged are taken for lost"
	case f.last > l.final:
		l.uncut()
		l.checked, l.sumsEnd = l.final, f.offset
		l.sums, l.seen = l.seen, l.sums
		l.disorder = 0
	default:
		l.offset, l.sumsEnd = f.offset, f.offset
		l.claim(l.final)
	}
	l.unsent = len(l.window)
	l.sure, l.careful = l.sure || l.careful, false
}
