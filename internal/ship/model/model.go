// Package model is the algorithm of package ship on broad paper: the same rules for
// numbers, slots, recovery and renumbering, with small numbers, no clock, no
// goroutines and no bytes, against leaders, networks, disks and machines that do
// whatever they may. It is there to run more histories than the shipper itself can,
// and to show which rules are needed: each can be switched off, and is missed.
package model

import "fmt"

// Controls switch rules off.
type Controls struct {
	NotAlone    bool // five batches go into an id that the leader may not know
	OneSlot     bool // decisions are stored in one slot
	NoReserve   bool // the state does not say how much may have been sent
	NewerSlot   bool // what the newer slot reserves may be sent
	NoStarts    bool // it is not stored with which number a file begins
	NoSync      bool // what is stored as dealt with need not be on the log's disk
	NoCompare   bool // what the topic holds is taken for the log's lines unseen
	LeaderWord  bool // what a leader holds counts before it is replicated
	SameBoot    bool // a machine that was started anew goes on with the numbering
	BumpAtStart bool // each process begins a new numbering
	SameEpoch   bool // a new numbering keeps the epoch
	Reuse       bool // the number of a refused line is given to the next one
	NoReclaim   bool // a line that is taken after all stays in the quarantine
	NewID       bool // a process does not know the producer id of the one before
	Unsettled   bool // an end is in good order though the topic has, or may get, more than the log
	OneWord     bool // the leader's word is enough for a new numbering too
	OldAnswer   bool // what was asked of a numbering that has ended counts for the next
	OldStarts   bool // numbers of files stay when the lines before them are gone
	OldOffset   bool // what is on its way to be stored does not know where a numbering begins
	AnyLine     bool // deleted records stand for the log's lines after a power loss too
	FirstLeft   bool // what is accounted for is known of the first numbering that was left only
	OldLeader   bool // it is not looked at whether who leads the log is who was asked
}

const (
	free    = iota
	kept    // in the quarantine, by an earlier process
	keptNow // by this one
)

// stray is a request whose connection is gone.
type stray struct {
	part, connection int
	b                batch
}

type world struct {
	Controls
	random
	log        written
	parts      [maxParts]partition
	n0         int // partitions
	slots      [2]state
	p          process
	dead       []stray
	quarantine [4 * maxLines]int8
	boot, ids  int
	quiet      bool
	rate       uint32 // of faults, in 2^32
	mute       bool   // leaders don't know the question what they hold
	fromZero   bool   // and want an unknown producer to begin with 0
	longLines  bool
	described  bool // the topic's limit is low, by its description
	low        bool // and really
	mayBeLate  bool
	late       int  // records that were said to be too many
	busy       bool // others append to the topic
	deleted    bool // records in doubt were, so that it may be undecidable what is there
	undecided  bool // and is
	trips      int
	wrong      string
	trace      func(string, ...any)
	connection int

	times [4 * maxLines]int8
}

// Model runs histories, one after the other.
type Model struct{ w world }

// Run runs the history of a seed. It returns what was wrong at its end, "" if
// nothing was.
func (m *Model) Run(seed uint64, c Controls) string {
	w := &m.w
	w.reset(seed, c)
	w.history()
	if w.wrong == "" {
		w.wrong = w.check()
	}
	return w.wrong
}

func (w *world) reset(seed uint64, c Controls) {
	w.Controls, w.random = c, random(seed)
	w.log.reset()
	for i := range w.parts {
		w.parts[i].reset()
	}
	w.slots = [2]state{}
	w.p.alive, w.p.n = false, 0
	w.dead = w.dead[:0]
	clear(w.quarantine[:])
	w.connection, w.boot, w.ids, w.quiet, w.mayBeLate, w.late, w.trips, w.wrong = 0, 0, 0, false, false, 0, 0, ""
	w.busy, w.deleted, w.undecided = w.chance(3), false, false
	w.rate = [...]uint32{0, 1 << 26, 1 << 29}[w.n(3)]
	w.n0 = 1 + w.n(2)
	w.longLines = w.chance(3)
	w.limits()
	w.mute, w.fromZero = false, false
	switch w.n(8) {
	case 0:
		w.mute = true
	case 1:
		w.fromZero = true
	}
}

func (w *world) limits() {
	w.described = w.chance(2)
	w.low = w.described || w.chance(4)
}

func (w *world) newID() int {
	w.ids++
	if w.ids >= maxIDs {
		w.wrong = "too many producer ids for this model"
		return 0
	}
	return w.ids
}

func (w *world) fault() bool { return w.rate > 0 && uint32(w.next()>>32) < w.rate }

func (w *world) refuse(why string) {
	if why == undecidable && w.deleted {
		w.undecided = true
	} else if w.wrong == "" {
		w.wrong = why
	}
	w.p.alive = false
}

// history is some lives of processes, what happens between them, and a good end.
func (w *world) history() {
	for range 2 + w.n(8) {
		w.quiet = w.chance(2)
		w.write(w.n(8))
		w.live(w.n(100))
		if w.wrong != "" || w.undecided {
			return
		}
		w.between()
	}
	w.rate, w.quiet = 0, true
	for i := range w.n0 {
		w.settle(&w.parts[i])
		w.parts[i].stale = 0
	}
	w.live(0)
	if w.undecided {
		return
	}
	w.deliver(true)
	w.write(4)
	w.live(0)
}

// between is what happens when no process is there.
func (w *world) between() {
	if w.p.killed && w.chance(5) && w.slots[0].set {
		w.slots[1] = w.slots[0] // a torn write
	}
	if w.p.killed && w.chance(6) {
		w.losePower()
	}
	if w.chance(12) {
		w.remove()
	}
	w.deliver(false)
	for i := range w.n0 {
		p := &w.parts[i]
		switch w.n(10) {
		case 0:
			w.elect(p)
		case 1:
			p.rebuild(true)
		case 2:
			if len(w.dead) == 0 { // it takes a day
				w.settle(p)
				p.producers = [maxIDs]producer{}
			}
		case 3:
			w.retain(i)
		}
	}
	if w.chance(10) {
		w.n0 = maxParts
	}
	if w.chance(5) && len(w.dead) == 0 {
		w.limits()
	}
}

// retain deletes records, as a rule such as both slots know to be final.
func (w *world) retain(i int) {
	p := &w.parts[i]
	to := p.high
	if w.chance(6) && to > p.start { // what is in doubt too
		p.start, w.deleted = to-w.n(to-p.start), true
		return
	}
	for k := range w.slots {
		s := &w.slots[k]
		if !s.set || i >= s.n {
			return
		}
		to = min(to, s.lanes[i].offset+1)
		for _, l := range s.lanes[i].left.of[:s.lanes[i].left.n] {
			to = min(to, int(l.offset)+1)
		}
	}
	if to > p.start {
		p.start = to - w.n(to-p.start)
	}
}

// deliver lets requests of the dead arrive, in the order of each connection.
func (w *world) deliver(all bool) {
	for len(w.dead) > 0 && (all || w.chance(2)) {
		k := w.n(len(w.dead))
		for i := range k {
			if w.dead[i].connection == w.dead[k].connection {
				k = i
				break
			}
		}
		s := w.dead[k]
		w.dead = w.dead[:k+copy(w.dead[k:], w.dead[k+1:])]
		_, f := w.append(s.part, &s.b)
		if w.trace == nil {
			continue
		}
		w.note("    late request to %d: id %d epoch %d first %d lines %v: %v", s.part, s.b.id, s.b.epoch, s.b.first, s.b.lines[:s.b.n], f)
	}
}

// live runs a process until it is killed after so many steps, 0 for never, is asked to
// end, or has shipped what is there.
func (w *world) live(steps int) {
	w.start(steps)
	if w.trace != nil {
		w.note("life of %d steps begins, log %d lines, files %v: %s", steps, len(w.log.cells), w.log.files, brief(&w.slots[1]))
	}
	p := &w.p
	for n := 0; p.alive && w.wrong == ""; n++ {
		switch {
		case n < 4000:
		case w.rate > 0:
			w.kill() // with so many faults it may take for ever
			return
		default:
			w.wrong = "a process does not end"
			return
		}
		if w.chance(5) {
			w.deliver(false)
		}
		if !w.quiet && w.chance(8) {
			w.write(w.n(3))
		}
		if steps > 0 && w.chance(100) {
			p.stopping = true
		}
		w.wonder()
		w.act()
		p.advance()
		w.drain()
		if p.alive && w.finished() {
			w.end()
		}
	}
	if w.trace != nil {
		w.note("life ended, killed %v", p.killed)
	}
}

// act is the next thing that happens in the process or to its requests.
func (w *world) act() {
	p := &w.p
	k := w.n(16)
	switch {
	case !p.described && k < 8:
		w.describe()
	case k < 4:
		w.read()
	case k == 4:
		w.secure()
	case k == 5:
		w.syncedNow()
	case p.n > 0:
		i := w.n(p.n)
		switch l := &p.lanes[i]; {
		case l.step == asking:
			w.asked(i)
		case k == 6:
			w.lookAt(i)
		case k == 7 && l.step == up:
			w.count(i)
		case k < 11:
			w.pump(i)
		case k < 14:
			w.arrive(i)
		default:
			w.answered(i)
		}
	}
}

func (w *world) finished() bool {
	p := &w.p
	if !p.stopping {
		return len(p.chunks) == 0 && p.file == w.log.last() && p.pos >= w.log.whole() && (w.quiet || w.chance(10))
	}
	for i := range p.n {
		if l := &p.lanes[i]; l.step == up && len(l.flying) > 0 {
			return false
		}
	}
	return true
}

// check holds what the topic has against the log.
func (w *world) check() string {
	s := &w.slots[1]
	late := 0
	if w.mayBeLate {
		late = w.late
		for i := range s.n {
			if s.lanes[i].left.n > 0 {
				late = maxLines // not counted yet: that takes a line of the partition
			}
		}
		if w.deleted {
			late = maxLines // or they were deleted before
		}
	}
	if w.trace != nil {
		w.note("    late %d, may be %v", late, w.mayBeLate)
		for i := range w.n0 {
			for at, r := range w.parts[i].records {
				w.note("    partition %d at %d: line %d id %d epoch %d sequence %d", i, at, r.line, r.id, r.epoch, r.sequence)
			}
		}
	}
	if w.late > 0 && !w.mayBeLate {
		return fmt.Sprintf("%d records are said to have come late", w.late)
	}
	clear(w.times[:])
	for i := range w.n0 {
		last := int16(0)
		for _, r := range w.parts[i].records {
			if r.id == others {
				continue
			}
			if r.line <= last {
				if late--; late < 0 {
					return fmt.Sprintf("partition %d: line %d behind %d", i, r.line, last)
				}
				continue
			}
			last = r.line
			if w.times[last]++; w.times[last] > 1 {
				return fmt.Sprintf("partition %d: line %d is there twice", i, last)
			}
		}
	}
	for line, q := range w.quarantine {
		if q == free {
			continue
		}
		if w.times[line]++; w.times[line] > 1 {
			if late--; late >= 0 {
				continue
			}
			return fmt.Sprintf("line %d is in the topic and in the quarantine", line)
		}
	}
	for f := range w.log.files {
		if w.log.gone[f] {
			continue
		}
		for _, c := range w.log.cells[w.log.files[f]:w.log.end(f)] {
			n := w.times[c.line]
			switch {
			case c.loose && s.ends[f] != taken:
				if n > 0 {
					return fmt.Sprintf("line %d is there, though it is none", c.line)
				}
			case n == 0 && !w.undecided:
				return fmt.Sprintf("line %d is missing", c.line)
			}
		}
	}
	return ""
}

func (w *world) note(format string, args ...any) {
	if w.trace != nil {
		w.trace(format, args...)
	}
}
