package tail

import (
	"context"
	"slices"
	"sync"
)

const (
	// defaultBuffer is what one read brings from a log that is behind, smallBuffer
	// from one that is followed: many logs that each get a line then do not use up
	// the budget with room for a megabyte each.
	defaultBuffer = 1 << 20
	smallBuffer   = 32 << 10
	// mostReading is how many logs are looked at or read at a time.
	mostReading = 16
)

// Memory is what the blocks of any number of Tails may take together, and how many
// of them may read at a time: each that waits for a disk holds a thread. Whoever
// finds it used up is served in the order of asking, so that a log with a large
// backlog does not keep the others from being read. A Tail that has nothing to
// read holds none of it.
//
// Buffers of the usual sizes are used again, the last one first: a quiet log then
// touches a single one.
type Memory struct {
	budget int
	turns  chan struct{} // has room for those who read

	mu      sync.Mutex
	used    int              // by blocks that are not released
	kept    int              // by free buffers
	free    map[int][][]byte // by size
	waiting []*claim
}

// NewMemory returns a budget in bytes for the Tails whose Config.Memory it is.
func NewMemory(budget int) *Memory {
	return &Memory{budget: budget, turns: make(chan struct{}, mostReading), free: make(map[int][][]byte)}
}

// InUse is how many bytes are in blocks that are not released.
func (m *Memory) InUse() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// claim is one Tail's place in the queue for memory.
type claim struct {
	memory *Memory
	size   int           // usual buffer
	freed  chan struct{} // holds one when it is this claim's turn
}

func newClaim(m *Memory, size int) *claim {
	return &claim{memory: m, size: size, freed: make(chan struct{}, 1)}
}

// turn runs fn when it is its turn to read, unless ctx ends before: those whose turn
// it is may hang in a read of a file system that does not answer.
func (c *claim) turn(ctx context.Context, fn func()) {
	select {
	case c.memory.turns <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-c.memory.turns }()
	fn()
}

// take returns a buffer of n bytes, at least of the usual size, or nil if the
// budget does not allow it now; then freed says when to ask again. Something
// larger than the whole budget is given when nothing else is out.
func (c *claim) take(n int) []byte { return c.memory.take(c, max(n, c.size)) }

// takeSmall does the same for a log of which little is expected.
func (c *claim) takeSmall() []byte { return c.memory.take(c, min(c.size, smallBuffer+frontierSize)) }

func (m *Memory) take(c *claim, n int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) > 0 && m.waiting[0] != c || m.used > 0 && m.used+n > m.budget {
		if !slices.Contains(m.waiting, c) {
			m.waiting = append(m.waiting, c)
		}
		return nil
	}
	m.leave(c)
	m.used += n
	if last := len(m.free[n]) - 1; last >= 0 {
		buf := m.free[n][last]
		m.free[n][last] = nil
		m.free[n] = m.free[n][:last]
		m.kept -= n
		return buf
	}
	for size, free := range m.free {
		if m.used+m.kept <= m.budget {
			break
		}
		m.kept -= size * len(free)
		delete(m.free, size)
	}
	return make([]byte, n)
}

// give takes a buffer back, whatever part of it is left.
func (c *claim) give(buf []byte) {
	m, n := c.memory, cap(buf)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	if n == c.size || n == smallBuffer+frontierSize {
		m.free[n] = append(m.free[n], buf[:n])
		m.kept += n
	}
	m.next()
}

// abandon leaves the queue.
func (c *claim) abandon() {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	c.memory.leave(c)
}

// leave takes a claim out of the queue; the next one may have its turn.
func (m *Memory) leave(c *claim) {
	if i := slices.Index(m.waiting, c); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
		m.next()
	}
}

// next tells the first in the queue to ask again.
func (m *Memory) next() {
	if len(m.waiting) == 0 {
		return
	}
	select {
	case m.waiting[0].freed <- struct{}{}:
	default:
	}
}
