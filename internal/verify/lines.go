package verify

import (
	"slices"
	"sync"

	"eventline/internal/truth"
)

// lines judges records by the digests of the key's lines.
type lines struct {
	key   *truth.Key
	all   uint32 // how many lines the key has
	index *index
	chain *chain // of the one partition; nil of several
	lanes []*lane

	mu      sync.Mutex
	seen    bitset   // lines that have come
	times   []uint32 // how often each group of equal lines has come
	records uint64
	right   uint64
	classes classes
	odd     []unplaced // of equal lines, those that fit nowhere
	doubled []unplaced // and those that fit where one has come already
	kept    int        // examples that gaps keep
}

// lane is a partition.
type lane struct {
	id      int32
	last    uint32 // the line that came last, of those that are unique
	most    uint32 // the highest that came
	pending []unplaced
	gap     gap   // unknown records since last
	tail    gap   // unknown records since anything known
	gaps    []gap // of before
	buf     []byte
	found   []uint32
}

// unplaced is a record that may be any of several equal lines. Which, is known by its neighbours.
type unplaced struct {
	group   int
	example Example
}

// Bounds of what is kept of records that can't be placed at once.
const (
	mostPending  = 1 << 16
	mostExamples = 1000
)

func newLines(a *Answers, partitions []int32) *lines {
	l := &lines{key: a.Key, all: uint32(len(a.digests)), index: newIndex(a.digests), classes: newClasses()}
	l.seen, l.times = newBitset(len(a.digests)+1), make([]uint32, len(l.index.groups))
	for _, id := range partitions {
		l.lanes = append(l.lanes, &lane{id: id})
	}
	if len(partitions) == 1 {
		l.chain = newChain(a.Key)
	}
	return l
}

func (l *lines) take(n int, recs []record) {
	ln := l.lanes[n]
	ln.found = ln.found[:0]
	for _, r := range recs {
		ln.buf = append(append(ln.buf[:0], r.Value...), '\n')
		ln.found = append(ln.found, l.index.find(truth.Digest(ln.buf)))
		if l.chain != nil {
			l.chain.add(ln.buf)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range recs {
		l.one(ln, r, ln.found[i])
	}
}

// one takes a record that is a line, or none of the key if line is 0.
func (l *lines) one(ln *lane, r record, line uint32) {
	l.records++
	if line == 0 {
		ln.tail.add(r, l)
		return
	}
	ln.gap.merge(&ln.tail)
	if group := l.index.group(line); group >= 0 {
		l.times[group]++
		u := unplaced{group: group}
		u.example.place(r)
		ln.pending = append(ln.pending, u)
		if len(ln.pending) == mostPending {
			l.settle(ln, l.all+1)
		}
		return
	}
	if l.seen.has(line) {
		l.classes.note(Duplicate, r, line)
		return
	}
	l.settle(ln, line)
	l.seen.set(line)
	if line < ln.most {
		l.classes.note(Reordered, r, line)
	} else {
		l.right++
		ln.most = line
	}
	ln.last = line
}

// settle finds a place between ln.last and before for the records that wait for one.
func (l *lines) settle(ln *lane, before uint32) {
	last := ln.last
	for _, u := range ln.pending {
		// The first place that fits, whether or not the line has come in another partition: which of
		// equal lines came where can't be told, only whether all of them can have been where they are.
		line := l.index.between(u.group, last, before)
		if line == 0 {
			l.odd = keep(l.odd, u)
			continue
		}
		last = line
		if l.seen.has(line) {
			l.doubled = keep(l.doubled, u)
		}
		l.seen.set(line)
		if line < ln.most {
			l.classes.example(Reordered, u.example, line)
		} else {
			l.right++
			ln.most = line
		}
	}
	ln.pending = ln.pending[:0]
	if ln.gap.records > 0 {
		ln.gap.after, ln.gap.before = ln.last, before
		ln.gaps = append(ln.gaps, ln.gap)
		ln.gap = gap{}
	}
	if before > l.all {
		ln.last = last // pending was full, or this is the end
	}
}

// keep appends a record, and the text of only so many.
func keep(list []unplaced, u unplaced) []unplaced {
	if len(list) < mostExamples {
		u.example.read()
	}
	u.example.value = nil
	return append(list, u)
}

func (l *lines) enough() bool {
	return l.records-l.classes[Duplicate].Count >= l.key.Lines
}

func (l *lines) finish(rep *Report) (later uint64) {
	for _, ln := range l.lanes {
		if l.key.Complete {
			ln.gap.merge(&ln.tail)
		}
		l.settle(ln, l.all+1)
	}
	l.settleGroups()
	present := l.key.Lines - l.count()
	for _, ln := range l.lanes {
		for i := range ln.gaps {
			l.explain(&ln.gaps[i])
		}
		if ln.tail.records > 0 {
			later += ln.tail.records
			l.classes.add(Later, ln.tail.records, ln.tail.kept)
		}
	}
	l.missing()
	rep.Records, rep.Lines = l.records, l.classes
	result := Equal
	if present != l.key.Lines || l.classes.wrong() {
		result = Different
	}
	rep.add(Check{Name: "lines", Expected: number(l.key.Lines), Found: number(present), Result: result})
	l.classes.report(rep)
	l.chain.report(rep, l.key, result == Equal)
	return later
}

// settleGroups judges each group of equal lines by how often it has come.
func (l *lines) settleGroups() {
	byGroup := func(list []unplaced) {
		slices.SortStableFunc(list, func(a, b unplaced) int { return a.group - b.group })
	}
	byGroup(l.odd)
	byGroup(l.doubled)
	odd, doubled := l.odd, l.doubled
	for group, times := range l.times {
		places := l.index.lines(group)
		extra := int(times) - len(places)
		for ; len(odd) > 0 && odd[0].group == group; odd = odd[1:] {
			if extra > 0 {
				extra--
				l.classes.example(Duplicate, odd[0].example, places[0])
			} else {
				l.classes.example(Reordered, odd[0].example, places[0])
			}
		}
		for ; len(doubled) > 0 && doubled[0].group == group; doubled = doubled[1:] {
			if extra > 0 {
				extra--
				l.right--
				l.classes.example(Duplicate, doubled[0].example, places[0])
			}
		}
		// So many have not come. Which, is any of those that no record was taken for.
		left := max(0, len(places)-int(times))
		for _, line := range places {
			switch {
			case l.seen.has(line):
			case left > 0:
				left--
			default:
				l.seen.set(line)
			}
		}
	}
}

// count is how many lines have not come.
func (l *lines) count() (n uint64) {
	for from := uint32(1); ; {
		line := l.seen.next(from, l.all)
		if line == 0 {
			return n
		}
		last := l.seen.end(line, l.all)
		n += uint64(last-line) + 1
		if last == l.all {
			return n
		}
		from = last + 1
	}
}

// missing lists what has not come and has not been explained.
func (l *lines) missing() {
	for from := uint32(1); from <= l.all; {
		line := l.seen.next(from, l.all)
		if line == 0 {
			return
		}
		last := l.seen.end(line, l.all)
		e := Example{Line: uint64(line), After: uint64(line) - 1}
		if last > line {
			e.Last = uint64(last)
		}
		if last < l.all {
			e.Before = uint64(last) + 1
		}
		l.classes.add(Missing, uint64(last-line)+1, []Example{e})
		if last == l.all {
			return
		}
		from = last + 1
	}
}
