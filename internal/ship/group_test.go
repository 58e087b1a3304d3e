package ship

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// said counts what a logger wrote.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

// eventually waits until ok, which must come.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// background runs a rig until the returned function is called.
func (r *rig) background() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, false) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("run: %v", err)
		}
	}
}

func (c *cluster) count(of func() int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return of()
}

func TestQuietLogHoldsNoConnectionAndGoesOnWithItsSequence(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.idle = time.Nanosecond
	stop := r.background()
	for i := range 3 {
		r.write(numbered(i*10, i*10+10))
		eventually(t, "the lines to arrive", func() bool { return c.count(func() int { return len(c.logs[0]) }) == i*10+10 })
		eventually(t, "the connection to be let go", func() bool { return c.count(func() int { return c.opened - c.closed }) == 0 })
	}
	stop()
	r.wantLog(0, numbered(0, 30))
	if len(c.producers) != 1 || c.opened < 3 {
		t.Errorf("got %d producer ids and %d connections, want 1 and a connection each time", len(c.producers), c.opened)
	}
}

func TestTroubleOfManyIsSaidOnce(t *testing.T) {
	const shippers = 5
	c := newCluster(1)
	c.describe = func(call int) error {
		if call <= 4*shippers {
			return errors.New("no broker")
		}
		return nil
	}
	log := new(said)
	reg := prometheus.NewRegistry()
	group := NewGroup(class, zerolog.New(log), reg)
	var stops []func()
	for range shippers {
		r := newRig(t, c)
		r.group = group
		r.write(numbered(0, 10))
		stops = append(stops, r.background())
	}
	eventually(t, "all lines to arrive", func() bool { return group.Status().Acked == shippers*10 })
	if s := group.Status(); !s.Connected || s.Err != nil || s.Unacked != 0 {
		t.Errorf("status: got %+v, want connected and nothing unacknowledged", s)
	}
	for _, stop := range stops {
		stop()
	}
	if n := group.Status().Acked; n != shippers*10 {
		t.Errorf("acknowledged after the shippers ended: got %d, want %d", n, shippers*10)
	}
	for _, message := range []string{"kafka unreachable", "kafka reachable again"} {
		if n := log.count(message); n != 1 {
			t.Errorf("%q was said %d times, want once", message, n)
		}
	}
	if _, err := reg.Gather(); err != nil {
		t.Errorf("metrics: %v", err)
	}
}

// A Shipper that ends takes its trouble with it.
func TestTroubleEndsWithTheLastThatHadIt(t *testing.T) {
	c := newCluster(1)
	c.describe = func(int) error { return errors.New("no broker") }
	group := NewGroup(class, zerolog.Nop(), nil)
	r := newRig(t, c)
	r.group = group
	stop := r.background()
	eventually(t, "the trouble", func() bool { return group.Status().Err != nil })
	stop()
	if s := group.Status(); s.Err != nil {
		t.Errorf("status: got %+v, want no error of a shipper that has ended", s)
	}
}

func TestConnectionThatAnotherGaveUpIsNoTrouble(t *testing.T) {
	c := newCluster(1)
	calls := 0
	c.fault = func(_ int32, _ Batch, appended bool) error {
		calls++
		if calls%7 == 0 {
			return errOthers // before or after it was appended
		}
		return nil
	}
	log := new(said)
	r := newRig(t, c)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(0, 200_000))
	r.once()
	r.wantLog(0, numbered(0, 200_000))
	if n := log.count("level"); n > 0 {
		t.Errorf("%d lines were logged, want none: %s", n, log.text.String())
	}
}

func TestBatchesInFlightAreShown(t *testing.T) {
	c := newCluster(1)
	c.maxBytes = 4000
	r := newRig(t, c)
	r.group = NewGroup(class, zerolog.Nop(), nil)
	answer := make(chan struct{})
	n := 0
	c.fault = func(_ int32, _ Batch, appended bool) error {
		if n++; n == 3 { // the first batch is answered, and four wait behind the second
			c.mu.Unlock()
			<-answer
			c.mu.Lock()
		}
		return nil
	}
	r.write(numbered(0, 5000))
	stop := r.background()
	eventually(t, "five batches to be in flight", func() bool { return r.group.Status().InFlight == maxInFlight })
	close(answer)
	eventually(t, "the lines to arrive", func() bool { return c.count(func() int { return len(c.logs[0]) }) == 5000 })
	eventually(t, "none to be in flight", func() bool { return r.group.Status().InFlight == 0 })
	stop()
}

// All lines in doubt are there; the leader could not be reached at first.
func TestTroubleIsOverWhereAllLinesAreThere(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	r.group = NewGroup(class, zerolog.Nop(), nil)
	c.producer = errLost
	p := r.start()
	eventually(t, "trouble", func() bool { return r.group.Status().Err != nil })
	c.mu.Lock()
	c.producer = nil
	c.mu.Unlock()
	eventually(t, "all to be found", func() bool { return r.stored() == 4999 })
	eventually(t, "the trouble to be over", func() bool { s := r.group.Status(); return s.Connected && s.Err == nil })
	p.stop(t)
}
