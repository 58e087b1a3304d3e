package ship

import (
	"testing"
	"time"
)

// The leader keeps when the last batch was sent. A clock that was set back since is said,
// once, and lines go on.
func TestClockThatWasSetBackIsSaid(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration // of the last batch, before now
		said  int
	}{
		{"two hours", 2 * time.Hour, 1},
		{"half an hour is nothing", 30 * time.Minute, 0},
		{"sent before", -5 * time.Hour, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic := newCluster(3)
			r := newRig(t, topic)
			r.write(numbered(0, 9_000))
			r.once()
			topic.stamp = time.Now().Add(c.ahead).UnixMilli()
			r.said = new(said)
			r.write(numbered(9_000, 12_000))
			r.once()
			if n := r.said.count("this host's clock is behind"); n != c.said {
				t.Errorf("said %d times, want %d", n, c.said)
			}
			if n := len(topic.logs[0]) + len(topic.logs[1]) + len(topic.logs[2]); n != 12_000 {
				t.Errorf("%d lines in the topic, want 12000", n)
			}
		})
	}
	topic := newCluster(1) // a leader that tells no time
	r := newRig(t, topic)
	r.write(numbered(0, 100))
	r.once()
	topic.stamp, r.said = -1, new(said)
	r.write(numbered(100, 200))
	r.once()
	if r.said.count("clock") > 0 {
		t.Error("said of a leader that tells no time")
	}
}
