package truth

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"math"
	"slices"
	"time"
)

// Recorder makes a Key while lines are written. It is for one goroutine at a time, and in a steady run
// allocates nothing per line.
//
// Memory: prices are counted exactly, so a window costs some 12 bytes for each different price in it,
// until no line can fall into it any more; then it costs 200 bytes.
type Recorder struct {
	length   int64 // of a window, in microseconds
	furthest int64 // how far a timestamp may lie behind the newest due time, in microseconds

	chain   hash.Hash
	lines   uint64
	valid   uint64
	bytes   uint64
	dropped uint64
	defects map[string]*Defect

	open    map[int64]*window // by start
	last    *window           // the one that the last line fell into
	spare   []*window
	done    []summary
	closing int64 // windows that end before it are done
}

// window is one that lines can still fall into.
type window struct {
	start   int64 // in microseconds since 1970
	buckets [3]tally
}

// summary is a window that has ended, in one bucket.
type summary struct {
	start            int64
	bucket           uint8
	count            uint64
	sum, least, most int64
	p50, p95, p99    int64
}

// NewRecorder counts windows of a length, a whole number of seconds. furthest is how far back from its
// due time an event's timestamp may be.
func NewRecorder(length, furthest time.Duration) *Recorder {
	return &Recorder{
		length: length.Microseconds(), furthest: furthest.Microseconds(), closing: math.MinInt64,
		chain: sha256.New(), defects: make(map[string]*Defect), open: make(map[int64]*window),
	}
}

// Lines is how many lines were added.
func (r *Recorder) Lines() uint64 { return r.lines }

// Text adds lines to the chain, each with its newline. n is how many they are.
func (r *Recorder) Text(lines []byte, n int) {
	_, _ = r.chain.Write(lines) // never fails
	r.lines += uint64(n)
	r.bytes += uint64(len(lines))
}

// Price adds a valid line's price, in hundredths, at its timestamp, in microseconds since 1970.
func (r *Recorder) Price(at, cents int64) {
	r.valid++
	w := r.last
	if w == nil || at < w.start || at >= w.start+r.length {
		w = r.window(at)
		r.last = w
	}
	w.buckets[bucketOf(cents)].add(cents)
}

func (r *Recorder) window(at int64) *window {
	start := at - mod(at, r.length)
	if w := r.open[start]; w != nil {
		return w
	}
	var w *window
	if n := len(r.spare); n > 0 {
		w, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		w = new(window)
	}
	w.start = start
	r.open[start] = w
	return w
}

// mod is never negative.
func mod(a, n int64) int64 { return (a%n + n) % n }

// Defect notes that a line of an event has a defect. The id is copied.
func (r *Recorder) Defect(kind string, id []byte) {
	d := r.defects[kind]
	if d == nil {
		d = &Defect{EventIDs: []string{}}
		r.defects[kind] = d
	}
	d.Count++
	if len(d.EventIDs) == MaxIDs {
		d.Truncated = true
		return
	}
	d.EventIDs = append(d.EventIDs, string(id))
}

// Drop notes events that were due and never written.
func (r *Recorder) Drop(n uint64) { r.dropped += n }

// Due says that all lines to come are due at a time, in microseconds since 1970, or later. Windows that
// they can't reach are summed up. A clock that is set back further than that opens them again: such a window
// comes out as one, but without its quantiles.
func (r *Recorder) Due(at int64) {
	bound := at - r.furthest - r.length
	if bound < r.closing+r.length {
		return
	}
	r.closing = bound
	for _, start := range slices.Sorted(maps.Keys(r.open)) {
		w := r.open[start]
		if start > bound || w == r.last {
			continue
		}
		r.done = append(r.done, w.sum()...)
		delete(r.open, start)
		w.reset()
		r.spare = append(r.spare, w)
	}
}

func (w *window) reset() {
	for i := range w.buckets {
		w.buckets[i].reset()
	}
}

// sum sums up the buckets that have prices.
func (w *window) sum() []summary {
	var all []summary
	for i := range w.buckets {
		t := &w.buckets[i]
		if t.count == 0 {
			continue
		}
		s := summary{start: w.start, bucket: uint8(i), count: t.count, sum: t.sum, least: t.least, most: t.most}
		s.p50, s.p95, s.p99 = t.quantiles()
		all = append(all, s)
	}
	return all
}

// Key is the answer key of the lines so far. The caller fills in what the run was.
func (r *Recorder) Key() *Key {
	k := &Key{
		Version: Version, Lines: r.lines, Valid: r.valid, Bytes: r.bytes, Dropped: r.dropped,
		Defects: make(map[string]*Defect, len(r.defects)), Window: FormatLength(time.Duration(r.length) * time.Microsecond),
		Chain: hex.EncodeToString(r.chain.Sum(nil)),
	}
	for kind, d := range r.defects {
		copied := *d
		k.Defects[kind] = &copied
	}
	all := slices.Clone(r.done)
	for _, w := range r.open {
		all = append(all, w.sum()...)
	}
	slices.SortStableFunc(all, func(a, b summary) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.bucket, b.bucket))
	})
	k.Windows = make([]Window, 0, len(all))
	for i, s := range all {
		if i > 0 && all[i-1].start == s.start && all[i-1].bucket == s.bucket {
			k.Windows[len(k.Windows)-1].merge(s)
			continue
		}
		k.Windows = append(k.Windows, Window{
			Start: time.UnixMicro(s.start).UTC().Format(time.RFC3339), Bucket: Buckets[s.bucket], Count: s.count,
			Sum: Amount(s.sum), Min: Amount(s.least), Max: Amount(s.most),
			P50: Amount(s.p50), P95: Amount(s.p95), P99: Amount(s.p99),
		})
	}
	return k
}

// merge adds what came after the window had been summed up.
func (w *Window) merge(s summary) {
	w.Count += s.count
	w.Sum += Amount(s.sum)
	w.Min, w.Max = min(w.Min, Amount(s.least)), max(w.Max, Amount(s.most))
	w.P50, w.P95, w.P99, w.NoQuantiles = 0, 0, 0, true
}
