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
	grid   []Crumb          // at places all over
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
		for at := nextOfGrid(p.length); at <= p.length+int64(len(b)); at = nextOfGrid(at) {
			p.grid = append(p.grid, Crumb{at, sum(lastOf(p.last, b[:at-p.length]))})
		}
		p.last = lastOf(p.last, b)
		p.length += int64(len(b))
		return nil
	})
	p.sums[p.length] = sum(p.last)
	return p
}

// nextOfGrid is the next place at which what is packed is compared with a file.
func nextOfGrid(at int64) int64 {
	if at < 64<<10 {
		return (at>>10 + 1) << 10
	}
	return (at>>16 + 1) << 16
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
