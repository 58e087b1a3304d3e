package tail

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"
)

// inspection is work on a packed file that goes on beside the reading: a look into
// it and, if that shows nothing that is known, its unpacking.
type inspection struct {
	key    string
	size   int64
	done   chan struct{} // closed when what follows is there
	inside *packed
	file   *os.File // what is inside, nil as long as only the look was taken
	err    error    // why it can't be unpacked
	at     time.Time
}

// unpackAgain is how long a packed file is left alone that could not be unpacked: a
// full disk must not have it written again and again.
const unpackAgain = time.Minute

// aside does something with a packed file beside the reading, one thing at a time.
func (t *Tail) aside(f *found, inside *packed, do func(in *inspection, file *os.File)) {
	if t.inspection != nil {
		return
	}
	file, err := duplicate(f.file)
	if err != nil {
		return
	}
	in := &inspection{key: f.id.key(), size: f.size, inside: inside, done: make(chan struct{})}
	t.inspection = in
	t.beside.Go(func() {
		defer close(in.done)
		defer file.Close()
		do(in, file)
	})
}

// takeInspection takes in what an inspection came to, whoever asked for it.
func (t *Tail) takeInspection() {
	if t.inspection == nil {
		return
	}
	select {
	case <-t.inspection.done:
		t.inspected[t.inspection.key] = t.inspection
		t.inspection = nil
	default:
	}
}

// dropInspected forgets what was found out about packed files that are known by now
// or have gone.
func (t *Tail) dropInspected(s *survey) {
	for key, in := range t.inspected {
		if s == nil || t.byFile[key] != nil || !s.has(key) {
			if in.file != nil {
				_ = in.file.Close()
			}
			delete(t.inspected, key)
		}
	}
}

// offsets are those at which generations have ended, as far as reading goes.
func (t *Tail) offsets() []int64 {
	var all []int64
	for _, g := range t.gens {
		all = append(all, g.offset)
		for _, c := range g.trail {
			all = append(all, c.Offset)
		}
	}
	return all
}

// adoptPacked deals with a packed file that is not known: it is a copy of a
// generation, or one that nobody has read. It reports whether it is one to read.
// As long as that is not known the Tail is unsure.
func (t *Tail) adoptPacked(f *found, s *survey, now time.Time) bool {
	in := t.inspected[f.id.key()]
	switch {
	case in == nil || in.size != f.size:
		t.unsure = true
		if complete(f.file, now) {
			offsets := t.offsets()
			t.aside(f, nil, func(in *inspection, file *os.File) { in.inside = lookInto(t.ctx, file, in.size, offsets) })
		}
		return false
	case in.inside.err != nil && t.ctx.Err() != nil:
		t.unsure = true
		return false
	case in.inside.err != nil:
		t.log.Warn().Err(in.inside.err).Str("file", f.path).Msg("compressed log file can't be read, it is left out")
		t.leaveOut(f, now)
		return false
	case in.inside.length == 0:
		t.leaveOut(f, now) // nothing to read, and the beginning of each
		return false
	}
	if g := t.inside(in.inside, s); g != nil {
		t.log.Info().Str("file", f.path).Str("of", g.name).Msg("compressed copy of a log file found, not read")
		g.copy = f.id.key()
		t.leaveOut(f, now)
		return false
	}
	if in.file == nil && !t.unpackFor(f, in, now) {
		if in.err != nil && s.rest == nil {
			s.rest = fmt.Errorf("unpack %s: %w", f.path, in.err) // also that the folder for it is not there
		}
		t.unsure = true
		return false
	}
	f.size = in.inside.length
	file := in.file
	in.file = nil
	if t.goesOn(&found{id: f.id, path: f.path, file: file, size: f.size}, now) == nil {
		t.number(&generation{id: f.id, name: f.path, file: file, size: f.size, grown: now})
	}
	return true
}

// unpackFor unpacks what an inspection was of: at the first look at once, for its
// lines may be the first, later beside the reading. It reports whether it has.
func (t *Tail) unpackFor(f *found, in *inspection, now time.Time) bool {
	if in.err != nil && now.Sub(in.at) < unpackAgain {
		return false
	}
	if f.inside != nil {
		in.at = now
		in.file, in.err = unpacked(t.ctx, f.file, t.cfg.Folder)
		return in.err == nil
	}
	t.aside(f, in.inside, func(in *inspection, file *os.File) {
		in.at = now
		in.file, in.err = unpacked(t.ctx, file, t.cfg.Folder)
	})
	return false
}

// leaveOut makes a file known that is not read. Its content is not remembered where
// its identity does: there may be thousands.
func (t *Tail) leaveOut(f *found, now time.Time) {
	if f.id.Handle == "" {
		t.numberCopy(f, nil, now)
		return
	}
	t.number(&generation{id: f.id, name: f.path, copied: true, ended: true, offset: f.size, grown: now})
}

// inside returns the generation that a packed file holds. Each has one such file,
// as long as that is there: two files of the same few bytes are two.
func (t *Tail) inside(p *packed, s *survey) *generation {
	for _, g := range t.gens {
		switch {
		case g.copied, g.copy != "" && s.has(g.copy):
		case g.file != nil:
			// Of a few bytes many files are the beginning.
			few := p.length < headSize && (g.live || p.length != g.size)
			if few || p.length > max(g.size, g.offset) || !p.bears(g.trail) || holds(g.file, p.head, p.last, p.length) != nil {
				continue
			}
			if g.offset == 0 {
				g.head = clone(p.head) // as for a plain copy
			}
			if bears(g.file, p.grid) {
				return g
			}
		case p.length == g.offset && p.has(g.head, g.before, g.offset) && p.bears(g.trail), p.endsBefore(g):
			return g
		}
	}
	return nil
}

// endsBefore tells whether a packed file holds the beginning of a generation that
// went on after it was packed.
func (p *packed) endsBefore(g *generation) bool {
	if p.err != nil || p.length >= g.offset || len(g.head) < headSize || !bytes.HasPrefix(p.head, g.head) || !p.bears(g.trail) {
		return false
	}
	asked := slices.DeleteFunc(upTo(g.trail, p.length), func(c Crumb) bool { _, known := p.sums[c.Offset]; return !known })
	return proven(asked, p.length)
}

// has tells whether a file was seen.
func (s *survey) has(key string) bool {
	return slices.ContainsFunc(s.files, func(f *found) bool { return f.id.key() == key })
}
