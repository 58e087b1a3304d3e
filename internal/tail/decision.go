package tail

import "time"

// Decision is something about the order and the framing of lines that the bytes
// of the log's files alone do not determine: what the directory looked like at a
// moment, and who had a file open. Another look, after a crash, could come to
// something else, and then the n-th line would be another one.
//
// Everything else is a function of the files and of the decisions before it.
type Decision struct {
	Kind DecisionKind
	// Position is where it applies, the Start of its block.
	Position Position
	// File is the file that the generation is read from, as far as its path is
	// known; for people.
	File string
}

// DecisionKind says what was decided.
type DecisionKind string

const (
	// Begun: this generation comes next, from this position on, in this file; with
	// it, that the one before has ended where it has. There is one before the first
	// line of every generation, or of the first of several: of the next file, of the
	// file itself after it was truncated, of what came late.
	Begun DecisionKind = "begun"
	// Cut: nothing comes after the unfinished last line of this generation, which
	// counts as a line as it is.
	Cut DecisionKind = "cut"
	// Skipped: the first start begins here; what lies before is not read.
	Skipped DecisionKind = "skipped"
)

// next deals with a generation whose turn has come: its first lines, p, are read
// again when the decision has been handed over.
func (t *Tail) next(g *generation, p piece, buf []byte, now time.Time) (err error) {
	defer func() {
		if g.begun && !g.anew {
			t.kept = buf // whoever has waited for memory has not waited in vain
		} else {
			t.pool.give(buf)
		}
	}()
	if g.live && g.offset == 0 {
		// It may have been truncated since it was found, with no byte known to show
		// it. If so, what it held is in a copy that was there before these bytes.
		t.rescan = true // whatever else says that nothing changed
		t.look(now, false)
		if first, _ := t.current(); first != g {
			return nil
		}
	}
	// From now on the head shows a truncation.
	var head []byte
	head, err = g.longerHead(g.offset+int64(len(p.data))+p.tooLong, p.data)
	if err != nil {
		return err
	}
	if len(head) > len(g.head) {
		t.mu.Lock()
		g.head = head
		t.mu.Unlock()
	}
	t.begins(g, now)
	return nil
}

// begins decides that g comes next and, if it is complete already, that it ends
// where it does now; and the same of those after it, as far as they are complete.
// So one decision serves all files of a backlog, however many.
func (t *Tail) begins(g *generation, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.begun, g.anew = true, false
	last := g.number
	for _, x := range t.gens {
		if x.ended || x.number < g.number {
			continue
		}
		if !t.endsNow(x) {
			break
		}
		x.begun, x.anew = true, false
		last = x.number
	}
	if last > t.goal.lost {
		t.goal.lost = -1 // that something else comes next is decided
	}
	t.decide(Begun, g, now)
}

// endsNow fixes the end of a rotated file that nobody has open for writing. It
// reports whether the end is fixed.
func (t *Tail) endsNow(g *generation) bool {
	if g.limit > 0 {
		return true
	}
	if g.live || writersOf(g.file) != writersNone {
		return false
	}
	info, err := g.file.Stat()
	if err != nil || info.Size() <= g.offset {
		return false
	}
	before := make([]byte, min(info.Size(), frontierSize))
	if n, err := pread(g.file, before, info.Size()-int64(len(before))); err != nil || n < len(before) {
		return false
	}
	g.limit, g.limitBefore, g.by = info.Size(), before, byLease
	return true
}

// decide hands a decision about g out, before anything that rests on it.
func (t *Tail) decide(kind DecisionKind, g *generation, now time.Time) {
	at := Position{g.number, g.offset}
	t.pending = &Block{
		Start: at, End: at, Read: now, buf: clone(g.before),
		Decision: &Decision{Kind: kind, Position: at, File: g.name},
	}
	t.log.Debug().Str("decision", string(kind)).Str("file", g.name).Stringer("position", at).Msg("decided")
}
