package truth

import (
	"slices"
)

// tally counts prices of one bucket of one window, each exactly.
type tally struct {
	count            uint64
	sum, least, most int64

	// An open hash table of prices: a shop has a few thousand different ones, and a Go map costs three
	// times as much per line.
	keys   []int64 // the price plus one; 0 is a free place
	counts []uint32
	used   int
}

func (t *tally) add(cents int64) {
	if t.count == 0 {
		t.least, t.most = cents, cents
	}
	t.count++
	t.sum += cents
	t.least, t.most = min(t.least, cents), max(t.most, cents)
	t.note(cents, 1)
}

func (t *tally) note(cents int64, n uint32) {
	if 2*t.used >= len(t.keys) {
		t.grow()
	}
	i := t.place(cents + 1)
	if t.keys[i] == 0 {
		t.keys[i] = cents + 1
		t.used++
	}
	t.counts[i] += n // 4 billion of a price in a window are beyond a minute of any writer
}

func (t *tally) place(key int64) uint64 {
	mask := uint64(len(t.keys) - 1)
	i := uint64(key) * 0x9e3779b97f4a7c15 >> 32 & mask
	for t.keys[i] != 0 && t.keys[i] != key {
		i = (i + 1) & mask
	}
	return i
}

func (t *tally) grow() {
	keys, counts := t.keys, t.counts
	size := max(64, 2*len(keys))
	t.keys, t.counts = make([]int64, size), make([]uint32, size)
	for i, key := range keys {
		if key != 0 {
			at := t.place(key)
			t.keys[at], t.counts[at] = key, counts[i]
		}
	}
}

func (t *tally) reset() {
	clear(t.keys)
	clear(t.counts)
	t.count, t.sum, t.used = 0, 0, 0
}

// quantiles are p50, p95 and p99 by nearest rank.
func (t *tally) quantiles() (p50, p95, p99 int64) {
	prices := make([]int64, 0, t.used)
	for _, key := range t.keys {
		if key != 0 {
			prices = append(prices, key-1)
		}
	}
	slices.Sort(prices)
	found := [3]int64{}
	for i, percent := range []uint64{50, 95, 99} {
		rank := (t.count*percent + 99) / 100 // rounded up
		seen := uint64(0)
		for _, p := range prices {
			if seen += uint64(t.counts[t.place(p+1)]); seen >= rank {
				found[i] = p
				break
			}
		}
	}
	return found[0], found[1], found[2]
}
