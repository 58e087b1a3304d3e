package ship

import (
	"context"
	"errors"
	"math/rand"
	"sync"
	"testing"
	"time"
)

// process is a shipper's process as the cluster sees it: it can be killed, at any
// batch and at any save. What it had sent then may still arrive, at any later time.
type process struct {
	*cluster
	world *world

	mu   sync.Mutex
	dead bool
	kill context.CancelFunc
}

// world is what outlives processes.
type world struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	cluster *cluster
	held    [][]heldBatch // by connection, in order
	killAt  int           // so many batches or saves from now
}

type heldBatch struct {
	partition int32
	b         Batch
}

var errKilled = errors.New("killed")

// step counts one thing that a process may be killed at.
func (p *process) step() (dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return true
	}
	p.world.mu.Lock()
	p.world.killAt--
	p.dead = p.world.killAt == 0
	p.world.mu.Unlock()
	if p.dead {
		p.kill()
	}
	return p.dead
}

// release lets some of what dead processes had sent arrive.
func (w *world) release(all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 0; i < len(w.held); i++ {
		n := w.rnd.Intn(len(w.held[i]) + 1)
		if all {
			n = len(w.held[i])
		}
		for _, h := range w.held[i][:n] {
			_, _ = w.cluster.append(h.partition, h.b)
		}
		if w.held[i] = w.held[i][n:]; len(w.held[i]) == 0 {
			w.held = append(w.held[:i], w.held[i+1:]...)
			i--
		}
	}
}

func (p *process) Open(ctx context.Context, partition int32) (Appender, error) {
	a, err := p.cluster.Open(ctx, partition)
	if err != nil {
		return nil, err
	}
	return &mortal{Appender: a, process: p, partition: partition}, nil
}

// mortal is a connection of a process that may die.
type mortal struct {
	Appender
	process   *process
	partition int32
	held      []heldBatch
}

func (m *mortal) Append(b Batch, done func(int64, error)) {
	w := m.process.world
	if chance := w.chance(); chance < 0.3 {
		w.release(false)
	}
	if m.process.step() {
		lines := make([][]byte, len(b.Lines))
		for i, line := range b.Lines {
			lines[i] = append([]byte(nil), line...)
		}
		b.Lines = lines
		w.mu.Lock()
		m.held = append(m.held, heldBatch{m.partition, b})
		w.mu.Unlock()
		done(-1, errKilled)
		return
	}
	m.Appender.Append(b, done)
}

func (m *mortal) Close() error {
	w := m.process.world
	w.mu.Lock()
	if len(m.held) > 0 {
		// The network may have lost all behind any point.
		if n := w.rnd.Intn(len(m.held) + 1); n > 0 {
			w.held = append(w.held, m.held[:n])
		}
		m.held = nil
	}
	w.mu.Unlock()
	return m.Appender.Close()
}

func (w *world) chance() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.Float64()
}

// live runs a process until it is killed or has shipped what is there.
func (w *world) live(t *testing.T, r *rig, killAt int) (killed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.mu.Lock()
	w.killAt = killAt
	w.mu.Unlock()
	p := &process{cluster: w.cluster, world: w, kill: cancel}
	r.process = p
	err := r.run(ctx, true)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("a process did not end within a minute: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !p.dead {
		t.Fatalf("a process that was not killed ended with: %v", err)
	}
	return p.dead
}

// However often a process is killed, at whatever save and whatever batch, and
// whenever what it had sent arrives: every line is there once and in order.
func TestKillsAtAnyMomentLoseAndRepeatNothing(t *testing.T) {
	seeds := []int64{time.Now().UnixNano()}
	for seed := range int64(60) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		rnd := rand.New(rand.NewSource(seed))
		c := newCluster(1 + rnd.Intn(3))
		c.maxBytes = 3_000 + rnd.Intn(50_000)
		faults, faultRand := rnd.Float64()*0.1, rand.New(rand.NewSource(seed+1))
		c.fault = func(int32, Batch, bool) error {
			if faultRand.Float64() < faults {
				return errLost
			}
			return nil
		}
		w := &world{rnd: rand.New(rand.NewSource(seed + 2)), cluster: c}
		r := newRig(t, c)
		text, written := numbered(0, 5_000+rnd.Intn(20_000)), 0
		for kills := 0; kills < 40; {
			if written < len(text) {
				n := min(12*(1+rnd.Intn(2_000)), len(text)-written)
				r.write(text[written : written+n])
				written += n
			}
			older := false
			if w.live(t, r, 1+rnd.Intn(12)) {
				kills++
				older = rnd.Intn(4) == 0
			} else if written == len(text) {
				break
			}
			if older {
				r.loseNewerSlot()
			}
			if rnd.Intn(3) == 0 && len(c.logs) < 4 {
				c.grow()
			}
			w.release(false)
		}
		r.write(text[written:])
		for w.live(t, r, 0) {
		}
		w.release(true)
		checkExact(t, seed, c, text)
	}
}

// loseNewerSlot is what a torn write does.
func (r *rig) loseNewerSlot() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.saved) > 1 {
		r.slots[1] = r.slots[0]
	}
}

// grow adds a partition.
func (c *cluster) grow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logs = append(c.logs, nil)
	c.stored = append(c.stored, nil)
}
