package verify

import (
	"math/bits"
	"slices"
	"sort"
)

// index finds the number of a line by its digest. Lines are counted from 1, so that 0 is none.
//
// For each line it takes 8 bytes for the digest, 6 for its place in an open hash table, and 8 more where
// the line was in the log before. It does not change once it is made.
type index struct {
	digests []uint64
	slots   []uint32
	heads   bitset   // lines that come again later
	groups  []uint32 // those lines, ascending: each heads a group of equal ones
	begins  []uint32 // where the lines of each group begin in places
	places  []uint32 // the lines of all groups, ascending within one
}

func newIndex(digests []uint64) *index {
	x := &index{digests: digests, slots: make([]uint32, len(digests)+len(digests)/2+1), heads: newBitset(len(digests) + 1)}
	var again []uint64 // the first of equal lines, and another one
	for i, d := range digests {
		at := x.slot(d)
		if head := x.slots[at]; head != 0 {
			again = append(again, uint64(head)<<32|uint64(i+1))
			continue
		}
		x.slots[at] = uint32(i + 1)
	}
	slices.Sort(again)
	for _, pair := range again {
		head, line := uint32(pair>>32), uint32(pair)
		if !x.heads.has(head) {
			x.heads.set(head)
			x.groups = append(x.groups, head)
			x.begins = append(x.begins, uint32(len(x.places)))
			x.places = append(x.places, head)
		}
		x.places = append(x.places, line)
	}
	x.begins = append(x.begins, uint32(len(x.places)))
	return x
}

// slot is where a digest is in the table, or would be.
func (x *index) slot(digest uint64) int {
	high, _ := bits.Mul64(digest, uint64(len(x.slots)))
	at := int(high)
	for x.slots[at] != 0 && x.digests[x.slots[at]-1] != digest {
		if at++; at == len(x.slots) {
			at = 0
		}
	}
	return at
}

// find returns the first line with a digest, or 0.
func (x *index) find(digest uint64) uint32 { return x.slots[x.slot(digest)] }

// group is which group of equal lines a line heads, or -1 if it is the only one.
func (x *index) group(line uint32) int {
	if !x.heads.has(line) {
		return -1
	}
	return sort.Search(len(x.groups), func(i int) bool { return x.groups[i] >= line })
}

// lines lists the lines of a group.
func (x *index) lines(group int) []uint32 { return x.places[x.begins[group]:x.begins[group+1]] }

// between is the first line of a group above one line and below another, or 0.
func (x *index) between(group int, above, below uint32) uint32 {
	lines := x.lines(group)
	i := sort.Search(len(lines), func(i int) bool { return lines[i] > above })
	if i == len(lines) || lines[i] >= below {
		return 0
	}
	return lines[i]
}

// bitset is a set of lines.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, n/64+1) }

func (b bitset) has(line uint32) bool { return b[line/64]&(1<<(line%64)) != 0 }

func (b bitset) set(line uint32) { b[line/64] |= 1 << (line % 64) }

// next is the first line from one on, and up to another, that is not in the set; 0 if all are.
func (b bitset) next(from, to uint32) uint32 {
	for line := uint64(from); line <= uint64(to); {
		if free := ^b[line/64] >> (line % 64); free != 0 {
			if line += uint64(bits.TrailingZeros64(free)); line <= uint64(to) {
				return uint32(line)
			}
			return 0
		}
		line = (line/64 + 1) * 64
	}
	return 0
}

// end is the last line of the stretch of lines that are not in the set which begins at one, at most to.
func (b bitset) end(from, to uint32) uint32 {
	for line := uint64(from); line <= uint64(to); {
		if taken := b[line/64] >> (line % 64); taken != 0 {
			return uint32(min(line+uint64(bits.TrailingZeros64(taken)), uint64(to)+1) - 1)
		}
		line = (line/64 + 1) * 64
	}
	return to
}
