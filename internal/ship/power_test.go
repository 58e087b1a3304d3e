package ship

import (
	"os"
	"testing"
	"time"
)

// lostPower is a rig whose machine went down hard when the topic had lines that the
// log has no longer: it ends with the first 10,000.
func lostPower(t *testing.T, c *cluster) *rig {
	t.Helper()
	r := newRig(t, c)
	r.boot = "one"
	r.write(numbered(0, 9_000))
	r.once()
	before := r.slots[1]
	r.write(numbered(9_000, 12_000))
	r.once()
	r.unstored(before)
	if err := os.Truncate(r.log(), 12*10_000); err != nil {
		t.Fatal(err)
	}
	r.boot = "two"
	return r
}

// The writer may be silent for a while after that, and the shipper end in good order:
// it has not settled then what the topic holds beyond the log's end.
func TestLogThatEndsBeforeTheTopicDoesIsNotSettled(t *testing.T) {
	c := newCluster(1)
	r := lostPower(t, c)
	for range 2 {
		r.once()
		if r.slots[1].Clean {
			t.Error("the state says that nothing is in doubt")
		}
	}
	r.write(numbered(100_000, 100_100))
	r.once()
	r.wantLog(0, numbered(0, 12_000)+numbered(100_000, 100_100))
}

// Its connection is let go meanwhile.
func TestLogThatEndsBeforeTheTopicDoesGoesOnAfterSilence(t *testing.T) {
	c := newCluster(1)
	r := lostPower(t, c)
	r.idle = time.Millisecond
	p := r.start()
	eventually(t, "the connection is let go", func() bool {
		return c.count(func() int { return c.opened }) == 3 && c.count(func() int { return c.closed }) == 3
	})
	r.write(numbered(100_000, 100_100))
	eventually(t, "the new lines arrive", func() bool { return c.count(func() int { return len(c.logs[0]) }) == 12_100 })
	p.stop(t)
	r.wantLog(0, numbered(0, 12_000)+numbered(100_000, 100_100))
}

// Retention may have taken some of the records in doubt meanwhile. Without a power loss
// the log's lines are those that were sent, and the leader's word does. After one others
// may stand in their place: they would be taken for lines that are there.
func TestRecordsInDoubtThatWereDeletedAreNoNewLinesAfterAPowerLoss(t *testing.T) {
	for name, forget := range map[string]func(*cluster){"with the leader's word": func(*cluster) {}, "with an id that expired": (*cluster).forget} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(1)
			c.maxBytes = 12*100 + batchOverhead
			r := lostPower(t, c) // 12,000 in the topic, 9,000 stored as final, 10,000 in the log
			c.deleteRecords(0, 11_000)
			forget(c)
			r.write(numbered(100_000, 105_000))
			r.refusedAtStart("lines 9000 to", "can't be known", "--resend", "--skip")
			r.wantRecords(12_000)
		})
	}
}

// A request of before the power loss may come after an end in good order, to a partition
// that had nothing to send since. Its line is not what the log has by then.
func TestPartitionThatWasSilentSinceAPowerLossIsNotSettled(t *testing.T) {
	c := newCluster(2)
	r := newRig(t, c)
	r.boot = "one"
	r.write(numbered(0, 20_000)) // up to the fourth stripe
	r.once()
	r.reserveMore(16)
	r.boot = "two"
	p := r.start()
	r.write(numbered(20_000, 20_010))
	eventually(t, "both partitions to be asked and the lines to arrive", func() bool {
		return c.records(0)+c.records(1) == 20_010 && c.count(func() int { return c.asked }) > 2*confirmations
	})
	eventually(t, "the new numbering", func() bool { return r.last().Partitions[1].Epoch == 1 && r.last().Partitions[1].Final == 9 })
	time.Sleep(2 * saveEvery) // not to be right: to give a wrong one the time to be done
	p.stop(t)
	l := r.slots[1].Partitions[0]
	if r.slots[1].Clean || l.Epoch != 0 {
		t.Fatalf("the state says that nothing is in doubt: %s", brief(&r.slots[1]))
	}
	held := Batch{ProducerID: l.ID, Epoch: l.Epoch, FirstSequence: sequenceOf(l.Final + 1), Lines: [][]byte{[]byte("line 019999b")}}
	if _, err := c.append(0, held); err != nil {
		t.Fatal(err)
	}
	r.write(numbered(20_010, 30_000))
	r.once()
	checkExact(t, 0, c, numbered(0, 30_000)+"line 019999b\n")
}

// A leader that was deposed does not know of the last lines. Where the next one would be
// appended behind them it shows; in a new numbering, because a file is gone, it does not.
func TestDeposedLeaderIsNotBelievedWhereNothingWouldShowIt(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 100))
	r.once()
	before := r.slots[1]
	r.write(numbered(100, 200))
	r.rotate(1)
	r.write(numbered(200, 300))
	r.once()
	before.Partitions[0].Starts = []Start{{Generation: 1, Number: 200}} // as it was before these were sent
	r.unstored(before)
	if err := os.Remove(r.rotated(1)); err != nil {
		t.Fatal(err)
	}
	told := 0
	c.holds = func(partition int32, id int64) (Producer, error) {
		p := c.producers[[2]int64{int64(partition), id}]
		last := p.next - 1
		if told++; told == 1 {
			last = 99
		}
		return Producer{Known: true, Epoch: p.epoch, LastSequence: last}, nil
	}
	r.write(numbered(300, 400))
	r.once()
	r.wantLog(0, numbered(0, 400))
}
