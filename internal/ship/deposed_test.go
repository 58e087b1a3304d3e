package ship

import (
	"testing"
)

// wantNoLoss wants nothing to be said of lines that the cluster has lost.
func (r *rig) wantNoLoss() {
	r.t.Helper()
	if r.said.count("cluster has lost lines") > 0 || r.said.late() > 0 {
		r.t.Errorf("lines are said to be lost or late, and none is: %s", r.said.text.String())
	}
}

// A batch was appended and its answer got lost with the connection; the next connections
// lead to a broker that was deposed and cut off, and tells that it is the leader. Lines
// that it has not are not lost: the epoch of who leads the log is another one.
func TestDeposedLeaderIsNotBelievedThatLinesAreLost(t *testing.T) {
	for name, behind := range map[string]int{"for some connections": confirmations - 1, "for as many as are asked": confirmations, "for more": 2*confirmations + 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			r := newRig(t, c)
			r.said = new(said)
			r.write(numbered(0, 100))
			p := r.start()
			eventually(t, "lines", func() bool { return r.stored() == 99 })
			lost := false
			c.mu.Lock()
			c.fault = func(_ int32, b Batch, appended bool) error {
				if !appended || lost {
					return nil
				}
				lost = true
				c.epoch, c.shared = 1, 1
				c.behind, c.deposed = behind, &Producer{Known: true, LastSequence: 89}
				return errLost
			}
			c.mu.Unlock()
			r.write(numbered(100, 110))
			eventually(t, "the lines to be final", func() bool { return r.stored() == 109 })
			r.write(numbered(110, 120))
			eventually(t, "more lines to be final", func() bool { return r.stored() == 119 })
			p.stop(t)
			r.wantLog(0, numbered(0, 120))
			r.wantNoLoss()
			if got := c.count(func() int { return c.retired }); got < min(behind, confirmations-1) {
				t.Errorf("%d connections were made anew, want one for each time the leader was asked", got)
			}
		})
	}
}

// After a power loss nothing would show that a leader is the wrong one: what it has not
// would come again in a new numbering.
func TestDeposedLeaderIsNotBelievedAfterAPowerLoss(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.boot = "one"
	r.write(numbered(0, 100))
	r.once()
	before := r.slots[1]
	r.write(numbered(100, 200))
	r.once()
	r.unstored(before)
	r.boot = "two"
	r.said = new(said)
	c.epoch, c.shared = 1, 1
	c.behind, c.deposed = confirmations, &Producer{Known: true, LastSequence: 99}
	r.write(numbered(200, 300))
	r.once()
	r.wantLog(0, numbered(0, 300))
	r.wantNoLoss()
}

// Where the cluster has lost lines, and some that were sent after them are under way
// still, those are looked for after the new numbering has begun.
func TestWhatArrivesAfterALossIsCounted(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.said = new(said)
	r.write(numbered(0, 100))
	p := r.start()
	eventually(t, "lines", func() bool { return r.stored() == 99 })
	lost, late := false, 0
	c.mu.Lock()
	c.fault = func(_ int32, b Batch, appended bool) error {
		switch {
		case !lost && !appended:
			lost = true
			c.behind, c.deposed = confirmations, &Producer{Known: true, LastSequence: 89}
			c.epoch = -1 // of brokers that do not tell it
			c.shared = -1
			return errLost
		case lost && late == 0 && !appended:
			// It was held by the network, and comes before the new numbering's first.
			late = len(b.Lines)
			held := b
			held.Epoch, held.FirstSequence = 0, 100
			if _, err := c.store(0, held); err != nil {
				t.Errorf("held: %v", err)
			}
		}
		return nil
	}
	c.mu.Unlock()
	r.write(numbered(100, 110))
	eventually(t, "the lines to be final", func() bool { return r.stored() == 9 })
	eventually(t, "it to be said", func() bool { return r.said.late() > 0 })
	p.stop(t)
	if n := c.records(0); n != 110+late || r.said.late() != late {
		t.Errorf("%d records, and %d said to be late, want %d and %d", n, r.said.late(), 110+late, late)
	}
}

// The same broker leads on in another epoch (a reassignment, a change of its replicas), and
// the connection is shared with other logs, for which nothing is wrong with it.
func TestSharedConnectionOfAnEarlierEpochIsMadeAnew(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	c.epoch = 1 // that of the connection is 0
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
	if c.retired != 1 {
		t.Errorf("%d connections were made anew, want one", c.retired)
	}
}
