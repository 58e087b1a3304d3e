package tail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// A packed file is a rotated log that was compressed since. Mostly its lines were
// read before, and then it is a copy; if not, it is unpacked into a file without a
// name and read there like any other.

// unpackers tell by the end of a file's name how it was packed.
var unpackers = map[string]func(io.Reader) (io.ReadCloser, error){
	".gz": func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	".zst": func(r io.Reader) (io.ReadCloser, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	},
}

// isPacked tells whether a name is that of a packed file.
func isPacked(name string) bool { return unpackers[filepath.Ext(name)] != nil }

// withoutPacking is the name that a packed file had before, and any other name.
func withoutPacking(name string) string {
	if isPacked(name) {
		return strings.TrimSuffix(name, filepath.Ext(name))
	}
	return name
}

// packed is what is inside a packed file.
type packed struct {
	size   int64 // of the packed file when it was looked into
	length int64 // of what is inside
	head   []byte
	last   []byte           // the bytes before the end
	sums   map[int64]uint64 // of the bytes before some offsets, and before the end
	err    error            // why it can't be unpacked
}

// packedQuiet is how long a packed file must not have changed before it is taken for
// complete where the kernel can't tell that nobody writes it any more.
const packedQuiet = 5 * time.Second

// complete tells whether nobody is writing a packed file any more.
func complete(f *os.File, now time.Time) bool {
	switch writersOf(f) {
	case writersNone:
		return true
	case writersThere:
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && now.Sub(time.Unix(st.Ctim.Unix())) >= packedQuiet
}

// unpack hands what is inside a packed file, piece by piece, to take, until ctx
// ends.
func unpack(ctx context.Context, f *os.File, take func([]byte) error) error {
	open := unpackers[filepath.Ext(f.Name())]
	r, err := open(bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 64<<10))
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if n > 0 {
			if err := take(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("unpack %s: %w", f.Name(), err)
		}
	}
}

// lookInto unpacks a file, keeping nothing but its length, its head and the bytes
// before the offsets that somebody asks about.
func lookInto(ctx context.Context, f *os.File, size int64, offsets []int64) *packed {
	p := &packed{size: size, sums: make(map[int64]uint64)}
	slices.Sort(offsets)
	offsets = slices.Compact(offsets)
	p.err = unpack(ctx, f, func(b []byte) error {
		if room := headSize - len(p.head); room > 0 {
			p.head = append(p.head, b[:min(room, len(b))]...)
		}
		i, _ := slices.BinarySearch(offsets, p.length+1)
		for ; i < len(offsets) && offsets[i] <= p.length+int64(len(b)); i++ {
			p.sums[offsets[i]] = sum(lastOf(p.last, b[:offsets[i]-p.length]))
		}
		p.last = lastOf(p.last, b)
		p.length += int64(len(b))
		return nil
	})
	p.sums[p.length] = sum(p.last)
	return p
}

// lastOf is a new copy of the last bytes of a followed by b, frontierSize at most.
func lastOf(a, b []byte) []byte {
	if len(b) >= frontierSize {
		return clone(b[len(b)-frontierSize:])
	}
	a = a[max(0, len(a)-(frontierSize-len(b))):]
	return append(clone(a), b...)
}

// has tells whether what is inside begins with head and has before just before
// offset.
func (p *packed) has(head, before []byte, offset int64) bool {
	if p.err != nil || !bytes.HasPrefix(p.head, head) {
		return false
	}
	got, known := p.sums[offset]
	return offset == 0 || known && got == sum(before)
}

// bears tells whether what is inside has the bytes before every crumb of a trail
// that was asked about.
func (p *packed) bears(trail []Crumb) bool {
	return !slices.ContainsFunc(trail, func(c Crumb) bool {
		got, known := p.sums[c.Offset]
		return known && got != c.Sum
	})
}

// unpacked writes what is inside a packed file to a file without a name in a
// folder and returns that, open for reading only: a read lease on it must be
// possible.
func unpacked(ctx context.Context, f *os.File, folder string) (*os.File, error) {
	w, err := os.CreateTemp(folder, ".unpacked-*")
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := os.Remove(w.Name()); err != nil {
		return nil, err
	}
	if err := unpack(ctx, f, func(b []byte) error { _, err := w.Write(b); return err }); err != nil {
		return nil, err
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()))
}

// inspection is a look into a packed file that goes on beside the reading.
type inspection struct {
	key  string
	size int64
	done chan *packed
}

// lookedInto returns what is inside a packed file, nil as long as that is not
// known. One file is looked into at a time.
func (t *Tail) lookedInto(f *found, now time.Time) *packed {
	if f.inside != nil {
		return f.inside
	}
	if in := t.inspection; in != nil {
		select {
		case p := <-in.done:
			t.inspection = nil
			if in.key == f.id.key() && in.size == f.size {
				return p
			}
		default:
			return nil
		}
	}
	if !complete(f.file, now) {
		return nil
	}
	dup, err := duplicate(f.file)
	if err != nil {
		return nil
	}
	in := &inspection{key: f.id.key(), size: f.size, done: make(chan *packed, 1)}
	offsets := t.offsets()
	t.inspection = in
	t.beside.Go(func() {
		defer dup.Close()
		in.done <- lookInto(t.ctx, dup, in.size, offsets)
	})
	return nil
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
func (t *Tail) adoptPacked(f *found, s *survey, now time.Time) bool {
	p := t.lookedInto(f, now)
	if p == nil || p.err != nil && t.ctx.Err() != nil {
		t.unsure = true
		return false
	}
	if p.err == nil && p.length == 0 {
		t.leaveOut(f, now) // nothing to read, and the beginning of each
		return false
	}
	if p.err != nil {
		t.log.Warn().Err(p.err).Str("file", f.path).Msg("compressed log file can't be read, it is left out")
		t.leaveOut(f, now)
		return false
	}
	if g := t.inside(p, s); g != nil {
		t.log.Info().Str("file", f.path).Str("of", g.name).Msg("compressed copy of a log file found, not read")
		g.copy = f.id.key()
		t.leaveOut(f, now)
		return false
	}
	file, err := unpacked(t.ctx, f.file, t.cfg.Folder)
	if err != nil {
		s.blame(false, err)
		t.unsure = true
		return false
	}
	f.size = p.length
	if t.goesOn(&found{id: f.id, path: f.path, file: file, size: p.length}, now) != nil {
		return true
	}
	t.number(&generation{id: f.id, name: f.path, file: file, size: p.length, grown: now})
	return true
}

// leaveOut makes a file known that is not read. Its content is not remembered where
// its identity does: there may be thousands.
func (t *Tail) leaveOut(f *found, now time.Time) {
	if f.id.Handle == "" {
		t.numberCopy(f, now)
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
			if !few && p.length <= max(g.size, g.offset) && p.bears(g.trail) && holds(g.file, p.head, p.last, p.length) == nil {
				if g.offset == 0 {
					g.head = clone(p.head) // as for a plain copy
				}
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
