package ship

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"eventline/internal/tail"
)

// write appends lines, of which few are long, and sometimes begins another file.
func (h *history) write(n int) {
	g := h.gens[len(h.gens)-1]
	for range n {
		length := h.rnd.Intn(30)
		if h.rnd.Intn(150) == 0 {
			length = h.rnd.Intn(9000)
		}
		g.text = fmt.Appendf(g.text, "%07d%s\n", h.next, bytes.Repeat([]byte("x"), length))
		h.next++
	}
	if h.rnd.Intn(4) == 0 {
		h.gens = append(h.gens, &written{})
	}
}

// losePower takes what is not on disk of the log's files, and the machine's boot id.
func (h *history) losePower() {
	h.boot++
	h.note("power lost")
	h.held = nil // their sockets are gone with the machine
	for _, g := range h.gens {
		cut := g.synced + h.rnd.Intn(len(g.text)-g.synced+1)
		if i := bytes.LastIndexByte(g.text[:cut], '\n'); i+1 >= g.synced {
			cut = i + 1
		} else {
			cut = g.synced
		}
		for line := range lines(string(g.text[cut:])) {
			h.removed[line] = true
		}
		g.text = bytes.Clone(g.text[:cut])
	}
}

// read hands out what there is from a state on, and closes the channel.
func (h *history) read(ctx context.Context, from tail.State, blocks chan<- *tail.Block, reached *sync.Map) {
	defer close(blocks)
	for n, g := range h.gens {
		at, begun := int64(0), false
		if n < len(from.Generations) {
			st := from.Generations[n]
			if st.Done {
				continue
			}
			at, begun = st.Offset, st.Begun
		}
		if len(g.text) == 0 {
			continue
		}
		send := func(b *tail.Block) bool {
			select {
			case blocks <- b:
				return true
			case <-ctx.Done():
				return false
			}
		}
		if !begun {
			b := tail.NewBlock(tail.Position{Generation: int64(n), Offset: at}, nil)
			b.Decision = &tail.Decision{Kind: tail.Begun, Position: b.Start}
			if !send(b) {
				return
			}
		}
		for at < int64(len(g.text)) {
			h.mu.Lock()
			size := min(1+h.rnd.Intn(20_000), len(g.text)-int(at))
			h.mu.Unlock()
			if i := bytes.IndexByte(g.text[int(at)+size-1:], '\n'); i >= 0 {
				size += i
			}
			if !send(tail.NewBlock(tail.Position{Generation: int64(n), Offset: at}, bytes.Clone(g.text[at:int(at)+size]))) {
				return
			}
			at += int64(size)
		}
		h.mu.Lock()
		if n < len(h.gens)-1 {
			g.synced = len(g.text) // as a reader does with one that has ended
		}
		h.mu.Unlock()
	}
	reached.Store("", true)
}

func (h *history) state(m tail.Mark) tail.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := tail.State{Next: int64(len(h.gens))}
	for n := range h.gens {
		g := tail.GenerationState{Number: int64(n)}
		switch {
		case int64(n) < m.Generation:
			g.Done = true
		case int64(n) == m.Generation:
			g.Offset, g.Begun = m.Offset, true
		}
		s.Generations = append(s.Generations, g)
	}
	return s
}
