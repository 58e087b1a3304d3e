package tail

import (
	"bytes"
	"os"
	"slices"
	"time"
)

// original returns the generation that f is a copy of, as copytruncate or a
// person makes one, nil if there is none. When in doubt it is none: lines sent
// twice are better than lines not sent. Of two files with the same header and the
// same footer what lies between them decides.
func (t *Tail) original(f *found, begin beginnings) *generation {
	if f.size < headSize {
		return nil
	}
	for _, g := range begin[beginning(f.file)] {
		if g.id.key() == f.id.key() {
			continue // rewritten in place: it is no copy of itself
		}
		head, same := samePart(f.file, g.file, 0, headSize)
		if same {
			_, same = samePart(f.file, g.file, max(0, f.size-frontierSize), f.size)
		}
		if !same {
			continue
		}
		if g.offset == 0 {
			// The copy counts as read because g will be. If g is truncated before,
			// which may be now, that must be seen.
			g.head = head
		}
		if sameText(f.file, g.file, f.size) {
			return g
		}
	}
	for _, g := range t.gens {
		if g.copied || g.file != nil || len(g.head) == 0 {
			continue
		}
		if f.size == g.offset && holds(f.file, g.head, g.before, g.offset) == nil && bears(f.file, g.trail) ||
			shorterCopy(f, g.head, g.before, g.trail, g.offset) {
			return g
		}
	}
	return nil
}

// goesOn makes a generation of what a file has behind the position in one that was
// truncated before it was read: a copy that is found late, as its rest. It returns nil
// if f is none.
func (t *Tail) goesOn(f *found, now time.Time) *generation {
	var g *generation
	for _, o := range t.gens {
		if o.truncated && o.offset >= headSize && f.size > o.offset && (g == nil || o.offset > g.offset) &&
			holds(f.file, o.head, o.before, o.offset) == nil && bears(f.file, o.trail) {
			g = o
		}
	}
	if g == nil {
		return nil
	}
	return t.restOf(g, f.id, f.path, f.take(), f.size, now)
}

// restOf numbers what a file has behind the position in another one, g, that ended.
func (t *Tail) restOf(g *generation, id Identity, path string, file *os.File, size int64, now time.Time) *generation {
	t.log.Warn().Str("file", path).Str("of", g.name).Int64("bytes", size-g.offset).Msg("copy of a log file found late, reading what only it has")
	rest := g.behind(id, path, file, size, now)
	t.number(rest)
	g.truncated = false
	return rest
}

// behind is what a file has behind the position in g, as a generation of its own.
func (g *generation) behind(id Identity, path string, file *os.File, size int64, now time.Time) *generation {
	return &generation{
		id: id, name: path, file: file, head: g.head, trail: slices.Clone(g.trail),
		start: g.offset, startBefore: g.before, offset: g.offset, before: clone(g.before), size: size, grown: now,
	}
}

// beginnings are generations that can be read, by the first bytes of their files. Of
// thousands of files each is compared with those only that begin as it does.
type beginnings map[string][]*generation

func (b beginnings) add(gens ...*generation) {
	for _, g := range gens {
		if !g.copied && g.file != nil {
			k := beginning(g.file)
			b[k] = append(b[k], g)
		}
	}
}

// beginning is the first bytes of a file, as many as there are.
func beginning(f *os.File) string {
	head := make([]byte, headSize)
	n, _ := pread(f, head, 0) // what can't be read is compared with the same
	return string(head[:n])
}

// samePart tells whether two files have the same bytes from from up to to, and which.
func samePart(a, b *os.File, from, to int64) (part []byte, same bool) {
	x, y := make([]byte, to-from), make([]byte, to-from)
	return x, samePieces(a, b, from, x, y)
}

func samePieces(a, b *os.File, at int64, x, y []byte) bool {
	n, err := pread(a, x, at)
	m, errB := pread(b, y, at)
	return err == nil && errB == nil && n == len(x) && m == len(y) && bytes.Equal(x, y)
}

const (
	// comparedWhole is the size up to which two files are compared byte for byte.
	// Larger ones are compared at so many bytes of theirs, in pieces all over:
	// a copy of many gigabytes must not hold up the reading.
	comparedWhole = 16 << 20
	comparedPiece = 64 << 10
)

// sameText tells whether two files are the same up to size.
func sameText(a, b *os.File, size int64) bool {
	x, y := make([]byte, min(size, comparedPiece)), make([]byte, min(size, comparedPiece))
	step := max(comparedPiece, size/(comparedWhole/comparedPiece))
	for at := int64(0); at < size; at += step {
		n := min(comparedPiece, size-at)
		if !samePieces(a, b, at, x[:n], y[:n]) {
			return false
		}
	}
	return true
}
