package tail

import (
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
}

// GenerationState is one file of the log.
type GenerationState struct {
	Number int64    `json:"number"`
	File   Identity `json:"file"`
	Name   string   `json:"name"` // where it was seen last, for people
	Head   []byte   `json:"head,omitempty"`
	Offset int64    `json:"offset"`
	Before []byte   `json:"before,omitempty"`
	Done   bool     `json:"done,omitempty"`
	Copy   bool     `json:"copy,omitempty"` // of another generation, never read
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

// State returns what is needed to go on at m. Every byte before m must have been
// dealt with for good. It may be called from any goroutine, with marks that
// never go back; generations before m that have left the directory are
// forgotten some time after.
func (t *Tail) State(m Mark) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settled = m.Generation
	s := State{Next: t.nextNumber}
	for _, g := range t.gens {
		gs := GenerationState{Number: g.number, File: g.id, Name: g.name, Head: slices.Clone(g.head)}
		switch {
		case g.copied:
			gs.Copy, gs.Done = true, true
			gs.Head = nil
		case g.number < m.Generation || g.number == m.Generation && g.ended && m.Offset >= g.offset:
			if t.byFile[g.id.key()] != g {
				continue // a later generation is in the same file
			}
			gs.Done, gs.Offset, gs.Before = true, g.offset, slices.Clone(g.before)
		case g.number == m.Generation:
			gs.Offset, gs.Before = m.Offset, slices.Clone(m.Before)
		default:
			gs.Offset, gs.Before = g.start, slices.Clone(g.startBefore)
		}
		s.Generations = append(s.Generations, gs)
	}
	return s
}
