package tail

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// number makes a generation the last to be read.
func (t *Tail) number(g *generation) {
	g.number, g.seen = t.nextNumber, g.size
	t.nextNumber++
	t.gens = append(t.gens, g)
	t.byFile[g.id.key()] = g
}

// numberCopy makes a file known that is not read, by its identity and its content.
func (t *Tail) numberCopy(f *found, of *generation, now time.Time) {
	g := &generation{id: f.id, name: f.path, copied: true, of: of, ended: true, offset: f.size, grown: now, checked: f.mtime, checkedSize: f.size}
	was := f.file
	if f.open() == nil {
		if head, before, err := surroundings(f.file, f.size); err == nil {
			g.head, g.before = head, before
		}
	}
	if was == nil && f.file != nil {
		_ = f.take().Close()
	}
	t.number(g)
}

// adopt makes generations of unknown files: the oldest first, the live one last.
func (t *Tail) adopt(unknown []*found, s *survey, now time.Time) {
	sortOldestFirst(unknown)
	if last := len(unknown) - 1; last > 0 && unknown[last].live {
		// First, to know its copies by it. It gets its number later.
		unknown = append([]*found{unknown[last]}, unknown[:last]...)
	}
	var fresh []*found
	begin := make(beginnings)
	if len(unknown) > 1 || len(unknown) == 1 && !unknown[0].live {
		begin.add(t.gens...)
	}
	t.empty, t.unsure = false, false
	for _, f := range unknown {
		if f.file == nil {
			continue
		}
		if f.packed {
			if t.adoptPacked(f, s, now) {
				fresh = append(fresh, f)
				begin.add(t.byFile[f.id.key()])
			}
			continue
		}
		if !f.live && !f.gone && f.size == 0 {
			t.empty = true
			continue // nothing to read, and too early to tell whether it is a copy
		}
		if !f.live {
			if g := t.original(f, begin); g != nil {
				t.log.Info().Str("file", f.path).Str("of", g.name).Msg("copy of a log file found, not read")
				t.numberCopy(f, g, now)
				continue
			}
			if t.overtaken() {
				// It may be a copy of what was truncated just now.
				t.rescan = true
				break
			}
			if g := t.goesOn(f, now); g != nil {
				begin.add(g)
				fresh = append(fresh, f)
				continue
			}
		}
		g := &generation{id: f.id, name: f.path, file: f.take(), live: f.live, size: f.size, grown: now}
		t.number(g)
		begin.add(g)
		fresh = append(fresh, f)
	}
	if slices.ContainsFunc(fresh, func(f *found) bool { return !f.live }) {
		t.renumber(fresh)
	}
	for _, f := range fresh {
		g := t.byFile[f.id.key()]
		t.log.Info().Str("file", g.name).Int64("generation", g.number).Int64("size", g.size).Msg("new log file")
	}
}

// renumber brings fresh generations into their order with the file that was the
// live one before this look, if nothing of that was read yet: several rotations
// may lie between two looks, so what was found later may hold what was written
// before.
func (t *Tail) renumber(fresh []*found) {
	for _, g := range t.gens {
		if (g.live || g.wasLive) && !g.ended && !g.begun && g.offset == g.start {
			f := &found{path: g.name, id: g.id, live: g.live}
			if _, st, err := identify(g.file); err == nil {
				f.mtime = unix.TimespecToNsec(st.Mtim)
			}
			if t.byFile[f.id.key()] == g && !slices.ContainsFunc(fresh, func(o *found) bool { return o.id.key() == f.id.key() }) {
				fresh = append(fresh, f)
			}
		}
	}
	sortOldestFirst(fresh)
	for _, f := range fresh {
		g := t.byFile[f.id.key()]
		t.gens = slices.DeleteFunc(t.gens, func(o *generation) bool { return o == g })
		t.number(g)
	}
}

// overtaken tells whether some file does not hold any more what was read of it.
func (t *Tail) overtaken() bool {
	for _, g := range t.gens {
		if !g.ended && errors.Is(holds(g.file, g.head, g.before, g.offset), errChanged) {
			return true
		}
	}
	return false
}

// copiesTake is how much older than the last write to a log, as we have seen it, a
// file may be that is still taken for a copy of the log made just before its
// truncation.
const copiesTake = 10 * time.Minute

// continuation finds the file that goes on where a generation can't be read any
// more in its own: the copy that copytruncate made, or the log restored from a
// backup. The bytes before the position have to be the same. Of several the longest
// has all that the others have. wrote is when the generation was last written. An
// error says that there may be one that can't be opened now.
func (t *Tail) continuation(s *survey, g GenerationState, wrote int64) (best *found, err error) {
	if len(g.Head) == 0 {
		return nil, nil // nothing is known of its content
	}
	may := func(f *found) bool {
		old := t.byFile[f.id.key()]
		if old != nil && old.copied && old.of != nil && old.of.number != g.Number && g.Offset < headSize {
			return false // many files begin as this one does
		}
		return f.id.key() != g.File.key() && (old == nil || old.copied || s.moved[old]) && // else it was read already
			(!f.packed || f.inside != nil && !t.started)
	}
	for _, f := range s.files {
		if !may(f) || !f.packed && f.size < max(g.Offset, g.End) {
			continue
		}
		if f.err = f.open(); f.err != nil { // also that it was renamed just now
			s.closed = append(s.closed, f)
		} else if g.in(f) && (best == nil || f.length() > best.length()) {
			best = f
		}
	}
	for _, f := range s.closed {
		if may(f) && !f.live && f.size >= g.Offset && f.mtime >= wrote-int64(copiesTake) && (best == nil || f.size > best.length()) {
			return nil, f.err
		}
	}
	switch {
	case best != nil:
		return best, nil
	case s.unnamed != nil:
		return nil, s.unnamed
	}
	// What was read beyond the copy's end is not anywhere any more.
	for _, f := range s.files {
		if may(f) && f.size >= g.Offset && shorterCopy(f, g.Head, g.Before, g.Trail, g.End) &&
			holds(f.file, nil, g.Before, g.Offset) == nil {
			return f, nil
		}
	}
	return nil, nil
}

// length is how much text there is in a file.
func (f *found) length() int64 {
	if f.inside != nil {
		return f.inside.length
	}
	return f.size
}

// truncated deals with a generation whose bytes have gone from its file. It goes
// on in its copy f, if one was made, under its number: after a crash its lines have
// the positions they had. Else it ends. The file itself begins anew. It returns the
// files that are still unknown.
func (t *Tail) truncated(g *generation, f *found, unknown []*found, now time.Time) []*found {
	fresh := &generation{id: g.id, name: g.name, file: g.file, live: g.live, grown: now}
	latest := t.byFile[g.id.key()] == g
	how := truncated
	event := t.log.Info()
	if f != nil {
		how = copied
		event = event.Str("rest", f.path).Int64("rest_bytes", f.size-g.offset)
		unknown = slices.DeleteFunc(unknown, func(u *found) bool { return u == f })
	} else {
		end := max(g.size, g.seen)
		if g.limit > 0 {
			end = g.limit
		}
		if lost := end - g.offset; lost > 0 {
			t.counts.abandoned.Add(lost)
			event = t.log.Warn().Int64("lost_bytes", lost)
		}
	}
	event.Str("file", g.name).Int64("offset", g.offset).Msg("log file was truncated, reading it from its beginning")
	if latest {
		t.counts.truncated.Add(1)
		t.counts.rotated[how].Add(1)
	} else {
		g.close() // what follows it in this file has a descriptor of its own
	}
	g.live, g.wasLive, g.file, g.ended, g.truncated = false, false, nil, f == nil, f == nil
	if f != nil {
		g.id, g.name, g.real, g.file, g.size, g.grown = f.id, f.path, "", f.take(), f.size, now
		t.byFile[g.id.key()] = g
	}
	if latest {
		t.number(fresh)
	}
	return unknown
}

// errGone is why a position can't be continued.
var errGone = errors.New("no file holds the bytes before the position any more")
