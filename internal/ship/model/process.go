package model

const (
	leastAhead = 2
	mostAhead  = 6
	mostOpen   = 14
	maxWaiting = 5
)

// dealt is what became of a position of the log in this process.
type dealt struct {
	pos, file int
	lane      int
	open      bool // not final
	numbered  bool
}

type mark struct{ before, final, offset int }

type progress struct {
	at, file int
	lanes    [maxParts]mark
}

// process is a shipper that runs. What a power loss or a kill takes is here.
type process struct {
	alive, killed, stopping, clean, described, stored bool
	steps                                             int // to live; 0 without end

	low, change, wantLow bool
	wantN                int
	lanes                [maxParts]lane
	n                    int

	pos, file int  // of the reader
	lost      bool // a file, and what comes after it is not decided yet
	goal      int
	reading   int
	begun     [maxFiles]bool
	ends      [maxFiles]verdict

	chunks         []dealt
	at, frontFile  int // the frontier
	moved, drained bool

	safe     progress
	stale    bool
	version  int
	syncing  bool
	synced   progress // that is on its way
	syncedAt int
	syncedOf int
}

// start loads what the process before has left.
func (w *world) start(steps int) {
	p := &w.p
	p.alive, p.killed, p.steps = true, false, steps
	p.stopping, p.described, p.stored, p.change, p.syncing, p.moved, p.drained, p.stale, p.lost = false, false, false, false, false, false, false, false, false
	p.chunks, p.n, p.version = p.chunks[:0], 0, 0
	s := &w.slots[1]
	p.clean, p.low, p.begun, p.ends = s.clean || !s.set, s.low, s.begun, s.ends
	p.at, p.frontFile, p.pos, p.file = s.at, s.file, s.at, s.file
	p.goal = w.log.whole()
	p.reading = -1
	if s.set {
		p.reading = s.file
	}
	for i := range w.quarantine {
		if w.quarantine[i] == keptNow {
			w.quarantine[i] = kept
		}
	}
	if w.NewID {
		s.n = 0
	}
}

// describe is the first answer of the cluster.
func (w *world) describe() {
	p, s := &w.p, &w.slots[1]
	if p.described || w.fault() {
		return
	}
	p.described = true
	p.n = s.n
	if p.n == 0 {
		p.n, p.low = w.n0, w.described
	}
	if p.n != w.n0 || p.low != w.described {
		p.change, p.wantN, p.wantLow = true, w.n0, w.described
	}
	for i := range p.n {
		st := noNumbering()
		if i < s.n {
			st = s.lanes[i]
		}
		l := &p.lanes[i]
		l.load(st)
		switch {
		case p.clean:
			l.boot, l.loaded = w.boot, l.final
		case l.id >= 0 && l.boot != w.boot && !w.SameBoot:
			l.fresh = true
		}
		if w.BumpAtStart && !l.virgin() {
			l.fresh = true
		}
	}
	p.safe = p.now()
	p.safe.at, p.safe.file = p.at, p.frontFile
}

func (p *process) now() progress {
	x := progress{at: p.at, file: p.frontFile}
	for i := range p.n {
		l := &p.lanes[i]
		x.lanes[i] = mark{l.before, l.final, l.offset}
	}
	return x
}

// dies is a moment at which the process may be killed.
func (w *world) dies() bool {
	p := &w.p
	if !p.alive {
		return true
	}
	if p.steps > 0 {
		if p.steps--; p.steps == 0 {
			w.kill()
			return true
		}
	}
	return false
}

// kill leaves requests that leaders may still get, in the order of a connection.
func (w *world) kill() {
	p := &w.p
	p.alive, p.killed = false, true
	for i := range p.n {
		w.cut(i)
	}
}

// cut ends a lane's connection.
func (w *world) cut(i int) {
	l := &w.p.lanes[i]
	w.connection++
	if rest := len(l.flying) - l.arrived; rest > 0 {
		rest = w.n(rest + 1)
		for _, b := range l.flying[l.arrived : l.arrived+rest] {
			w.dead = append(w.dead, stray{i, w.connection, b})
		}
	}
	l.flying, l.arrived = l.flying[:0], 0
}

// read takes the next line, or decides what has to be decided before it.
func (w *world) read() {
	p, log := &w.p, &w.log
	if p.stopping {
		return
	}
	for {
		f := p.file
		if log.gone[f] {
			for k := f + 1; k < maxFiles; k++ {
				p.begun[k] = false
			}
			p.file++
			p.pos, p.lost = log.files[p.file], true
			continue
		}
		end := log.end(f)
		if f == log.last() {
			end = log.whole()
		}
		if p.pos < end {
			break
		}
		if f == log.last() {
			return
		}
		log.synced = max(log.synced, end)
		p.file++
	}
	f, c := p.file, log.cells[p.pos]
	switch {
	case !p.begun[f]:
		w.decide(f, func() {
			p.begun[f] = true
			for k := f; k < log.last()-1 && w.chance(2); k++ {
				p.end(w, k)
				p.begun[k+1] = true
			}
		})
		return
	case c.loose && p.ends[f] == open:
		w.decide(f, func() { p.end(w, f) })
		return
	case c.loose && p.ends[f] == leftOut:
		p.pos++
		return
	}
	if !p.stored && !w.saveStart() {
		return
	}
	late := p.pos >= p.goal && !p.lost
	if !p.described || !w.changed(late) {
		return
	}
	waiting := 0
	for i := range p.n {
		waiting += len(p.lanes[i].waiting)
	}
	if waiting > maxWaiting {
		return
	}
	if p.reading >= 0 && f != p.reading {
		for i := range p.n {
			w.begin(&p.lanes[i], f)
		}
	}
	p.reading = f
	w.split(c)
}

// end decides whether a complete file's loose end is a line.
func (p *process) end(w *world, f int) {
	if p.ends[f] == open {
		p.ends[f] = [...]verdict{taken, leftOut}[w.n(2)]
	}
}

func (w *world) decide(f int, decision func()) {
	p := &w.p
	if !p.described && !p.clean || len(p.chunks) > 0 || !w.pastClaims(f) || !p.alive {
		return
	}
	begun, ends := p.begun, p.ends
	decision()
	if !w.saveStart() {
		p.begun, p.ends = begun, ends // the same block comes again, with the same content
		return
	}
	p.reading, p.lost = f, false
}

func (w *world) saveStart() bool {
	p := &w.p
	p.at, p.frontFile, p.stale = p.pos, p.file, true
	if !w.save(true) {
		return false
	}
	p.stored = true
	return true
}

// split deals out one line.
func (w *world) split(c cell) {
	p := &w.p
	d := dealt{pos: p.pos, file: p.file, lane: p.pos % p.n, open: true}
	if c.long && p.low {
		w.quarantine[c.line] = keptNow
		d.open = false
	} else {
		d.numbered = true
		p.lanes[d.lane].waiting = append(p.lanes[d.lane].waiting, p.pos)
	}
	p.chunks = append(p.chunks, d)
	p.pos++
}

// begin is ship's lane.begin.
func (w *world) begin(l *lane, f int) {
	number := l.next + len(l.waiting)
	if l.starts[f] != unset || w.NoStarts {
		return
	}
	l.starts[f] = number
	l.barred = min(l.barred, number)
}

func (l *lane) goesOn(f int) bool {
	if n := l.starts[f]; n != unset && n >= l.next && max(l.claimed(), l.final) >= n-1 {
		l.next = n
		l.before, l.final = n-1, max(l.final, n-1)
		return true
	}
	return false
}

// unlearn forgets where files from one on begin: they were not read yet.
func (l *lane) unlearn(f int) {
	for f = max(f, 0); f < maxFiles; f++ {
		l.starts[f] = unset
	}
}

// changed brings a change of settings about, if its moment has come.
func (w *world) changed(late bool) bool {
	p := &w.p
	if !p.change || !p.clean && !late {
		return true
	}
	if len(p.chunks) > 0 {
		return false
	}
	was, low := p.n, p.low
	for p.n < p.wantN {
		p.lanes[p.n].load(noNumbering())
		p.n++
	}
	p.stale, p.low = true, p.wantLow
	if !w.save(true) {
		p.n, p.low = was, low
		return false
	}
	p.change = false
	return true
}

// pastClaims is ship's.
func (w *world) pastClaims(f int) bool {
	p, past := &w.p, true
	for i := range p.n {
		l := &p.lanes[i]
		switch {
		case l.doubtful():
			l.wanted, past = true, false
		case l.goesOn(f):
		case (l.next <= l.claimed() || l.loaded > l.final) && !l.fresh && !l.proven && !l.sure && !w.OneWord:
			// The leader's word has been enough as long as the next batch would show
			// that it was deposed. It will not, in a new numbering.
			l.careful, l.answered, l.wanted, past = true, false, true, false
			w.breakOff(i)
		case l.next <= l.claimed():
			w.disown(i)
		case l.fresh || l.loaded > l.final:
			w.renumber(i, l.next, true)
		}
	}
	for i := range p.n {
		if l := &p.lanes[i]; past && l.starts[f] != l.next && !w.OldStarts {
			l.unlearn(max(f, p.reading+1))
		}
	}
	return past
}

// final takes note that a position is dealt with.
func (p *process) final(pos int) {
	for i := range p.chunks {
		if p.chunks[i].pos == pos {
			p.chunks[i].open = false
			return
		}
	}
}

// advance moves the frontier.
func (p *process) advance() {
	n := 0
	for ; n < len(p.chunks) && !p.chunks[n].open; n++ {
		d := &p.chunks[n]
		if d.numbered {
			p.lanes[d.lane].before++
		}
		p.at, p.frontFile, p.moved = d.pos+1, d.file, true
	}
	if n > 0 {
		p.chunks = p.chunks[:copy(p.chunks, p.chunks[n:])]
	}
}

// through tells whether all that was in the log when reading began was dealt with.
func (p *process) through() bool { return !p.lost && p.pos >= p.goal && len(p.chunks) == 0 }

// wonder asks what an earlier process has sent, though nothing is to be sent.
func (w *world) wonder() {
	p := &w.p
	if p.drained || p.stopping || !p.through() {
		return
	}
	for i := range p.n {
		l := &p.lanes[i]
		l.wanted = l.wanted || l.doubtful() && l.step == down
	}
}

// drain is ship's.
func (w *world) drain() {
	p := &w.p
	if p.drained || !p.through() {
		return
	}
	p.drained = true
	for i := range p.n {
		l := &p.lanes[i]
		if l.doubtful() || (l.next <= l.claimed() || l.fresh && l.loaded > l.final) && !w.Unsettled {
			p.drained = false
			continue
		}
		l.loaded = -1
	}
}
