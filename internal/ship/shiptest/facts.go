package shiptest

import (
	"context"
	"errors"
	"math"
	"slices"

	"eventline/internal/ship"
)

// fact is something that ship takes for granted.
type fact struct {
	name string
	test func(*story)
	// takes says whether it holds for the cluster; if not, without tests what does.
	takes   func(Cluster) bool
	without func(*story)
}

var facts = []fact{
	{name: "a known producer appends what follows and nothing else", test: onlyWhatFollows},
	{name: "the last five batches are recognised", test: lastFive},
	{name: "an unknown producer appends anything", test: unknownTakesAnything, takes: takesAny, without: unknownTakesZero},
	{name: "the leader tells how far it is", test: tellsHowFar},
	{name: "a restart of the broker changes nothing", test: restart},
	{name: "the next epoch begins at 0 and fences the one before", test: nextEpoch},
	{name: "sequences go on at 0 after 2147483647", test: wrap, takes: takesAny, without: unknownTakesZero},
	{name: "a batch above the limit is refused and may be cut", test: tooLarge},
	{name: "scan finds what every codec stored, and only ours", test: scanCodecs},
	{name: "scan begins inside a batch", test: scanInside},
	{name: "scan begins at the log start, where records were deleted", test: scanDeleted},
	{name: "an error of the caller ends a scan", test: scanEnds},
	{name: "nothing is known of what was never sent", test: never},
	{name: "a topic that was created again has another id", test: recreated},
	{name: "a topic that does not exist is missing, not made", test: missing},
	{
		name: "a producer that was idle for too long is forgotten, and a duplicate appended", test: forgotten,
		takes: func(c Cluster) bool { return c.Forget != nil && c.Recalls },
		without: func(s *story) {
			// All that a shipper can go by there is the headers of what is stored.
			s.stores(0, 3)
			s.recalls(0, 2)
			s.finds(0, held(0, 3, 0))
			s.knows(0, 3, 0)
		},
	},
}

func onlyWhatFollows(s *story) {
	s.stores(0, 3)
	s.stores(3, 6)
	s.refuses(ship.OutOfOrder, 7, lines(7, 9))                          // a gap
	s.refuses(ship.OutOfOrder, 4, lines(4, 8))                          // an overlap
	s.refuses(ship.OutOfOrder, 3, lines(3, 5))                          // another cut
	s.refuses(ship.OutOfOrder, 0, lines(0, 6))                          // of the same
	s.refuses(ship.OutOfOrder, math.MaxInt32, lines(0, 1))              // before the first
	if base, err := s.append(3, lines(0, 3)); err != nil || base != 3 { // the same cut, other lines
		s.Errorf("append of other lines with the sequences of ours: offset %d, %v; Kafka takes it for a duplicate", base, err)
	}
	s.stores(6, 9)
	s.finds(0, held(0, 9, 0))
}

func lastFive(s *story) {
	for i := range 6 {
		s.stores(i*2, i*2+2)
	}
	s.refuses(ship.OutOfOrder, 0, lines(0, 2))
	for i := 1; i < 6; i++ {
		s.knows(i*2, i*2+2, int64(i*2))
	}
	s.stores(12, 14)
	s.finds(0, held(0, 14, 0))
}

// That is why a fresh producer sends its first batch alone: of two in flight the
// second would be stored in place of a refused first one.
func unknownTakesAnything(s *story) {
	s.stores(5, 8)
	s.recalls(0, 7)
	s.refuses(ship.OutOfOrder, 0, lines(0, 5))
	s.stores(8, 9)
	s.finds(0, held(5, 9, 0))
}

func takesAny(c Cluster) bool { return !c.BeginsAtZero }

func unknownTakesZero(s *story) {
	s.refuses(ship.OutOfOrder, 5, lines(5, 8))
	s.refuses(ship.OutOfOrder, math.MaxInt32-2, lines(0, 5))
	s.stores(0, 3)
	s.finds(0, held(0, 3, 0))
}

func tellsHowFar(s *story) {
	for i := range 8 {
		s.stores(i*3, i*3+3)
		s.recalls(0, int32(i*3+2))
	}
	s.knows(21, 24, 21)
	s.recalls(0, 23)
	s.refuses(ship.OutOfOrder, 30, lines(30, 31))
	s.recalls(0, 23)
}

func restart(s *story) {
	s.stores(0, 3)
	s.stores(3, 6)
	s.stores(6, 9)
	s.append(20, lines(20, 21)) //nolint:errcheck // refused, and gives the connection up
	s.cluster.Restart(s.T)
	s.recalls(0, 8)
	s.finds(0, held(0, 9, 0))
	if s.cluster.RemembersOne {
		s.refuses(ship.OutOfOrder, 3, lines(3, 6))
	} else {
		s.knows(3, 6, 3)
	}
	s.knows(6, 9, 6)
	s.refuses(ship.OutOfOrder, 12, lines(12, 15))
	s.stores(9, 12)
	s.recalls(0, 11)
	s.finds(6, held(6, 12, 6))
}

func nextEpoch(s *story) {
	s.stores(0, 3)
	s.epoch++
	s.refuses(ship.OutOfOrder, 3, lines(3, 6))
	s.recalls(0, 2)
	s.stores(0, 2)
	s.recalls(1, 1)
	s.finds(0, held(0, 2, 3))
	s.epoch--
	s.refuses(ship.Fenced, 3, lines(3, 6))
	s.finds(0, held(0, 3, 0))
	s.recalls(1, 1)
	epochs := make(map[int16]int)
	_, err := s.topic.Scan(s.within(), 0, 0, s.id, ship.EveryEpoch, func(r ship.Stored) error {
		epochs[r.Epoch] += len(r.Lines)
		return nil
	})
	if len(epochs) != 2 || err != nil {
		s.Errorf("scan of every epoch: got %v records by epoch, %v, want those of two", epochs, err)
	}
}

func wrap(s *story) {
	const first = math.MaxInt32 - 2
	want := []string{"2147483645@0:line 0", "2147483646@1:line 1", "2147483647@2:line 2", "0@3:line 3", "1@4:line 4"}
	if base, err := s.append(first, lines(0, 5)); err != nil || base != 0 {
		s.Fatalf("append across the end of the sequences: offset %d, %v", base, err)
	}
	s.end = 5
	s.recalls(0, 1)
	if base, err := s.append(first, lines(0, 5)); err != nil || base != 0 && base != -1 {
		s.Errorf("append across the end again: offset %d, %v; want the ack of the first", base, err)
	}
	if base, err := s.append(2, lines(5, 6)); err != nil || base != 5 {
		s.Fatalf("append after the end: offset %d, %v", base, err)
	}
	s.finds(0, append(want, "2@5:line 5"))
	s.finds(2, append(want[2:], "2@5:line 5"))
}

func tooLarge(s *story) {
	limited := newStory(s.T, s.cluster, s.name+"-limited", "max.message.bytes", "1000")
	if d, err := limited.topic.Describe(limited.within()); err != nil || d.MaxBytes != 1000 {
		s.Errorf("describe: %+v, %v; want 1000 bytes", d, err)
	}
	limited.stores(0, 3)
	limited.refuses(ship.TooLarge, 3, lines(3, 300))
	limited.recalls(0, 2)
	limited.stores(3, 6)
	limited.finds(0, held(0, 6, 0))
}

func scanCodecs(s *story) {
	var want []string
	at := 0
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		if s.to != nil {
			_ = s.to.Close()
			s.to = nil
		}
		s.topic = s.cluster.Open(s.T, s.name, codec)
		want = append(want, held(at, at+100, s.end)...)
		s.stores(at, at+100)
		at += 100
		// Somebody else's, in between.
		ours := *s
		s.begin()
		s.stores(0, 10)
		s.id, s.epoch = ours.id, ours.epoch
	}
	if l := s.finds(0, want); l.Start != 0 || l.HighWatermark != 550 || l.Replicas != 1 || l.InSync != 1 || l.MinInSync != 1 {
		s.Errorf("scan: log is %+v, want 0 to 550 on one replica", l)
	}
}

func scanInside(s *story) {
	s.stores(0, 10)
	s.stores(10, 20)
	for _, from := range []int64{0, 1, 9, 10, 11, 19, 20} {
		s.finds(from, held(int(from), 20, from))
	}
	s.finds(1000, nil) // beyond the end: the log was cut, and the caller sees it
}

func scanDeleted(s *story) {
	s.stores(0, 10)
	s.stores(10, 20)
	s.cluster.DeleteBefore(s.T, s.name, 7) // inside a batch
	if l := s.finds(0, held(7, 20, 7)); l.Start != 7 || l.HighWatermark != 20 {
		s.Errorf("scan: log is %+v, want 7 to 20", l)
	}
	s.recalls(0, 19)
	s.cluster.DeleteBefore(s.T, s.name, 20) // all
	if l := s.finds(0, nil); l.Start != 20 || l.HighWatermark != 20 {
		s.Errorf("scan: log is %+v, want it to be empty at 20", l)
	}
	s.knows(10, 20, 10)
	s.recalls(0, 19)
	s.stores(20, 22)
	s.finds(0, held(20, 22, 20))
}

func scanEnds(s *story) {
	s.stores(0, 3)
	s.stores(3, 6)
	enough := errors.New("enough")
	calls := 0
	_, err := s.topic.Scan(s.within(), 0, 0, s.id, s.epoch, func(ship.Stored) error {
		calls++
		return enough
	})
	if err != enough || calls != 1 { //nolint:errorlint // as it is
		s.Errorf("scan: %v after %d calls, want the caller's error after one", err, calls)
	}
	ctx, cancel := context.WithCancel(s.within())
	_, err = s.topic.Scan(ctx, 0, 0, s.id, s.epoch, func(ship.Stored) error {
		cancel()
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.Errorf("scan: %v, want that it was given up", err)
	}
}

func never(s *story) {
	if got := s.producer(); got.Known {
		s.Errorf("leader tells %+v of a producer that never sent", got)
	}
	if l := s.finds(0, nil); l.Start != 0 || l.HighWatermark != 0 {
		s.Errorf("scan: log is %+v, want it empty", l)
	}
	if l := s.log(); l.HighWatermark != 0 || l.Replicas != 1 || l.InSync != 1 || l.MinInSync != 1 {
		s.Errorf("log: %+v, want it empty on one replica", l)
	}
}

func recreated(s *story) {
	before, err := s.topic.Describe(s.within())
	if err != nil {
		s.Fatal(err)
	}
	was, err := s.topic.Identity(s.within())
	if err != nil || was.ClusterID != before.ClusterID || was.TopicID != before.TopicID || was.Partitions != before.Partitions ||
		was.TopicID == "" || was.ClusterID == "" {
		s.Errorf("identity: %+v, %v; want that of the description %+v", was, err, before)
	}
	s.stores(0, 3)
	s.cluster.Recreate(s.T, s.name)
	s.eventually("identity of another topic", func() error {
		now, err := s.topic.Identity(s.within())
		switch {
		case err != nil:
			return err
		case now.TopicID == was.TopicID:
			return errors.New("the old id still")
		case now.ClusterID != was.ClusterID || now.TopicID == "":
			s.Fatalf("identity: %+v; want the cluster of %+v and another topic", now, was)
		}
		return nil
	})
	// What makes the id needed: the new topic takes the producer as it comes.
	_ = s.to.Close()
	s.to, s.end = nil, 0
	next := 3
	if s.cluster.BeginsAtZero {
		next = 0
	}
	s.eventually("append to the new topic", func() error {
		_, err := s.append(int32(next), lines(next, next+3))
		return err
	})
	s.finds(0, held(next, next+3, 0))
}

func missing(s *story) {
	topic := s.cluster.Open(s.T, "no-such-topic", "none")
	ctx := s.within()
	_, identity := topic.Identity(ctx)
	_, describe := topic.Describe(ctx)
	_, open := topic.Open(ctx, 0)
	_, producer := topic.Producer(ctx, 0, s.id)
	_, log := topic.Log(ctx, 0)
	_, scan := topic.Scan(ctx, 0, 0, s.id, 0, func(ship.Stored) error { return nil })
	_, partition := s.topic.Log(ctx, 77)
	for i, err := range []error{identity, describe, open, producer, log, scan, partition} {
		if s.cluster.Class(err) != ship.TopicMissing {
			s.Errorf("question %d about what does not exist: class %q, %v", i, s.cluster.Class(err), err)
		}
	}
}

func forgotten(s *story) {
	s.stores(0, 3)
	s.stores(3, 6)
	s.recalls(0, 5)
	s.cluster.Forget(s.T)
	s.eventually("the leader to forget", func() error {
		if s.producer().Known {
			return errors.New("known still")
		}
		return nil
	})
	s.finds(0, held(0, 6, 0)) // what is left to go by
	s.stores(0, 3)            // a duplicate
	got, _ := s.scan(0)
	if want := append(held(0, 6, 0), held(0, 3, 6)...); !slices.Equal(got, want) {
		s.Errorf("scan: %q, want the duplicate %q", got, want)
	}
}
