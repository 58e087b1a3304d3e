package ship

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// heldBack is a rig of 20 lines that are in the topic and final, of which the stored
// position is behind 10 only, as it is where another partition holds it back. There were
// 500 records of others between them, and an unclean election has taken the last lines
// and these.
func heldBack(t *testing.T, c *cluster) *rig {
	t.Helper()
	c.maxBytes = 12*10 + 21*10 + batchOverhead
	r := newRig(t, c)
	r.write(numbered(0, 10))
	r.once()
	state := r.slots[1]
	r.write(numbered(10, 20))
	r.once()
	state.Clean = false
	p := r.slots[1].Partitions[0]
	p.Before, p.Offset = state.Partitions[0].Before, p.Offset+500
	state.Partitions = []LaneState{p}
	r.slots = [2]State{state, state}
	for _, b := range c.stored[0] {
		if b.BaseOffset > 12 {
			c.losesAfter(0, b.BaseOffset)
			return r
		}
	}
	c.losesAfter(0, 10)
	return r
}

// killedAfter runs a rig until the topic has so many records, of which the last have no
// answer, and kills it then.
func (r *rig) killedAfter(records int) {
	r.t.Helper()
	c := r.topic
	c.fault = func(_ int32, b Batch, appended bool) error {
		if appended && len(c.logs[0]) >= records-3 {
			return errLost
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.run(ctx, false) }()
	eventually(r.t.(*testing.T), "the records", func() bool { return c.records(0) >= records })
	r.mu.Lock()
	r.fail = errors.New("killed")
	r.mu.Unlock()
	cancel()
	<-done
	r.fail, c.fault = nil, nil
	c.restart() // it knows of no batch but the last
}

// others appends records of somebody else.
func (c *cluster) others(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		c.appendOthers(0)
	}
}

// Where what is final becomes less, the next run has to know it before anything is sent
// again: at offsets below those of the lines that are gone nothing would be looked for.
func TestLossIsStoredBeforeAnythingIsSentAgain(t *testing.T) {
	c := newCluster(1)
	r := heldBack(t, c)
	r.said = new(said)
	left := int64(c.records(0))
	c.fault = func(_ int32, b Batch, appended bool) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range r.slots {
			if p := s.Partitions[0]; !appended && int64(b.FirstSequence) == left && (p.Final != left-1 || p.Offset != left-1) {
				t.Errorf("line %d is sent again while a slot says that %d is final, at offset %d", left, p.Final, p.Offset)
			}
		}
		return nil
	}
	r.write(numbered(20, 40))
	r.once()
	r.wantLog(0, numbered(0, 40))
	if r.said.count("cluster has lost lines") != 1 {
		t.Errorf("the loss was not said: %s", r.said.text.String())
	}
}

func TestKillAfterALossRepeatsNothing(t *testing.T) {
	for _, others := range []int{0, 1000} {
		t.Run(fmt.Sprint(others, " records of others behind"), func(t *testing.T) {
			c := newCluster(1)
			r := heldBack(t, c)
			r.write(numbered(20, 40))
			r.killedAfter(30)
			c.others(others)
			r.write(numbered(40, 60))
			r.once()
			r.wantOurs(0, numbered(0, 60))
		})
	}
}

// The same with a state that does not know of the loss, as one of a version that did not
// store it, or one that was put back: what the leader holds is at lower offsets than the
// state says, and found there.
func TestLinesAtOtherOffsetsThanTheStateSaysAreFound(t *testing.T) {
	for _, others := range []int{0, 1000} {
		t.Run(fmt.Sprint(others, " records of others behind"), func(t *testing.T) {
			c := newCluster(1)
			r := heldBack(t, c)
			before := r.slots[1]
			r.write(numbered(20, 40))
			r.killedAfter(30)
			c.others(others)
			r.unstored(before)
			r.write(numbered(40, 60))
			r.once()
			r.wantOurs(0, numbered(0, 60))
			if got := r.slots[0].Partitions[0].Offset; got > int64(c.records(0)) {
				t.Errorf("the state says still that the last final line is at offset %d", got)
			}
		})
	}
}
