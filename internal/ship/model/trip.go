package model

// lookAt is the tripwire's question, in its steps.
func (w *world) lookAt(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	k := &l.look
	if l.step != up && !k.on || w.dies() {
		return
	}
	switch {
	case !k.on:
		k.on, k.told, k.id, k.epoch, k.final = true, false, l.id, l.epoch, l.final
		k.due = append(k.due[:0], l.receipts...)
		l.receipts = l.receipts[:0]
	case !k.told:
		word, f := w.ask(part, k.id, -1)
		if f != none {
			k.on = false
			return
		}
		k.told, k.word = true, word
	default:
		k.on = false
		w.looked(i)
	}
}

func (w *world) looked(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	k := &l.look
	if len(k.due) > 0 && w.others(part, k) {
		w.refuse("another line stands under a number of ours")
		return
	}
	if l.step != up || l.id != k.id || l.epoch != k.epoch || !k.word.known {
		return
	}
	last := numberNear(k.final, k.word.last)
	switch {
	case k.word.epoch < l.epoch:
		if k.final < 0 {
			return
		}
	case k.word.epoch == l.epoch && last <= max(l.sent, l.loaded) && last >= k.final:
		return
	}
	w.trips++
	w.breakOff(i)
}

// others tells whether a partition has other lines than those that were acknowledged.
func (w *world) others(part *partition, k *look) bool {
	near := k.due[0].number
	for at := max(k.due[0].base, part.start); at < part.high; at++ {
		r := part.records[at]
		if int(r.id) != k.id || int(r.epoch) != k.epoch {
			continue
		}
		number := numberNear(near, int(r.sequence))
		near = max(near, number)
		for _, d := range k.due {
			if d.number == number && d.line != r.line {
				return true
			}
		}
	}
	return false
}

// count looks for what came of numberings that were left.
func (w *world) count(i int) {
	l, part := &w.p.lanes[i], &w.parts[i]
	if l.left.n == 0 || l.final < 0 || w.fault() || w.dies() {
		return
	}
	for _, o := range l.left.of[:l.left.n] {
		last, near := int(o.last), max(int(o.last), 0)
		for epoch := o.epoch; epoch <= o.epoch+o.more; epoch++ {
			for at := max(int(o.offset)+1, part.start); at < part.high; at++ {
				r := part.records[at]
				if r.id != o.id || r.epoch != epoch {
					continue
				}
				number := numberNear(near, int(r.sequence))
				if near = max(near, number); number > last {
					w.late++
				}
			}
			last, near = -1, 0
		}
	}
	l.left.n = 0
	w.p.moved = true
}
