package ship

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// wantOurs compares what is ours of one partition's log with a text.
func (r *rig) wantOurs(partition int, text string) {
	r.t.Helper()
	c := r.topic
	c.mu.Lock()
	ours := slices.DeleteFunc(slices.Clone(c.logs[partition]), func(line string) bool { return line == othersLine })
	c.mu.Unlock()
	if got := strings.Join(ours, "\n") + "\n"; got != text {
		r.t.Errorf("partition %d holds %d lines of ours, want %d: some are missing or there twice", partition, len(ours), strings.Count(text, "\n"))
	}
}

// wantHeard waits until a rig has said something and its status is not a good one.
func (r *rig) wantHeard(log *said, words string) {
	r.t.Helper()
	eventually(r.t.(*testing.T), "that it is said: "+words, func() bool { return log.count(words) > 0 })
	if s := r.group.Status(); s.Connected || class(s.Err) == "" {
		r.t.Errorf("status: got %+v, want it not connected, and why", s)
	}
}

// Where others append all the time, a log never stands still. Of an id that nothing is
// in doubt of, that is nothing to wait for.
func TestIDThatExpiredIsNoTroubleOnABusyTopic(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 10))
	r.once()
	c.forget()
	c.busy = true
	r.write(numbered(10, 20))
	r.once()
	r.wantOurs(0, numbered(0, 20))
}

// A broker before Kafka 2.8 tells of no id. Its connection was let go.
func TestBrokerWithoutTheQuestionIsNoTroubleOnABusyTopic(t *testing.T) {
	c := newCluster(1)
	c.producer = refusedError(Unsupported)
	r := newRig(t, c)
	r.idle = time.Nanosecond
	r.write(numbered(0, 10))
	p := r.start()
	eventually(t, "the position to be stored", func() bool { return r.stored() == 9 })
	eventually(t, "the connection to be let go", func() bool { return c.count(func() int { return c.opened - c.closed }) == 0 })
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
	r.write(numbered(10, 11))
	eventually(t, "the line to arrive", func() bool { return r.stored() == 10 })
	p.stop(t)
	r.wantOurs(0, numbered(0, 11))
}

func TestLinesInDoubtAreFoundOnABusyTopic(t *testing.T) {
	for name, forget := range map[string]func(*cluster){
		"the id expired":      (*cluster).forget,
		"a broker before 2.8": func(c *cluster) { c.producer = refusedError(Unsupported) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			r := killed(t, c, 100, 5000)
			forget(c)
			clear(c.handed)
			c.busy = true
			r.write(numbered(5000, 6000))
			r.once()
			r.wantOurs(0, numbered(0, 6000))
			if c.reread > 0 {
				t.Errorf("%d records were read more than once", c.reread)
			}
		})
	}
}

// A request of a dead process may be in the leader's log and wait there for replicas.
// What is above the high watermark can't be read, and an id that the leader has lost
// since would not show it. So nothing is sent before the replicas are back, however
// much others append, and what is waited for is said.
func TestWhatALeaderHoldsForWantOfReplicasIsWaitedFor(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	c.forget()
	c.busy = true
	high := int64(100)
	c.bounds = func(l Log) Log {
		if high > 0 {
			l.HighWatermark, l.Replicas, l.InSync, l.MinInSync = high, 3, 1, 2
		}
		return l
	}
	log := new(said)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(5000, 6000))
	p := r.start()
	r.wantHeard(log, "1 of 3 are in sync, min.insync.replicas is 2")
	r.wantOurs(0, numbered(0, 5000))
	c.mu.Lock()
	high = 0
	c.mu.Unlock()
	eventually(t, "the rest to arrive", func() bool { return r.stored() == 5999 })
	p.stop(t)
	r.wantOurs(0, numbered(0, 6000))
	if log.count("kafka reachable again") != 1 {
		t.Error("that it is over was not said")
	}
}

// The same of an id that the leader knows.
func TestLineThatTheLeaderHoldsAndHasNotReplicatedIsWaitedFor(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	held := true
	c.bounds = func(l Log) Log {
		if held {
			l.HighWatermark = 3000
		}
		return l
	}
	log := new(said)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(5000, 6000))
	p := r.start()
	r.wantHeard(log, "waiting for line 4999 of producer id 1, which the leader holds")
	c.mu.Lock()
	held = false
	c.mu.Unlock()
	eventually(t, "the rest to arrive", func() bool { return r.stored() == 5999 })
	p.stop(t)
	r.wantLog(0, numbered(0, 6000))
}

func TestLogIsSettledWhen(t *testing.T) {
	good := Log{HighWatermark: 10, LeaderEpoch: 1, Replicas: 3, InSync: 3, MinInSync: 2}
	few, next, back, anew := good, good, good, good
	few.InSync = 1
	next.HighWatermark++
	back.HighWatermark--
	anew.LeaderEpoch++
	type look struct {
		log  Log
		last int64
	}
	rising := func(n int) (looks []look) {
		for i := range n {
			l := good
			l.HighWatermark += int64(i)
			looks = append(looks, look{l, 5})
		}
		return looks
	}
	for _, c := range []struct {
		name  string
		looks []look
		want  bool
	}{
		{"one look says nothing", []look{{good, 5}}, false},
		{"it stands still", []look{{good, 5}, {good, 5}}, true},
		{"it rises once", []look{{good, 5}, {next, 5}}, false},
		{"it rises again and again", rising(confirmations), true},
		{"it rises not often enough", rising(confirmations - 1), false},
		{"lines of ours come", append(rising(confirmations-1), look{Log{HighWatermark: 20, LeaderEpoch: 1, Replicas: 3, InSync: 3, MinInSync: 2}, 6}), false},
		{"it goes back", append(rising(confirmations-1), look{back, 5}), false},
		{"another leader", append(rising(confirmations-1), look{anew, 5}), false},
		{"it stands still for want of replicas", []look{{few, 5}, {few, 5}, {few, 5}, {few, 5}, {few, 5}}, false},
		{"replicas are there at the end only", append([]look{{few, 5}, {few, 5}, {few, 5}, {few, 5}}, look{good, 5}), false},
	} {
		var w watch
		got := false
		for _, l := range c.looks {
			got = w.settled(l.log, l.last)
		}
		if got != c.want {
			t.Errorf("%s: settled %v, want %v", c.name, got, c.want)
		}
	}
}

// Where some of the records in doubt were deleted, the leader's word does for them. It does
// not for those that may be above the high watermark: they show when they are replicated, or
// go with their leader.
func TestLinesThatAreNotReplicatedAreNotTakenForDeleted(t *testing.T) {
	c := newCluster(1)
	c.maxBytes = 12*100 + batchOverhead
	r := killed(t, c, 100, 5000)
	c.deleteRecords(0, 1000)
	var left int64
	for _, b := range c.stored[0] {
		if b.BaseOffset < 3000 {
			left = b.BaseOffset + int64(len(b.Lines))
		}
	}
	held, looks := true, 0
	c.bounds = func(l Log) Log {
		if held {
			l.HighWatermark = left
		}
		return l
	}
	c.scanned = func(int64, int16) error {
		if looks++; looks == confirmations-1 {
			c.losesAfter(0, left)
			c.mu.Lock()
			held = false
			c.mu.Unlock()
		}
		return nil
	}
	c.fault = func(_ int32, b Batch, _ bool) error {
		if held {
			t.Errorf("line %d is sent behind lines that may be lost yet", b.FirstSequence)
		}
		return nil
	}
	r.said = new(said)
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
	r.wantNoLoss()
}
