package model

// pump opens a lane that has something to send, and sends.
func (w *world) pump(i int) {
	p := &w.p
	l := &p.lanes[i]
	if l.idle() || p.stopping {
		return
	}
	if l.step == down {
		w.open(i)
		return
	}
	if l.step != up || !w.resume(i) {
		return
	}
	for p.alive && l.step == up && len(l.flying) < w.depth(l) {
		if l.unsent == 0 && !w.cutBatch(i) {
			return
		}
		b := &l.window[len(l.window)-l.unsent]
		l.unsent--
		b.leader = l.leader
		if w.dies() {
			return
		}
		l.flying = append(l.flying, *b)
		l.sent = max(l.sent, b.first+b.n-1)
		if w.chance(3) {
			return
		}
	}
}

func (w *world) depth(l *lane) int {
	if l.proven || w.NotAlone {
		return window
	}
	return 1
}

// cutBatch makes the next batch.
func (w *world) cutBatch(i int) bool {
	p := &w.p
	l := &p.lanes[i]
	if len(l.waiting) == 0 {
		return false
	}
	want := min(1+w.n(l.limit), len(l.waiting))
	if room := l.may(w) - l.next + 1; room < want {
		if !(p.stale || l.may(w) < p.safe.lanes[i].final+mostOpen) {
			if room <= 0 {
				return false
			}
		} else {
			l.ahead = min(max(4*l.ahead, 2*want, leastAhead), mostAhead)
			if !w.save(true) && room <= 0 || !p.alive {
				return false
			}
		}
	}
	n := min(want, l.may(w)-l.next+1)
	if n <= 0 {
		return false
	}
	b := batch{id: l.id, epoch: l.epoch, first: l.next, n: n}
	for k := range n {
		b.pos[k] = l.waiting[k]
		c := w.log.cells[l.waiting[k]]
		b.lines[k] = c.line
		b.long = b.long || c.long
		w.reclaim(c.line)
	}
	l.waiting = l.waiting[:copy(l.waiting, l.waiting[n:])]
	l.next += n
	l.window = append(l.window, b)
	l.unsent = 1
	return true
}

// reclaim takes a line that is sent out of the quarantine of an earlier process.
func (w *world) reclaim(line int16) {
	if w.quarantine[line] == kept && !w.NoReclaim {
		w.quarantine[line] = free
	}
}

// uncut takes the window back.
func (l *lane) uncut() {
	if len(l.window) == 0 {
		return
	}
	n := 0
	for _, b := range l.window {
		n += b.n
	}
	had := len(l.waiting)
	for range n {
		l.waiting = append(l.waiting, 0)
	}
	copy(l.waiting[n:], l.waiting[:had])
	k := 0
	for _, b := range l.window {
		k += copy(l.waiting[k:], b.pos[:b.n])
	}
	l.next = l.window[0].first
	l.window, l.unsent = l.window[:0], 0
}

// resume compares the lines that come first with what is there.
func (w *world) resume(i int) bool {
	l := &w.p.lanes[i]
	if l.resumed {
		return true
	}
	if !w.compare(i) || l.next <= l.claimed() {
		return false
	}
	if len(l.sums) > 0 {
		l.offset = l.sumsEnd
		l.claim(l.final)
	}
	l.resumed, l.sent = true, max(l.sent, l.final)
	switch {
	case l.refused == l.final+1:
		w.leaveOut(i)
	case l.fresh:
		w.renumber(i, l.next, true)
	case l.unknown && l.disorder > 1:
		l.uncut()
		w.renumber(i, l.next, true)
	case l.disorder >= confirmations+2:
		w.refuse("out of order for ever")
	}
	l.refused = -1
	return l.step == up
}

func (w *world) compare(i int) bool {
	p := &w.p
	l := &p.lanes[i]
	for len(l.waiting) > 0 && l.next <= l.claimed() {
		pos := l.waiting[0]
		line := w.log.cells[pos].line
		if l.next > l.checked {
			if sum := l.sums[l.next-l.checked-1]; sum != line && sum != anything && !w.NoCompare {
				w.disown(i)
				return false
			}
			w.reclaim(line)
		}
		l.next++
		l.final = max(l.final, l.next-1)
		p.final(pos)
		l.waiting = l.waiting[:copy(l.waiting, l.waiting[1:])]
	}
	return true
}

func (w *world) disown(i int) {
	l := &w.p.lanes[i]
	first := l.next
	l.final, l.offset = l.claimed(), l.sumsEnd
	w.renumber(i, first, true)
}

func (w *world) leaveOut(i int) {
	p := &w.p
	l := &p.lanes[i]
	pos := l.waiting[0]
	w.quarantine[w.log.cells[pos].line] = keptNow
	if w.dies() {
		return
	}
	p.final(pos)
	l.waiting = l.waiting[:copy(l.waiting, l.waiting[1:])]
	if w.Reuse {
		p.unnumber(pos)
		w.breakOff(i)
		return
	}
	l.next++
	l.inRow++
	w.renumber(i, l.next, true)
}

func (p *process) unnumber(pos int) {
	for i := range p.chunks {
		if p.chunks[i].pos == pos {
			p.chunks[i].numbered = false
		}
	}
}

// renumber begins a new numbering whose 0 is the line with the number first.
func (w *world) renumber(i, first int, doubt bool) {
	p := &w.p
	l := &p.lanes[i]
	if len(l.window) > 0 {
		w.wrong = "lines with a number get another one"
		return
	}
	if w.trace != nil {
		w.note("    partition %d: renumbered from %d on, doubt %v", i, first, doubt)
	}
	if !l.virgin() {
		switch {
		case doubt && (!w.FirstLeft || l.left.n == 0):
			l.left.add(left{id: int16(l.id), epoch: int16(l.epoch), last: int16(l.final), offset: int16(l.offset)})
		case doubt: // what is accounted for of it is not known
			l.left.of[0].more = int16(l.epoch) - l.left.of[0].epoch
		}
		if !w.SameEpoch {
			l.epoch++
		}
	}
	l.before -= first
	l.next -= first
	l.claim(-1)
	l.final, l.sent, l.loaded, l.offset = -1, -1, -1, -1
	l.slot = [2]int{-1, -1}
	if !w.OldStarts {
		l.unlearn(p.reading + 1)
	}
	for f := range l.starts {
		if l.starts[f] != unset {
			l.starts[f] -= first
		}
	}
	l.ahead, l.refused, l.proven, l.fresh = 0, -1, false, false
	l.receipts = l.receipts[:0]
	l.boot = w.boot
	p.stale, p.moved = true, true
	p.version++
	w.breakOff(i)
}

// breakOff ends a lane's connection, to begin again with asking.
func (w *world) breakOff(i int) {
	if l := &w.p.lanes[i]; l.step == up {
		w.cut(i)
		l.step = down
	}
}

// settleTo takes note that the window up to a number is final.
func (w *world) settleTo(l *lane, number int) {
	n := 0
	for n < len(l.window) && l.window[n].first+l.window[n].n-1 <= number {
		for _, pos := range l.window[n].pos[:l.window[n].n] {
			w.p.final(pos)
		}
		n++
	}
	l.window = l.window[:copy(l.window, l.window[n:])]
	l.unsent = min(l.unsent, len(l.window))
	l.final = max(l.final, number)
}

// arrive has a leader deal with the oldest request of a connection.
func (w *world) arrive(i int) {
	l := &w.p.lanes[i]
	if l.step != up || l.arrived == len(l.flying) || w.dies() {
		return
	}
	base, f := w.append(i, &l.flying[l.arrived])
	if w.trace != nil {
		b := &l.flying[l.arrived]
		w.note("    partition %d: request id %d epoch %d first %d lines %v: %d", i, b.id, b.epoch, b.first, b.lines[:b.n], f)
	}
	l.answers[l.arrived] = answer{base, f}
	l.arrived++
}

// answered takes the oldest answer.
func (w *world) answered(i int) {
	l := &w.p.lanes[i]
	if l.step != up || l.arrived == 0 || w.dies() {
		return
	}
	b, a := l.flying[0], l.answers[0]
	l.flying = l.flying[:copy(l.flying, l.flying[1:])]
	copy(l.answers[:], l.answers[1:])
	l.arrived--
	last := b.first + b.n - 1
	switch a.f {
	case none:
		if last > l.final {
			w.settleTo(l, last)
			l.offset = a.base + b.n - 1
			for k, line := range b.lines[:b.n] {
				l.receipts = append(l.receipts, receipt{b.first + k, line, a.base})
			}
		}
		l.inRow, l.proven, l.disorder = 0, true, 0
		l.limit = min(2*l.limit, most)
		return
	case tooLarge:
		l.uncut()
		l.limit, l.refused = max(b.n/2, 1), -1
		if b.n == 1 {
			l.refused = b.first
		}
	case outOfOrder:
		l.disorder++
	}
	w.breakOff(i)
}
