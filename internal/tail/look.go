package tail

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// look looks at the directory: which files the log consists of now, which names
// they have, whether they still hold what was read. changed says that the
// current generation does not.
func (t *Tail) look(now time.Time, changed bool) {
	asked := changed || t.rescan || t.held
	t.scanned, t.rescan = now, false
	t.takeInspection()
	t.watch.ensure()
	at, sure := t.folder()
	if !asked && sure && t.unchanged(at) {
		t.mu.Lock()
		t.letGo(now)
		t.forget(now)
		t.mu.Unlock()
		return
	}
	t.listed, t.idle = listing{}, 0
	t.atRest.Store(-1)
	gone := t.outdated(now, changed)
	opened := make(map[string]*found)
	for again := true; again; {
		s, err := t.survey(opened)
		if err != nil {
			t.dirErr = err
			break
		}
		again = t.learn(s, gone, now)
		if s.live == nil && s.rest == nil && sure && !again && !t.rescan && !t.unsure {
			t.listed = at
		}
		t.dirErr, t.liveErr, t.restErr = nil, s.live, s.rest
		if !again {
			t.aim(s)
		}
		if !again {
			s.close()
		}
	}
	t.tell(now)
}

// outdated are the generations whose files do not hold any more what was read of
// them. This has to be known before the directory is listed: the copies of what
// was truncated by then are in the list.
func (t *Tail) outdated(now time.Time, changed bool) (gone []*generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	current, _ := t.current()
	for _, g := range t.gens {
		// Of a file whose turn has not come only a head may be known, from a copy.
		if g.ended {
			continue
		}
		err := g.look(now)
		switch {
		case errors.Is(err, errChanged) && g.punched():
			t.log.Info().Str("file", g.name).Msg("beginning of a log file has become a hole, reading on")
		case errors.Is(err, errChanged) || changed && g == current:
			gone = append(gone, g)
		}
	}
	return gone
}

// learn takes in what a survey saw. It reports whether another one is needed at
// once.
func (t *Tail) learn(s *survey, gone []*generation, now time.Time) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		before := t.searched
		// A file that a position is in and that can't be opened is not gone.
		if !t.begin(s, now) {
			return t.searched != before
		}
		t.started = true
	}
	unknown := t.recognise(s, now)
	t.held = false
	for _, g := range t.gens {
		g.held = false
	}
	s.moved = make(map[*generation]bool)
	for _, g := range gone { // of two in one file both go on in the same copy
		f, err := t.continuation(s, g.state(), g.wrote)
		if err != nil {
			s.blame(false, err)
			g.held, t.held = true, true
			continue
		}
		unknown = t.truncated(g, f, unknown, now)
		s.moved[g] = f != nil
	}
	if !t.held {
		t.adopt(unknown, s, now)
	}
	t.letGo(now)
	t.forget(now)
	t.forgetFolders(s.left, now)
	t.dropInspected(s)
	t.measure(now)
	return false
}

// recognise updates what is known of the files seen and returns those that are
// not known: new ones, and ones that hold something else than what was read.
func (t *Tail) recognise(s *survey, now time.Time) (unknown []*found) {
	seen := make(map[*generation]bool)
	for _, g := range t.gens {
		g.wasLive, g.live = g.live, g.live && s.unsure
	}
	for _, f := range s.files {
		g := t.byFile[f.id.key()]
		if g == nil {
			unknown = append(unknown, f)
			continue
		}
		seen[g] = true
		g.name = f.path
		g.live = g.live || f.live && !g.ended && g.limit == 0
		if !g.ended || !g.mayDiffer(f) {
			continue
		}
		if err := f.open(); err != nil {
			s.blame(f.live, err)
			continue
		}
		unheard := g.copied && len(g.head) == 0 && (f.live || f.size < g.offset)
		if unheard || holds(f.file, g.head, g.before, g.offset) != nil {
			unknown = append(unknown, f)
			continue
		}
		g.checked, g.checkedSize = f.mtime, f.size
		if f.size == g.offset || g.copied && !f.live {
			continue // a copy may be in the making
		}
		// A writer that had it open all the time, or opened it again.
		t.log.Warn().Str("file", f.path).Int64("bytes", f.size-g.offset).Msg("finished log file got more lines, reading them now")
		more := g.behind(f.id, f.path, f.take(), f.size, now)
		more.live = f.live
		t.number(more)
		seen[more] = true
	}
	for _, g := range t.gens {
		switch {
		case seen[g], s.hidden:
			g.missing = time.Time{}
		case g.missing.IsZero():
			g.missing = now
		}
		if g.wasLive && !g.live && !g.ended {
			t.counts.rotated[t.howRotated(g, seen[g])].Add(1)
		}
		if !seen[g] && !g.ended {
			t.wentTo(g, now)
		}
	}
	return unknown
}

// howRotated tells what became of a file that was the live one.
func (t *Tail) howRotated(g *generation, seen bool) rotation {
	if seen {
		return renamed
	}
	var st unix.Stat_t
	if g.file != nil && unix.Fstat(int(g.file.Fd()), &st) == nil && st.Nlink == 0 {
		return deleted
	}
	return moved
}

// forget drops finished files that have left the directory, once no State can
// need them.
func (t *Tail) forget(now time.Time) {
	kept := t.gens[:0]
	lost := 0
	for _, g := range t.gens {
		if g.lost {
			lost++
		}
	}
	for _, g := range t.gens {
		if g.lost {
			lost-- // how many are newer
		}
		superseded := t.byFile[g.id.key()] != g
		gone := (!g.lost || lost >= mostLost) && !g.missing.IsZero() && now.Sub(g.missing) >= forgetAfter
		superseded = superseded && !(g.truncated && now.Sub(g.missing) < forgetAfter)
		if g.ended && g.number < t.settled && (superseded || gone) {
			if !superseded {
				delete(t.byFile, g.id.key())
			}
			continue
		}
		kept = append(kept, g)
	}
	clear(t.gens[len(kept):])
	t.gens = kept
}

// mostLost is how many files whose rest could not be found are kept to be known by if
// they turn up.
const mostLost = 4

// letGo closes the files of generations that have ended a while ago: until then a
// packed file that appears can be held against them. Where descriptors are short
// the files that wait for one come first.
func (t *Tail) letGo(now time.Time) {
	for _, g := range t.gens {
		if g.ended && g.file != nil && t.inspection == nil && (t.full || now.Sub(g.endedAt) >= keepOpen) {
			g.close()
		}
	}
}

// measure updates sizes, so that a rotated file that grows is not taken for a
// quiet one, and paths.
func (t *Tail) measure(now time.Time) {
	for _, g := range t.gens {
		if g.file == nil || g.ended {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(g.file.Fd()), &st) == nil && st.Size != g.size {
			g.size, g.grown = st.Size, now
		}
		g.seen = g.size
		if g.real = pathOf(g.file); isPacked(g.name) {
			g.real = ""
		}
	}
}
