package ship

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// unstored puts back the state that was durable before a run, with what that run
// reserved: the process was killed before it could store more.
func (r *rig) unstored(before State) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	after := r.slots[1]
	before.Clean = false
	for i := range before.Partitions {
		before.Partitions[i].Reserved = after.Partitions[i].Reserved
	}
	r.slots = [2]State{before, before}
}

// killed is a rig that has stored that lines up to a number are final, and was killed
// when the topic had more.
func killed(t *testing.T, c *cluster, final, sent int) *rig {
	t.Helper()
	r := newRig(t, c)
	r.write(numbered(0, final))
	r.once()
	before := r.slots[1]
	r.write(numbered(final, sent))
	r.once()
	r.unstored(before)
	return r
}

func TestKillRepeatsNothing(t *testing.T) {
	r := killed(t, newCluster(1), 100, 5000)
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
}

// A leader that was started anew recognises the last batch only.
func TestKillAndRestartOfTheLeaderRepeatNothing(t *testing.T) {
	c := newCluster(1)
	c.maxBytes = 12 * 500 // so that there are many batches
	r := killed(t, c, 100, 5000)
	c.restart()
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
}

// The leader's knowledge of the producer id expires by the time of its last record.
func TestExpiredIDIsLookedForInTheLog(t *testing.T) {
	for name, c := range map[string]*cluster{"as Kafka is": newCluster(1), "that wants the first sequence to be 0": {fromZero: true}} {
		t.Run(name, func(t *testing.T) {
			if c.logs == nil {
				c = newCluster(1)
				c.fromZero = true
			}
			r := killed(t, c, 100, 5000)
			c.forget()
			r.write(numbered(5000, 6000))
			r.once()
			r.wantLog(0, numbered(0, 6000))
		})
	}
}

func TestBrokerWithoutTheQuestionIsReadInstead(t *testing.T) {
	c := newCluster(1)
	c.producer = refusedError(Unsupported)
	r := killed(t, c, 100, 5000)
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
}

// Whether lines are in the topic can't be known where the leader has forgotten and
// the records are gone.
func TestWhatCannotBeKnownIsRefused(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	c.forget()
	c.deleteRecords(0, 5000)
	r.write(numbered(5000, 6000))
	r.refusedAtStart("lines 100 to", "can't be known", "--resend", "--skip")
	r.wantRecords(5000)
}

// A process that runs all the time knows it from the time when it was started.
func TestSilenceAfterAKillIsNotRefused(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 100))
	r.once()
	r.reserveMore(16) // killed, with nothing under way
	asked := c.asked
	p := r.start()
	eventually(t, "the leader to be asked, though there is nothing to send", func() bool { return c.count(func() int { return c.asked }) > asked })
	c.forget() // days later
	c.others(100)
	c.deleteRecords(0, 150)
	r.write(numbered(100, 110))
	eventually(t, "the lines to arrive", func() bool { return c.records(0) == 210 })
	p.stop(t)
	r.wantOurs(0, numbered(0, 110))
}

// With the leader's word deleted records are no trouble.
func TestDeletedRecordsAreBelievedToTheLeader(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	c.deleteRecords(0, 5000)
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 6000))
}

func TestLinesThatTheClusterLostAreSentAgain(t *testing.T) {
	c := newCluster(1)
	c.maxBytes = 12 * 500
	r := killed(t, c, 1000, 2000)
	// The state says that 1000 are final, and all of them are in the log still.
	state := r.slots[1]
	var half int64
	for _, b := range c.stored[0] {
		if b.BaseOffset > 400 && half == 0 {
			half = b.BaseOffset
		}
	}
	c.losesAfter(0, half)
	r.said = new(said)
	r.once()
	if r.said.count("cluster has lost lines that it had acknowledged") != 1 {
		t.Errorf("the loss was not said: %s", r.said.text.String())
	}
	// What is behind the stored position can't be read again.
	want := numbered(0, int(half)) + numbered(int(state.Partitions[0].Before)+1, 2000)
	r.wantLog(0, want)
}

// A machine that went down hard may have lost lines from the page cache that were in
// the topic already. What the writer puts in their place are other lines.
func TestLinesThatReplaceLostOnesAfterAPowerLossArrive(t *testing.T) {
	for _, partitions := range []int{1, 3} {
		c := newCluster(partitions)
		r := newRig(t, c)
		r.boot = "one"
		r.write(numbered(0, 20_000)) // some for each partition
		r.once()
		before := r.slots[1]
		size := fileSize(t, r.log())
		r.write(numbered(20_000, 50_000))
		r.once()
		r.unstored(before)
		// 200 of the lines survive, 3,000 others follow.
		if err := os.Truncate(r.log(), size+12*200); err != nil {
			t.Fatal(err)
		}
		r.write(numbered(100_000, 103_000))
		r.boot = "two"
		r.said = new(said)
		r.once()
		checkExact(t, 0, c, numbered(0, 50_000)+numbered(100_000, 103_000))
		r.write(numbered(200_000, 220_000))
		r.once()
		checkExact(t, 0, c, numbered(0, 50_000)+numbered(100_000, 103_000)+numbered(200_000, 220_000))
		if r.said.count("the topic holds records whose lines are no longer in the log") != partitions {
			t.Errorf("%d partitions: records without a line: said %s", partitions, r.said.text.String())
		}
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// A request of before the power loss may still be on its way somewhere. It is shut
// out as soon as the new numbering has a line in the topic.
func TestRequestOfBeforeAPowerLossIsShutOut(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.boot = "one"
	r.write(numbered(0, 1000))
	r.once()
	before := r.slots[1]
	r.write(numbered(1000, 1010))
	before.Clean = false
	for i := range before.Partitions {
		before.Partitions[i].Reserved += 10
	}
	r.slots = [2]State{before, before}
	r.boot = "two"
	r.once()
	l := before.Partitions[0]
	late := Batch{ProducerID: l.ID, Epoch: l.Epoch, FirstSequence: 1000, Lines: [][]byte{[]byte("line 001000")}}
	if _, err := c.append(0, late); !errors.Is(err, errFenced) {
		t.Errorf("late request: got %v, want it fenced", err)
	}
	r.wantLog(0, numbered(0, 1010))
}

// A line that was refused is kept in the quarantine before it is left out. Killed in
// between, the next run sends it again, to a leader that takes it now.
func TestLineThatIsTakenAfterAllLeavesTheQuarantine(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 100))
	r.once()
	r.write(numbered(100, 300))
	c.fault = func(_ int32, b Batch, appended bool) error {
		for _, line := range b.Lines {
			if !appended && string(line) == "line 000123" {
				return errTooLarge
			}
		}
		return nil
	}
	kept := filepath.Join(r.dir, "quarantine", fmt.Sprintf("0-%d", 123*12))
	before := len(r.saved)
	r.once()
	if _, err := os.Stat(kept); err != nil {
		t.Fatal(err)
	}
	// The last state that has the line in the numbering still.
	var old State
	for _, s := range r.saved[before:] {
		if s.Partitions[0].Epoch == 0 {
			old = s
		}
	}
	old.Clean = false
	records := c.records(0)
	t.Run("killed before the decision was stored", func(t *testing.T) {
		r.slots = [2]State{old, old}
		c.fault = nil
		c.losesAfter(0, 123) // what came behind it was never sent
		r.once()
		r.wantLog(0, numbered(0, 300))
		if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the line is in the topic and in the quarantine: %v", err)
		}
	})
	if records != 299 {
		t.Errorf("records: got %d, want 299", records)
	}
}

// One that is left out stays in the quarantine, though it is read again.
func TestLineThatWasLeftOutStaysInTheQuarantine(t *testing.T) {
	c := newCluster(1)
	c.fault = func(_ int32, b Batch, appended bool) error {
		if strings.Contains(string(b.Lines[0]), "000123") && !appended || len(b.Lines) > 1 && !appended {
			return errTooLarge
		}
		return nil
	}
	r := newRig(t, c)
	r.write(numbered(0, 130))
	r.once()
	var first State // with the line left out, and the position before it
	for _, s := range r.saved {
		if s.Partitions != nil && s.Partitions[0].Epoch == 1 {
			first = s
			break
		}
	}
	first.Clean = false
	r.slots = [2]State{first, first}
	c.fault = nil
	r.once()
	r.wantLog(0, numbered(0, 123)+numbered(124, 130))
	if _, err := os.Stat(filepath.Join(r.dir, "quarantine", fmt.Sprintf("0-%d", 123*12))); err != nil {
		t.Error(err)
	}
}

// A topic that takes no line at all does not empty the log into the quarantine.
func TestTopicThatTakesNoLinesIsWaitedFor(t *testing.T) {
	c := newCluster(1)
	c.fault = func(_ int32, _ Batch, appended bool) error {
		if appended {
			return nil
		}
		return refusedError(Refused)
	}
	r := newRig(t, c)
	log := new(said)
	r.group = NewGroup(class, zerolog.New(log), nil)
	r.write(numbered(0, 1000))
	p := r.start()
	eventually(t, "it to be said", func() bool { return log.count("kafka refuses the lines") > 0 })
	kept, err := os.ReadDir(filepath.Join(r.dir, "quarantine"))
	if err != nil || len(kept) != mostRefused {
		t.Errorf("quarantine: got %d lines, %v; want %d", len(kept), err, mostRefused)
	}
	c.mu.Lock()
	c.fault = nil
	c.mu.Unlock()
	eventually(t, "the rest to arrive", func() bool { return c.records(0) == 1000-mostRefused })
	p.stop(t)
	r.wantLog(0, numbered(mostRefused, 1000))
}

func TestSequencesGoOnBehindTheLargest(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 10))
	r.once()
	// As if 2^31-50 lines had been sent before.
	const far = sequenceMask - 49
	for i := range r.slots {
		l := &r.slots[i].Partitions[0]
		l.Before, l.Final, l.Reserved = l.Before+far, l.Final+far, l.Reserved+far
	}
	for _, p := range c.producers {
		p.next += far
		p.known = nil
	}
	for i := range c.stored[0] {
		c.stored[0][i].FirstSequence += far
	}
	before := r.slots[1]
	r.write(numbered(10, 200))
	r.once()
	r.wantLog(0, numbered(0, 200))
	r.unstored(before) // and the same with what has to be found out
	r.write(numbered(200, 300))
	r.once()
	r.wantLog(0, numbered(0, 300))
}
