package tail

import (
	"context"
	"sync"
	"testing"
)

// asks takes memory for a claim and says whether it got it.
func asks(t *testing.T, c *claim, n int, want bool) []byte {
	t.Helper()
	buf := c.take(n)
	if got := buf != nil; got != want {
		t.Fatalf("take(%d): got memory is %v, want %v", n, got, want)
	}
	return buf
}

// turn tells whether a claim was told to ask again.
func turn(c *claim) bool {
	select {
	case <-c.freed:
		return true
	default:
		return false
	}
}

func TestMemoryIsServedInTheOrderOfAsking(t *testing.T) {
	m := NewMemory(1000)
	a, b, c := newClaim(m, 100), newClaim(m, 100), newClaim(m, 100)
	first, second := asks(t, a, 500, true), asks(t, a, 500, true)
	asks(t, b, 800, false) // a long line
	asks(t, c, 100, false)
	a.give(first)
	if !turn(b) || turn(c) {
		t.Fatal("what became free is not offered to the first in the queue alone")
	}
	// There would be room for c, but then b would never have its turn.
	asks(t, c, 100, false)
	asks(t, b, 800, false)
	a.give(second)
	if !turn(b) {
		t.Fatal("all is free and the first in the queue is not told")
	}
	long := asks(t, b, 800, true)
	if !turn(c) {
		t.Fatal("there is room for the second and it is not told")
	}
	asks(t, c, 100, true)
	asks(t, a, 200, false)
	b.give(long)
	asks(t, a, 200, true)
}

func TestWhoLeavesTheQueueHoldsNobodyUp(t *testing.T) {
	m := NewMemory(1000)
	a, b, c := newClaim(m, 100), newClaim(m, 100), newClaim(m, 100)
	all := asks(t, a, 1000, true)
	asks(t, b, 100, false)
	asks(t, c, 100, false)
	a.give(all)
	b.abandon()
	if !turn(c) {
		t.Fatal("the next in the queue is not told")
	}
	asks(t, c, 100, true)
}

func TestMoreThanTheWholeBudgetIsGivenAlone(t *testing.T) {
	m := NewMemory(1000)
	a := newClaim(m, 100)
	buf := asks(t, a, 5000, true)
	asks(t, a, 100, false)
	a.give(buf)
	asks(t, a, 100, true)
}

// Free buffers of one size do not add to those of another beyond the budget.
func TestFreeBuffersAreWithinTheBudgetToo(t *testing.T) {
	const usual = 1 << 20
	m := NewMemory(4 * usual)
	c := newClaim(m, usual)
	var bufs [][]byte
	for range 4 {
		bufs = append(bufs, asks(t, c, 0, true))
	}
	for _, b := range bufs {
		c.give(b)
	}
	for range 20 {
		if c.takeSmall() == nil {
			t.Fatal("no small buffer within the budget")
		}
		if m.used+m.kept > m.budget {
			t.Fatalf("in use %d and kept %d, more than %d together", m.used, m.kept, m.budget)
		}
	}
}

// The turns of all hang in reads that never return: Run ends with its context.
func TestWhoWaitsForATurnEndsWithItsContext(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	cfg := config(t, f.path)
	cfg.Memory = NewMemory(1 << 20)
	release := make(chan struct{})
	var hung sync.WaitGroup
	for range mostReading {
		taken := make(chan struct{})
		hung.Go(func() {
			newClaim(cfg.Memory, 1).turn(context.Background(), func() { close(taken); <-release })
		})
		<-taken
	}
	r := start(t, cfg)
	r.stop()
	close(release)
	hung.Wait()
}
