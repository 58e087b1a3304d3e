package verify

import "bytes"

// gap is the records of a partition that are no lines of the key, between two that are.
type gap struct {
	after, before uint32 // the lines around it
	records       uint64
	fragments     uint64 // of them, those that are no whole object
	heads         uint64 // of those, the ones that begin as an object does
	kept          []Example
}

// shape says whether a record is a part of an object, and whether it is the first.
func shape(value []byte) (fragment, head bool) {
	value = bytes.TrimSuffix(value, []byte{'\r'})
	head = bytes.HasPrefix(value, []byte{'{'})
	fragment = !head || !bytes.HasSuffix(value, []byte{'}'})
	return fragment, fragment && head
}

func (g *gap) add(r record, l *lines) {
	fragment, head := shape(r.Value)
	g.records++
	if fragment {
		g.fragments++
	}
	if head {
		g.heads++
	}
	if len(g.kept) < maxExamples && l.kept < mostExamples {
		l.kept++
		var e Example
		e.place(r)
		e.read()
		e.fragment, e.head = fragment, head
		g.kept = append(g.kept, e)
	}
}

// merge adds what came later and empties it.
func (g *gap) merge(later *gap) {
	if later.records == 0 {
		return
	}
	g.records += later.records
	g.fragments += later.fragments
	g.heads += later.heads
	for _, e := range later.kept {
		if len(g.kept) < maxExamples {
			g.kept = append(g.kept, e)
		}
	}
	*later = gap{}
}

// explain tells of what lines that have not come the records of a gap are made, by the rule in the
// package comment.
func (l *lines) explain(g *gap) {
	var absent []uint32
	if g.before > g.after+1 {
		for from := g.after + 1; uint64(len(absent)) < g.records; {
			line := l.seen.next(from, g.before-1)
			if line == 0 {
				break
			}
			absent = append(absent, line)
			if from = line + 1; from >= g.before {
				break
			}
		}
	}
	altered := min(g.records-g.fragments, uint64(len(absent)))
	torn, tornLines := uint64(0), uint64(0)
	if left := uint64(len(absent)) - altered; left > 0 && g.fragments > 0 {
		torn, tornLines = g.fragments, min(left, max(1, g.heads))
	}
	for _, line := range absent[:altered+tornLines] {
		l.seen.set(line)
	}
	l.classes.add(Altered, altered, nil)
	l.classes.add(Torn, torn, nil)
	l.classes.add(Foreign, g.records-altered-torn, nil)
	var whole, heads uint64
	for _, e := range g.kept {
		switch {
		case !e.fragment && whole < altered:
			e.Line = uint64(absent[whole])
			whole++
			l.classes.show(Altered, e)
		case e.fragment && torn > 0:
			if e.head {
				heads++
			}
			nth := min(max(heads, 1), tornLines) - 1
			e.Line = uint64(absent[altered+nth])
			l.classes.show(Torn, e)
		default:
			e.After, e.Before = uint64(g.after), uint64(g.before)
			if g.before > l.all {
				e.Before = 0
			}
			l.classes.show(Foreign, e)
		}
	}
}
