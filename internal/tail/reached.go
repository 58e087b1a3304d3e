package tail

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"time"
)

// goal is what there was to read when Run began, and how far that has got. Run's
// goroutine changes it.
type goal struct {
	set  bool          // all there was is known
	left []*generation // those with whole lines of it that were not read
	// lost is the number of a generation whose rest can't be found and behind which
	// nothing was decided to be next; -1 if there is none.
	lost int64

	sent    atomic.Int64 // blocks put into the channel
	through atomic.Int64 // how many of them have all of it; -1 while that is not known
	reached atomic.Bool
}

// Reached tells whether everything that was in the log's files when Run took its
// first look has been received from Blocks: every whole line that was there by
// then. The unfinished last line of the live file is none yet. It is about
// positions, not about rest: it becomes true also while a writer never pauses, and
// at once if there was nothing. It stays true.
//
// It is false as long as such a line may still come: while the folder or a file in
// it can't be looked at, also for not being there, while it is not known what is
// in a compressed file, and while the file of the state's position can't be found
// and no decision has been received that another comes after it.
//
// It may be called from any goroutine, and does not block.
func (t *Tail) Reached() bool {
	through := t.goal.through.Load()
	if through < 0 || t.goal.reached.Load() {
		return through >= 0
	}
	// In this order: what is sent in between is missing, not too much.
	sent := t.goal.sent.Load()
	if sent-int64(len(t.blocks)) < through {
		return false
	}
	t.goal.reached.Store(true)
	return true
}

// aim sets the goal, after the first look that saw everything. What was written
// since the very first one is then part of it.
func (t *Tail) aim(s *survey) {
	if t.goal.set || !t.started || t.unsure || t.rescan || s.rest != nil || s.unsure || s.live != nil && !errors.Is(s.live, fs.ErrNotExist) {
		return
	}
	// What was truncated since the look is in a copy by now: it was there all the same.
	seen := make(map[*generation]int64)
	for _, f := range s.files {
		if !f.packed {
			seen[t.byFile[f.id.key()]] = f.size
		}
	}
	var left []*generation
	lost := int64(-1)
	for _, g := range t.gens {
		switch {
		case g.lost:
			lost = g.number
			continue
		case g.copied:
			continue
		case g.ended || g.begun && !g.anew:
			lost = -1
		}
		if g.ended {
			continue
		}
		size, err := g.fileSize()
		if err != nil {
			return
		}
		if g.goal = max(size, seen[g]); g.limit > 0 {
			g.goal = g.limit
		}
		left = append(left, g)
	}
	t.goal.set, t.goal.left, t.goal.lost = true, left, lost
}

// passed takes in that a read of g gave p: without a line, where none was found is
// behind it. It reports whether something else comes before g by now.
func (t *Tail) passed(g *generation, p piece, now time.Time) bool {
	if g.goal == 0 || g.limit > 0 || !p.empty() || p.more && g.searched < g.goal {
		return false
	}
	if g.live && g.offset == 0 {
		// There was one, if it was truncated since, with no byte known to show it:
		// then a copy has it, which comes before.
		t.rescan = true // whatever else says that nothing changed
		t.look(now, false)
		if first, _ := t.current(); first != g {
			return true
		}
	}
	g.goal = 0
	return false
}

// near finds out whether the goal is reached with the blocks there are.
func (t *Tail) near() {
	goal := &t.goal
	if !goal.set || goal.through.Load() >= 0 {
		return
	}
	for len(goal.left) > 0 && (goal.left[0].ended || goal.left[0].offset >= goal.left[0].goal) {
		goal.left = goal.left[1:]
	}
	if len(goal.left) > 0 || goal.lost >= 0 {
		return
	}
	through := goal.sent.Load()
	if t.pending != nil {
		through++
	}
	goal.left = nil
	goal.through.Store(through)
}
