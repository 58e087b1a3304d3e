package pace

import (
	"math"
	"math/rand/v2"
	"sort"
	"sync"
	"time"
)

// Poisson makes the events of a schedule come at random, as independent customers do: the times between
// them are exponential, at the rate that the schedule has. Event 0 is due at the start.
//
// The times are drawn in blocks, each from the seed and the block's number, so that event i can be found
// again without those before it. What is remembered is one number per block, 8 bytes for 1024 events.
type Poisson struct {
	curve *Curve
	seed  uint64

	mu    sync.Mutex
	sums  []uint64 // before each block that was drawn, in parts of an event
	block int      // the one in times; -1 is none
	times [blockSize + 1]uint64
}

const (
	blockSize = 1024
	// fine is how many parts an event has: a gap is exact to a millionth of the mean one, and 64 bits
	// hold 1.8e13 events.
	fine = 1_000_000
)

var _ Schedule = (*Poisson)(nil)

func newPoisson(curve *Curve, seed uint64) *Poisson {
	return &Poisson{curve: curve, seed: seed, sums: []uint64{0}, block: -1}
}

// draw fills times with block b: the sums before each of its events, and behind the last one.
func (p *Poisson) draw(b int) {
	for len(p.sums) <= b {
		p.fill(len(p.sums) - 1)
		p.sums = append(p.sums, p.times[blockSize])
	}
	p.fill(b)
}

func (p *Poisson) fill(b int) {
	if p.block == b {
		return
	}
	r := rand.New(rand.NewPCG(p.seed, uint64(b)^0x706f6973736f6e))
	sum := p.sums[b]
	for i := range blockSize {
		p.times[i] = sum
		sum += uint64(math.Round(r.ExpFloat64() * fine))
	}
	p.times[blockSize] = sum
	p.block = b
}

// Due says how long after the start event i is due.
func (p *Poisson) Due(i uint64) time.Duration {
	if i >= math.MaxUint64/(2*fine) {
		return math.MaxInt64
	}
	p.mu.Lock()
	p.draw(int(i / blockSize))
	at := p.times[i%blockSize]
	p.mu.Unlock()
	return p.curve.when(times(at, second/fine))
}

// Count says how many events are due when elapsed has passed since the start.
func (p *Poisson) Count(elapsed time.Duration) uint64 {
	if elapsed < 0 {
		return 0
	}
	parts, _ := p.curve.done(elapsed).over(second / fine)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.sums[len(p.sums)-1] <= parts { // until a block begins behind it
		p.draw(len(p.sums))
	}
	b := sort.Search(len(p.sums), func(b int) bool { return p.sums[b] > parts }) - 1
	p.draw(b)
	n := sort.Search(blockSize, func(i int) bool { return p.times[i] > parts })
	return uint64(b)*blockSize + uint64(n)
}
