package ship

import (
	"testing"

	"github.com/rs/zerolog"

	"eventline/internal/tail"
)

// adopt puts the state in place that a person has chosen.
func (r *rig) adopt(choose func(s *State) []int64) {
	r.t.Helper()
	s := r.slots[1]
	a := s.Adopted(choose(&s))
	if err := a.Check(); err != nil {
		r.t.Fatal(err)
	}
	r.slots = [2]State{a, a}
}

// sent reads what there is behind the position, for State.Sent.
func (r *rig) sent(s *State) []int64 {
	r.t.Helper()
	tl, err := tail.New(tail.Config{Path: r.log(), State: &s.Tail, MaxLine: 4 << 20, Budget: 16 << 20, Once: true, Log: zerolog.Nop(), Reader: tail.ReaderBlock})
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- tl.Run(r.t.Context()) }()
	n := s.Sent(tl.Blocks(), 0)
	if err := <-ended; err != nil {
		r.t.Fatal(err)
	}
	return n
}

// undecidable is a rig that can't go on: the leader has forgotten it, and the records
// are deleted. Lines 0 to 99 are known to be in the topic, 100 to 4999 are there.
func undecidable(t *testing.T) *rig {
	t.Helper()
	c := newCluster(1)
	r := killed(t, c, 100, 5000)
	c.forget()
	c.deleteRecords(0, 5000)
	r.refusedAtStart("--resend", "--skip")
	return r
}

func TestWhatIsInDoubtIsSentAgainByChoice(t *testing.T) {
	r := undecidable(t)
	r.adopt((*State).Known)
	r.write(numbered(5000, 6000))
	r.once()
	r.wantLog(0, numbered(0, 5000)+numbered(100, 6000))
}

func TestWhatIsInDoubtIsPassedOverByChoice(t *testing.T) {
	r := undecidable(t)
	r.adopt(r.sent)
	r.write(numbered(5000, 6000)) // was never sent, though its numbers may have been reserved
	r.once()
	r.wantLog(0, numbered(0, 6000))
}

// What is passed over was dealt out to the partitions there were.
func TestWhatIsPassedOverIsSoWithMorePartitionsToo(t *testing.T) {
	c := newCluster(1)
	r := killed(t, c, 20_000, 50_000)
	c.forget()
	c.deleteRecords(0, 50_000)
	r.refusedAtStart("--resend", "--skip")
	r.adopt(r.sent)
	c.grow()
	c.grow()
	r.write(numbered(50_000, 80_000))
	r.once()
	r.write(numbered(80_000, 100_000)) // behind the change
	r.once()
	checkExact(t, 0, c, numbered(0, 100_000))
}

func TestAnotherTopicGetsWhatTheOldOneIsNotKnownToHave(t *testing.T) {
	r := newRig(t, newCluster(2))
	r.write(numbered(0, 100))
	r.once()
	r.topic.recreate()
	r.write(numbered(100, 200))
	r.refusedAtStart("topic-1-again")
	r.adopt((*State).Known)
	r.once()
	checkExact(t, 0, r.topic, numbered(100, 200))
	// With fewer partitions nothing is kept of the old numberings.
	r.topic.recreate()
	r.topic.logs, r.topic.stored = r.topic.logs[:1], r.topic.stored[:1]
	r.adopt(func(*State) []int64 { return nil })
	r.write(numbered(200, 300))
	r.once()
	r.wantLog(0, numbered(200, 300))
}
