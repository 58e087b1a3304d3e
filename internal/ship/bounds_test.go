package ship

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/tail"
)

// A million empty lines are a megabyte in the log and 24 in memory once they are
// taken apart. While the broker takes none, that must not go on.
func TestBlocksAreNotTakenApartFarAhead(t *testing.T) {
	s := New(Options{Log: zerolog.Nop()})
	s.lanes, s.maxBytes, s.stored = []*lane{newLane(0, noNumbering())}, maxBatchBytes, true
	c := &chunk{held: &held{}}
	s.lanes[0].add(c, make([][]byte, maxWaiting))
	s.hold = &tail.Block{Data: []byte("a\n"), Lines: 1}
	s.take()
	if s.hold != nil {
		t.Fatalf("%d lines wait: the next block was not taken", maxWaiting)
	}
	s.hold = &tail.Block{Data: []byte("b\n"), Lines: 1}
	s.take()
	if s.hold == nil {
		t.Errorf("%d lines wait: the next block was taken, want it left as it is", s.waiting())
	}
	s.lanes[0].cut(maxBatchBytes, mostLines)
	s.take()
	if s.hold != nil {
		t.Errorf("a batch was cut: the next block was not taken")
	}
}

func TestAfterALongSilenceOneBatchGoesAlone(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		proven bool
		took   time.Time
		want   int
	}{
		{"a leader that has taken nothing yet gets one", false, time.Time{}, 1},
		{"a leader that took one just now gets five", true, now.Add(-time.Second), maxInFlight},
		{"a leader may forget a producer within a day", true, now.Add(-25 * time.Hour), 1},
		{"an hour is far from that", true, now.Add(-59 * time.Minute), maxInFlight},
	} {
		l := newLane(0, noNumbering())
		l.proven, l.took = c.proven, c.took
		if got := l.depth(now); got != c.want {
			t.Errorf("%s: depth() = %d, want %d", c.name, got, c.want)
		}
	}
}
