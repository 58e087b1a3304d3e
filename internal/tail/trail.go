package tail

import (
	"hash/fnv"
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

// shorterCopy tells whether f is a copy of the beginning of what was read up to
// an offset: it has the same head, and, as far as it goes, the bytes before the
// offset, or those before the last crumb in it.
func shorterCopy(f *found, head, before []byte, trail []Crumb, offset int64) bool {
	if f.size >= offset || len(head) < headSize || f.open() != nil || holds(f.file, head, nil, 0) != nil {
		return false
	}
	if both := f.size - (offset - int64(len(before))); both > 0 {
		return holds(f.file, nil, before[:both], f.size) == nil
	}
	trail = upTo(trail, f.size)
	if len(trail) == 0 {
		return false
	}
	last := trail[len(trail)-1]
	buf := make([]byte, frontierSize)
	n, err := pread(f.file, buf, last.Offset-frontierSize)
	return err == nil && n == len(buf) && sum(buf) == last.Sum
}
