package tail

import (
	"hash/fnv"
	"os"
	"slices"
)

// Crumb is a place that a generation was read past, and a hash of the bytes
// before it. Crumbs show that a file is a copy that ends before the position:
// what a log's writer adds between the copier's last read and its truncation is
// read, and is not in the copy.
type Crumb struct {
	Offset int64  `json:"offset"`
	Sum    uint64 `json:"sum"`
}

// sum is FNV-1a: every process has to find the same.
func sum(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// strew adds crumbs for data, which is the last part of buf and begins at
// offset: at its end, and the farther from there the fewer. The window of a copy
// is near the end.
func strew(trail []Crumb, buf []byte, data int, offset int64) []Crumb {
	from, end := len(buf)-data, offset+int64(data)
	last := int64(headSize)
	if n := len(trail); n > 0 {
		last = trail[n-1].Offset
	}
	if end := offset + int64(data); len(trail) == 0 && offset < frontierSize && end >= frontierSize {
		// With it, all of a copy is compared that is not much longer.
		last = frontierSize
		trail = append(trail, Crumb{last, sum(buf[from-int(offset):][:frontierSize])})
	}
	added := len(trail)
	for back := int64(0); end-back >= offset; back = max(2*back, frontierSize) {
		at := end - back
		if at < last+frontierSize {
			break
		}
		i := from + int(at-offset)
		if i < frontierSize {
			break // the bytes before it are not all there
		}
		trail = append(trail, Crumb{at, sum(buf[i-frontierSize : i])})
	}
	slices.Reverse(trail[added:])
	// Of three, the one in the middle is too much if they are closer to each other
	// than to the end.
	for i := len(trail) - 2; i > 0; i-- {
		if trail[i+1].Offset-trail[i-1].Offset <= end-trail[i+1].Offset {
			trail = slices.Delete(trail, i, i+1)
		}
	}
	return trail
}

// upTo is the crumbs at or before offset.
func upTo(trail []Crumb, offset int64) []Crumb {
	i, _ := slices.BinarySearchFunc(trail, offset+1, func(c Crumb, o int64) int { return int(min(max(c.Offset-o, -1), 1)) })
	return slices.Clone(trail[:i])
}

// fewestBytes is how many bytes at the end of a copy prove that it is one: lines
// often end alike, and the last bytes of one line alone prove nothing.
const fewestBytes = 256

// mostDone is how many crumbs of a finished generation are kept in a State.
const mostDone = 8

// thin is n crumbs of a trail, spread over it, or all if there are no more.
func thin(trail []Crumb, n int) []Crumb {
	if len(trail) <= n {
		return slices.Clone(trail)
	}
	kept := make([]Crumb, n)
	for i := range kept {
		kept[i] = trail[i*(len(trail)-1)/(n-1)]
	}
	return kept
}

// bears tells whether a file has the bytes before every crumb of a trail.
func bears(f *os.File, trail []Crumb) bool {
	buf := make([]byte, frontierSize)
	for _, c := range trail {
		n, err := pread(f, buf, c.Offset-frontierSize)
		if err != nil || n < len(buf) || sum(buf) != c.Sum {
			return false
		}
	}
	return true
}

// shorterCopy tells whether f is a copy of the beginning of what was read up to
// an offset: it has the same head, the same bytes before each crumb, and, as far
// as it goes, before the offset. It takes more than a header to prove that: a
// place in the last three quarters of f, several lines at its end, or all of f.
func shorterCopy(f *found, head, before []byte, trail []Crumb, offset int64) bool {
	if f.size < headSize || f.size >= offset || len(head) < headSize || f.open() != nil || holds(f.file, head, nil, 0) != nil {
		return false
	}
	trail = upTo(trail, f.size)
	both := max(0, f.size-(offset-int64(len(before)))) // bytes of before that f has
	if !bears(f.file, trail) || holds(f.file, nil, before[:both], f.size) != nil {
		return false
	}
	return proven(trail, f.size) || both >= min(fewestBytes, f.size-headSize)
}

// proven tells whether the last of the crumbs that a file of some size bears is
// far enough in it.
func proven(trail []Crumb, size int64) bool {
	return len(trail) > 0 && trail[len(trail)-1].Offset >= size/4
}
