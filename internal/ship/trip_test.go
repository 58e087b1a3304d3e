package ship

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// running is a rig that runs until it is stopped or refuses.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func (r *rig) start() *running {
	ctx, cancel := context.WithCancel(context.Background())
	p := &running{cancel, make(chan error, 1)}
	go func() { p.ended <- r.run(ctx, false) }()
	r.t.Cleanup(func() {
		cancel()
		<-p.ended
	})
	return p
}

// stop ends it in good order.
func (p *running) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	err := <-p.ended
	p.ended <- err
	if err != nil {
		t.Fatal(err)
	}
}

// wantRefused waits until a rig has ended, with a refusal that has these words.
func (p *running) wantRefused(t *testing.T, words ...string) {
	t.Helper()
	var err error
	select {
	case err = <-p.ended:
		p.ended <- err
	case <-time.After(time.Minute):
		t.Fatal("goes on, want it to refuse")
	}
	wantRefused(t, err, words...)
}

func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want it to say %q", err, word)
		}
	}
}

// refusedAtStart runs a rig that has to refuse.
func (r *rig) refusedAtStart(words ...string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	wantRefused(r.t.(*testing.T), r.run(ctx, true), words...)
}

// twin is another machine with the same state and the same log: the clone of a disk.
// Its files are others, so it has come by its state with a cluster of its own.
func (r *rig) twin() *rig {
	r.t.Helper()
	text, err := os.ReadFile(r.log())
	if err != nil {
		r.t.Fatal(err)
	}
	c := newRig(r.t, newCluster(len(r.topic.logs)))
	c.write(string(text))
	c.once()
	c.topic = r.topic
	for i := range c.slots {
		c.slots[i].Clean, c.slots[i].Partitions = r.slots[i].Clean, r.slots[i].Partitions
	}
	return c
}

// Two copies of a state send at the same pace, each a line of its own under the same
// number. The second is acknowledged as a duplicate of the first, and what the leader
// holds is never more than either has sent.
func TestCopyInLockstepIsFoundByTheContent(t *testing.T) {
	c := newCluster(1)
	a := newRig(t, c)
	a.write(numbered(0, 10))
	a.once()
	a.reserveMore(16) // as after a kill
	b := a.twin()
	a.write(numbered(10, 11))
	b.write(numbered(10, 11))
	left := a.start()
	eventually(t, "the line to arrive", func() bool { return c.records(0) == 11 })
	right := b.start()
	eventually(t, "the other to connect", func() bool { return c.count(func() int { return c.opened }) == 3 })
	n := 11
	for tripped := false; !tripped; n++ {
		a.write(fmt.Sprintf("left %07d\n", n))
		eventually(t, "the line to arrive", func() bool { return c.records(0) > n })
		select {
		case err := <-right.ended:
			right.ended <- err
			tripped = true
		default:
			b.write(fmt.Sprintf("right %06d\n", n))
			time.Sleep(20 * time.Millisecond) // the pace of both
		}
		if n > 1000 {
			t.Fatal("990 lines of the second copy are nowhere, and it goes on")
		}
	}
	right.wantRefused(t, "other lines than were sent from here", "copy of this state")
	left.stop(t)
	for i, line := range c.logs[0][11:] {
		if want := fmt.Sprintf("left %07d", 11+i); line != want {
			t.Fatalf("record %d: got %q, want %q", 11+i, line, want)
		}
	}
}

// reserveMore makes the state one that allows more lines to have been sent.
func (r *rig) reserveMore(n int64) {
	for i := range r.slots {
		r.slots[i].Clean = false
		r.slots[i].Partitions = slices.Clone(r.slots[i].Partitions)
		for k := range r.slots[i].Partitions {
			r.slots[i].Partitions[k].Reserved += n
		}
	}
}

// A copy that is ahead shows in what the leader holds.
func TestCopyThatIsAheadStopsTheOther(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 10))
	p := r.start()
	eventually(t, "the lines to arrive", func() bool { return c.records(0) == 10 })
	foreign := make([]string, 5000)
	for i := range foreign {
		foreign[i] = "somebody else's"
	}
	c.foreign(0, foreign...)
	r.write(numbered(10, 20))
	p.wantRefused(t, "another logship has a copy of this state", "logship adopt")
	if n := c.records(0); n != 5010 {
		t.Errorf("records: got %d, want 5010: nothing more may be sent", n)
	}
}

func TestNewerEpochIsAnotherLogship(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.write(numbered(0, 10))
	r.once()
	for _, p := range r.topic.producers {
		p.epoch++
	}
	r.write(numbered(10, 20))
	r.refusedAtStart("is used with epoch 1, ours is 0")
}

// An older state knows less than was sent under its numbers.
func TestOlderStateIsRefused(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.write(numbered(0, 10))
	r.once()
	old := r.slots
	r.write(numbered(10, 40_000))
	r.once()
	r.slots = old
	r.refusedAtStart("the state is an old one", "`logship adopt`")
	if n := r.topic.records(0); n != 40_000 {
		t.Errorf("records: got %d, want 40000", n)
	}
}

func TestTopicThatWasCreatedAnewIsRefused(t *testing.T) {
	t.Run("while down", func(t *testing.T) {
		r := newRig(t, newCluster(1))
		r.write(numbered(0, 10))
		r.once()
		r.topic.recreate()
		r.write(numbered(10, 20))
		r.refusedAtStart("topic-1", "topic-1-again", "`logship adopt`")
		r.wantRecords(0)
	})
	t.Run("while running", func(t *testing.T) {
		c := newCluster(1)
		r := newRig(t, c)
		r.write(numbered(0, 10))
		p := r.start()
		eventually(t, "the lines to arrive", func() bool { return c.records(0) == 10 })
		c.recreate()
		r.write(numbered(10, 20))
		p.wantRefused(t, "topic-1", "topic-1-again", "`logship adopt`")
	})
}

func (r *rig) wantRecords(n int) {
	r.t.Helper()
	if got := r.topic.records(0); got != n {
		r.t.Errorf("records: got %d, want %d", got, n)
	}
}

func TestTopicThatCannotKeepThePromiseIsRefused(t *testing.T) {
	r := newRig(t, newCluster(2))
	r.write(numbered(0, 10))
	r.once()
	r.topic.compacted = true
	r.refusedAtStart("compacted", "cleanup.policy=delete")
	r.topic.compacted = false
	r.topic.logs, r.topic.stored = r.topic.logs[:1], r.topic.stored[:1]
	r.refusedAtStart("has 1 partitions, lines were sent to 2")
}

// Without READ nobody could find out what became of a batch: nothing is sent.
func TestMissingRightHoldsTheLinesUntilItIsGiven(t *testing.T) {
	c := newCluster(1)
	c.producer = refusedError(Authorization)
	r := newRig(t, c)
	log := new(said)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(0, 10))
	p := r.start()
	eventually(t, "the right to be asked for", func() bool { return log.count("a right is missing") > 0 })
	r.wantRecords(0)
	c.mu.Lock()
	c.producer = nil
	c.mu.Unlock()
	eventually(t, "the lines to arrive", func() bool { return c.records(0) == 10 })
	// It may be taken away again.
	c.mu.Lock()
	c.producer = refusedError(Authorization)
	c.mu.Unlock()
	r.write(numbered(10, 20))
	eventually(t, "the right to be asked for again", func() bool { return log.count("a right is missing") > 1 })
	c.mu.Lock()
	c.producer = nil
	c.mu.Unlock()
	eventually(t, "all lines to arrive", func() bool { return c.records(0) == 20 })
	p.stop(t)
	r.wantLog(0, numbered(0, 20))
}

// Which topic it is may be known from a moment before it was made anew.
func TestTopicThatWasCreatedAnewIsRefusedWithNoMoreLines(t *testing.T) {
	c := newCluster(1)
	c.lags = true
	r := newRig(t, c)
	r.write(numbered(0, 100))
	p := r.start()
	eventually(t, "the lines arrive", func() bool { return c.count(func() int { return len(c.logs[0]) }) == 100 })
	c.mu.Lock()
	c.topicID, c.logs[0], c.stored[0] = "topic-2", nil, nil
	clear(c.producers)
	c.mu.Unlock()
	r.write(numbered(100, 110))
	p.wantRefused(t, "created anew")
}
