package ship

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"eventline/internal/tail"
)

// written is one file of the log.
type written struct {
	text   []byte
	read   int  // by the present process
	synced int  // so much is on disk: as far as it was read when a process saw to that
	gone   bool // deleted
}

// reading is what a process reads of the log.
type reading struct {
	h       *history
	from    tail.State
	blocks  chan *tail.Block
	goal    []int // lengths of the files when it began
	reached atomic.Bool
	decided int // the files below this number were decided to be next
}

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

// lose takes what of a file is behind an offset.
func (h *history) lose(g *written, from int) {
	for line := range lines(string(g.text[from:])) {
		h.removed[line] = true
	}
	g.text = bytes.Clone(g.text[:from])
}

// losePower takes what is not on disk of the log's files, and the machine's boot id.
// Requests may be with somebody who is not of the machine.
func (h *history) losePower() {
	h.boot++
	if h.rnd.Intn(3) > 0 {
		h.held = nil
	}
	h.mayBeLate = h.mayBeLate || len(h.held) > 0
	was := maps.Clone(h.removed)
	for _, g := range h.gens {
		if g.gone {
			continue
		}
		cut := g.synced + h.rnd.Intn(len(g.text)-g.synced+1)
		if i := bytes.LastIndexByte(g.text[:cut], '\n'); i+1 >= g.synced {
			cut = i + 1
		} else {
			cut = g.synced
		}
		h.lose(g, cut)
		g.read = 0
	}
	there := 0
	for _, p := range h.leaders.partitions {
		for _, b := range p.batches {
			for _, line := range b.Lines {
				if h.removed[string(line)] && !was[string(line)] {
					there++
				}
			}
		}
	}
	h.note("power lost, %d connections live on, %d lines, %d of them in the topic", len(h.held), len(h.removed)-len(was), there)
}

// remove deletes the file in which the next process would begin.
func (h *history) remove() {
	if h.slots[1] == nil {
		return
	}
	if n := beginsIn(h.slots[1].Tail); n >= 0 && n < int64(len(h.gens)-1) && !h.gens[n].gone {
		h.note("file %d deleted", n)
		h.lose(h.gens[n], 0)
		h.gens[n].gone = true
		h.mayBeLate = h.mayBeLate || len(h.held) > 0
	}
}

func (h *history) read(from tail.State) *reading {
	r := &reading{h: h, from: from, blocks: make(chan *tail.Block)}
	for _, g := range h.gens {
		r.goal = append(r.goal, len(g.text))
	}
	return r
}

func (h *history) isQuiet() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.quiet
}

// pass takes note that everything before an offset was received.
func (r *reading) pass(n, at int) {
	last := len(r.goal) - 1
	if n > last || n == last && at >= r.goal[last] {
		r.reached.Store(true)
	}
}

func (r *reading) send(ctx context.Context, b *tail.Block) bool {
	select {
	case r.blocks <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// run hands out what there is, file by file, and closes the channel at the end.
func (r *reading) run(ctx context.Context) {
	defer close(r.blocks)
	lost := false // a file, behind which everything is decided anew
	waits := 20   // at the end of what there is, while it is written
	for n := 0; ; n++ {
		r.h.mu.Lock()
		end := n == len(r.h.gens)
		gone := !end && r.h.gens[n].gone
		r.h.mu.Unlock()
		if end {
			return
		}
		at, begun := 0, false
		if n < len(r.from.Generations) {
			st := r.from.Generations[n]
			if st.Done {
				continue
			}
			at, begun = int(st.Offset), st.Begun && !lost
		}
		if gone {
			lost = true
			continue
		}
		if begun {
			r.decide(n, false)
		}
		for {
			data, ended := r.next(n, at)
			if data == nil {
				r.pass(n, at)
				if ended {
					break
				}
				if r.h.isQuiet() || waits == 0 || ctx.Err() != nil {
					return
				}
				waits--
				time.Sleep(200 * time.Millisecond)
				r.h.mu.Lock()
				r.h.write(r.h.rnd.Intn(50))
				r.h.mu.Unlock()
				continue
			}
			if !r.isDecided(n) {
				b := tail.NewBlock(tail.Position{Generation: int64(n), Offset: int64(at)}, nil)
				b.Decision = &tail.Decision{Kind: tail.Begun, Position: b.Start}
				r.decide(n, true)
				if !r.send(ctx, b) {
					return
				}
				continue
			}
			if !r.send(ctx, tail.NewBlock(tail.Position{Generation: int64(n), Offset: int64(at)}, data)) {
				return
			}
			at += len(data)
			r.pass(n, at)
		}
	}
}

// next is what comes behind an offset, nil if nothing does; ended says that it never
// will. What ends is on disk, as a reader sees to it.
func (r *reading) next(n, at int) (data []byte, ended bool) {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	g := r.h.gens[n]
	rest := g.text[min(at, len(g.text)):]
	if len(rest) == 0 {
		ended = n < len(r.h.gens)-1
		if ended {
			g.synced = len(g.text)
		}
		return nil, ended
	}
	size := min(1+r.h.rnd.Intn(20_000), len(rest))
	if i := bytes.IndexByte(rest[size-1:], '\n'); i >= 0 {
		size += i
	}
	g.read = at + size
	return bytes.Clone(rest[:size]), false
}

func (r *reading) isDecided(n int) bool {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	return n < r.decided
}

// decide says that a file is next, and with more that some of those after it are too,
// as far as they are complete.
func (r *reading) decide(n int, more bool) {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	r.decided = max(r.decided, n+1)
	for more && r.decided < len(r.h.gens)-1 && r.h.rnd.Intn(2) == 0 {
		r.decided++
	}
}

func (r *reading) state(m tail.Mark) tail.State {
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	s := tail.State{Next: int64(len(r.h.gens))}
	for n, f := range r.h.gens {
		g := tail.GenerationState{Number: int64(n), Begun: n < r.decided}
		switch {
		case int64(n) < m.Generation:
			g.Done, g.Begun = true, false
		case int64(n) == m.Generation:
			g.Offset = m.Offset
		}
		g.Done = g.Done || f.gone && int64(n) < m.Generation
		s.Generations = append(s.Generations, g)
	}
	return s
}
