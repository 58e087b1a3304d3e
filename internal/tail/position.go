package tail

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

const (
	// headSize is how many bytes at a file's beginning are remembered: enough
	// that two logs with an id or a time in their first line differ.
	headSize = 256
	// frontierSize is how many bytes before a position are remembered and
	// compared at each read. A truncated and refilled file is found by them.
	frontierSize = 512
)

// Position names a byte of the log in a way that survives rename and restart.
//
// Generation counts the files that the log has consisted of, in the order in
// which they are read; a number is never used twice. Offset counts bytes in that
// file. It sits just after a newline, or at the end of a file whose last line
// has none.
type Position struct {
	Generation int64 `json:"generation"`
	Offset     int64 `json:"offset"`
}

func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Generation, p.Offset) }

// Mark is a Position together with the bytes before it, at most 512: they prove
// later that the file is still the one that was read.
type Mark struct {
	Position
	Before []byte
}

// State is what a Tail has to know to go on from a Mark after a restart.
type State struct {
	// Generations are in the order of their numbers. Those before the mark are
	// done and only listed so that their files are not read again.
	Generations []GenerationState `json:"generations"`
	// Next is the number of the next generation to be found.
	Next int64 `json:"next"`
	// Packed says that the compressed files there were are listed too: one that
	// is not was compressed since.
	Packed bool `json:"packed,omitempty"`
	// Folders are those, beside the log's own, that rotated files went to.
	Folders []string `json:"folders,omitempty"`
}

// GenerationState is one file of the log.
type GenerationState struct {
	Number int64    `json:"number"`
	File   Identity `json:"file"`
	Name   string   `json:"name"` // its path when it was seen last
	Head   []byte   `json:"head,omitempty"`
	Offset int64    `json:"offset"`
	Before []byte   `json:"before,omitempty"`
	Trail  []Crumb  `json:"trail,omitempty"`
	// Live says that the log's path named it.
	Live bool `json:"live,omitempty"`
	// Begun says that it was decided to be the next.
	Begun bool `json:"begun,omitempty"`
	// Size is what the file had when it was seen last; 0 if Done.
	Size int64 `json:"size,omitempty"`
	// End is where reading ends, 0 if that is not decided, and BeforeEnd the bytes
	// before it.
	End       int64  `json:"end,omitempty"`
	BeforeEnd []byte `json:"before_end,omitempty"`
	Done      bool   `json:"done,omitempty"`
	Copy      bool   `json:"copy,omitempty"` // of another generation, never read
	// Lost says that the rest could not be found. It is kept to know the file by
	// if it turns up.
	Lost bool `json:"lost,omitempty"`
}

// in tells whether a file holds the generation: its head, and the bytes before
// the position and the end.
func (g *GenerationState) in(f *found) bool {
	if f.packed {
		return f.inside != nil && f.inside.has(g.Head, g.Before, g.Offset) && f.inside.has(nil, g.BeforeEnd, g.End)
	}
	return f.size >= max(g.Offset, g.End) && f.open() == nil &&
		holds(f.file, g.Head, g.Before, g.Offset) == nil &&
		holds(f.file, nil, g.BeforeEnd, g.End) == nil
}

// check refuses a state that no Tail has made. It guards against files changed
// by hand; damage is the business of whoever stored it.
func (s *State) check() error {
	last := int64(-1)
	for i, g := range s.Generations {
		switch {
		case g.Number <= last || g.Number >= s.Next:
			return fmt.Errorf("generation %d of %d: number %d is out of order", i, len(s.Generations), g.Number)
		case g.Offset < 0 || int64(len(g.Before)) != min(g.Offset, frontierSize):
			return fmt.Errorf("generation %d: offset %d does not go with %d bytes before it", g.Number, g.Offset, len(g.Before))
		case g.End != 0 && g.End < g.Offset || int64(len(g.BeforeEnd)) != min(g.End, frontierSize):
			return fmt.Errorf("generation %d: end %d does not go with offset %d and %d bytes before it", g.Number, g.End, g.Offset, len(g.BeforeEnd))
		case !slices.IsSortedFunc(g.Trail, func(a, b Crumb) int { return cmp.Compare(a.Offset, b.Offset) }),
			len(g.Trail) > 0 && (g.Trail[0].Offset < frontierSize || g.Trail[len(g.Trail)-1].Offset > max(g.Offset, g.End)):
			return fmt.Errorf("generation %d: trail does not lead to offset %d or %d", g.Number, g.Offset, g.End)
		case len(g.Head) > headSize || int64(len(g.Head)) < min(g.Offset, headSize):
			return fmt.Errorf("generation %d: head of %d bytes", g.Number, len(g.Head))
		}
		last = g.Number
	}
	if s.Next < 0 {
		return errors.New("next generation is negative")
	}
	return nil
}

// clone returns a copy that shares no list with s.
func (s *State) clone() State {
	c := *s
	c.Generations, c.Folders = slices.Clone(s.Generations), slices.Clone(s.Folders)
	return c
}

// State returns what is needed to go on at m. Every byte before m must have been
// dealt with for good. It may be called from any goroutine, with marks that
// never go back; generations before m that have left the directory are
// forgotten some time after.
func (t *Tail) State(m Mark) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started && t.cfg.State != nil {
		return t.cfg.State.clone() // nothing was found yet, so m is where it was
	}
	t.settled = m.Generation
	s := State{Next: t.nextNumber, Packed: true, Folders: slices.Clone(t.folders)}
	for _, g := range t.gens {
		latest := t.byFile[g.id.key()] == g
		gs := GenerationState{Number: g.number, File: g.id, Name: g.name, Head: slices.Clone(g.head)}
		switch {
		case g.copied && !latest:
			continue
		case g.copied:
			if gs.Copy, gs.Done = true, true; len(g.head) > 0 {
				gs.Offset, gs.Before = g.offset, slices.Clone(g.before)
			}
		case g.number < m.Generation,
			g.number == m.Generation && g.ended && m.Offset >= g.offset,
			g.ended && g.offset == g.start: // nothing was in it
			if !latest {
				continue // a later generation is in the same file
			}
			gs.Done, gs.Offset, gs.Before, gs.Lost = true, g.offset, slices.Clone(g.before), g.lost
		case g.number == m.Generation:
			gs.Offset, gs.Before = m.Offset, slices.Clone(m.Before)
		default:
			gs.Offset, gs.Before = g.start, slices.Clone(g.startBefore)
		}
		if !gs.Done {
			gs.Begun = g.begun && !g.anew
			gs.Size, gs.Live = max(g.seen, g.offset), g.name == t.cfg.Path
			// The path of a symbolic link leads elsewhere tomorrow.
			if g.real != "" {
				gs.Name = g.real
			}
		}
		switch {
		case gs.Done:
		case g.ended:
			gs.End, gs.BeforeEnd = g.offset, slices.Clone(g.before)
		default:
			gs.End, gs.BeforeEnd = g.limit, slices.Clone(g.limitBefore)
		}
		if gs.Trail = upTo(g.trail, max(gs.Offset, gs.End)); gs.Done {
			gs.Trail = thin(gs.Trail, mostDone)
		}
		s.Generations = append(s.Generations, gs)
	}
	return s
}
