package model

// others is the producer id of somebody else.
const others = 0

const (
	maxIDs = 24
	window = 5  // batches that a leader remembers of a producer id
	most   = 3  // lines in a batch
	around = 64 // sequences, after which they begin at 0 again
)

func sequenceOf(number int) int { return number & (around - 1) }

// numberNear is the number with a sequence that is nearest to a known one.
func numberNear(near, sequence int) int {
	d := (sequence - near) & (around - 1)
	if d >= around/2 {
		d -= around
	}
	return near + d
}

type record struct {
	line      int16
	id, epoch int16
	sequence  int16
	first     bool // of its batch
}

type memory struct{ first, lines, base int16 }

type producer struct {
	known    bool
	epoch    int16
	next     int16
	n        int8
	remember [window]memory
}

func (p *producer) add(m memory) {
	if int(p.n) == window {
		copy(p.remember[:], p.remember[1:])
		p.n--
	}
	p.remember[p.n] = m
	p.n++
}

// partition is what the present leader has, and what the one before knew.
type partition struct {
	records   []record
	high      int // records below are replicated
	start     int // records below are deleted
	leader    int // its epoch
	lags      bool
	producers [maxIDs]producer

	deposed [maxIDs]producer
	stale   int // so often the one before goes on answering,
	until   int // up to this offset: there are few sequences here
}

func (p *partition) reset() {
	p.records, p.high, p.start, p.leader, p.lags, p.stale = p.records[:0], 0, 0, 0, false, 0
	p.producers = [maxIDs]producer{}
}

type batch struct {
	id, epoch int
	first     int       // number
	pos       [most]int // where its lines are in the log
	n         int
	lines     [most]int16
	long      bool
	leader    int // epoch of the leader that the connection is to
}

type failure int8

const (
	none  failure = iota
	lost          // perhaps it was appended
	moved         // another one leads
	tooLarge
	outOfOrder
	fenced
)

// append is one request, perhaps of a process that is dead.
func (w *world) append(part int, b *batch) (base int, f failure) {
	p := &w.parts[part]
	switch {
	case w.fault():
		return -1, lost
	case b.leader != p.leader:
		return -1, moved
	}
	if w.fault() && !w.mute && !w.fromZero {
		p.lags = true
	}
	if b.long && w.low {
		return -1, tooLarge
	}
	base, f = w.store(p, b)
	switch {
	case f != none:
		return -1, f
	case p.lags:
		return -1, lost
	}
	p.high = len(p.records)
	if w.fault() {
		return -1, lost
	}
	if w.fault() {
		w.elect(p)
	}
	return base, none
}

func (w *world) store(p *partition, b *batch) (base int, f failure) {
	x := &p.producers[b.id]
	first := sequenceOf(b.first)
	switch {
	case !x.known:
		if w.fromZero && first != 0 {
			return -1, outOfOrder
		}
		*x = producer{known: true, epoch: int16(b.epoch)}
	case b.epoch < int(x.epoch):
		return -1, fenced
	case b.epoch > int(x.epoch):
		if first != 0 {
			return -1, outOfOrder
		}
		*x = producer{known: true, epoch: int16(b.epoch)}
	default:
		for _, m := range x.remember[:x.n] {
			if int(m.first) == first && int(m.lines) == b.n {
				return int(m.base), none
			}
		}
		if first != int(x.next) {
			return -1, outOfOrder
		}
	}
	base = len(p.records)
	if base > p.until {
		p.stale = 0
	}
	if w.trace != nil {
		w.note("    stored at %d: id %d epoch %d first %d lines %v", base, b.id, b.epoch, b.first, b.lines[:b.n])
	}
	for i, line := range b.lines[:b.n] {
		p.records = append(p.records, record{line: line, id: int16(b.id), epoch: int16(b.epoch), sequence: int16(sequenceOf(b.first + i)), first: i == 0})
	}
	x.next = int16(sequenceOf(b.first + b.n))
	x.add(memory{int16(first), int16(b.n), int16(base)})
	return base, none
}

// settle ends a lag: what was not replicated is, or it goes with its leader.
func (w *world) settle(p *partition) {
	if !p.lags {
		return
	}
	p.lags = false
	if w.chance(2) {
		p.high = len(p.records)
		return
	}
	w.elect(p)
}

// elect makes a follower the leader: it has what is replicated, and some batches more.
func (w *world) elect(p *partition) {
	p.deposed, p.stale = p.producers, w.n(3*confirmations) // it may be cut off for long
	p.leader++
	end := p.high
	for end < len(p.records) && w.chance(2) {
		for end++; end < len(p.records) && !p.records[end].first; end++ {
		}
	}
	if w.trace != nil {
		w.note("    elected: %d of %d records left, stale %d", end, len(p.records), p.stale)
	}
	p.until = end + around/4
	p.records = p.records[:end]
	p.high, p.lags = end, false
	p.rebuild(w.chance(2))
}

// rebuild is what a leader knows of producers from its log; with one, it recognises
// only the last batch of each.
func (p *partition) rebuild(one bool) {
	known := p.producers
	p.producers = [maxIDs]producer{}
	for at := 0; at < len(p.records); {
		r, n := p.records[at], 1
		for at+n < len(p.records) && !p.records[at+n].first {
			n++
		}
		if known[r.id].known {
			x := &p.producers[r.id]
			if !x.known || x.epoch != r.epoch {
				*x = producer{known: true, epoch: r.epoch}
			}
			x.next = int16(sequenceOf(int(r.sequence) + n))
			if one {
				x.n = 0
			}
			x.add(memory{r.sequence, int16(n), int16(at)})
		}
		at += n
	}
}

// word is a leader's answer to what it holds of a producer id.
type word struct {
	known bool
	epoch int
	last  int // sequence
}

func (w *world) word(x *producer) word {
	if !x.known || w.fromZero || w.mute {
		return word{}
	}
	return word{true, int(x.epoch), sequenceOf(int(x.next) - 1)}
}

// ask is that question, of whom the metadata name, or with a connection's epoch of
// whom it leads to.
func (w *world) ask(p *partition, id, epoch int) (word, failure) {
	switch {
	case w.fault():
		return word{}, lost
	case p.stale > 0 && (epoch != p.leader && epoch >= 0 || epoch < 0 && w.chance(2)):
		p.stale--
		return w.word(&p.deposed[id]), none
	case epoch >= 0 && epoch != p.leader:
		return word{}, moved
	}
	return w.word(&p.producers[id]), none
}

// bounds is a partition's log as ListOffsets and the metadata tell of it.
type bounds struct {
	start, high, leader int
	few                 bool // fewer replicas are in sync than have to be
}

func (w *world) bounds(p *partition) bounds {
	if w.busy && w.chance(2) {
		p.records = append(p.records, record{id: others, first: true})
		if !p.lags {
			p.high = len(p.records)
		}
	}
	return bounds{p.start, p.high, p.leader, p.lags && w.chance(3)}
}
