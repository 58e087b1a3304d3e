// Package shiptest holds every ship.Topic to the facts that exactly once rests on:
// what a leader takes of a producer, what it refuses, what it remembers, and what can
// be read back. The facts were measured on Kafka 3.6.2 and 4.2.0; a topic that passes
// may stand in for them.
package shiptest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"eventline/internal/ship"
)

// patience is how long anything may take before a test gives up.
const patience = time.Minute

// Cluster is what is behind a topic, and what a test does to it.
type Cluster struct {
	// Create makes a topic, of one partition and with settings in pairs, and returns
	// when it has a leader.
	Create func(t *testing.T, topic string, settings ...string)
	// Open reaches a topic, which need not exist, through the implementation under
	// test. Its batches are compressed by the codec named: none, gzip, snappy, lz4, zstd.
	Open func(t *testing.T, topic, codec string) ship.Topic
	// Class sorts the errors of the implementation.
	Class func(error) string

	// Recreate deletes a topic and makes another one of the same name.
	Recreate func(t *testing.T, topic string)
	// DeleteBefore deletes the records below an offset.
	DeleteBefore func(t *testing.T, topic string, offset int64)
	// Restart ends the broker, as hard as it can be ended, and starts it again on what
	// it left.
	Restart func(t *testing.T)
	// Forget makes the leaders forget the producer ids that have been idle for a
	// second or so, and returns before they have. Nil: the broker never does.
	Forget func(t *testing.T)

	// Recalls says that Producer tells of idempotent producers. kfake tells only of
	// transactional ones: it says of all others that it knows nothing.
	Recalls bool
	// BeginsAtZero says that a producer that the leader does not know has to begin with
	// sequence 0, as before Kafka 2.5 (KIP-360) and in kfake. Kafka takes any.
	BeginsAtZero bool
	// RemembersOne says that after a Restart only the last batch is recognised when it
	// comes again, as Kafka's snapshots have it.
	RemembersOne bool
}

// Conform tests all facts, each with a topic of its own.
func Conform(t *testing.T, c Cluster) {
	for i, f := range facts {
		t.Run(f.name, func(t *testing.T) {
			s := newStory(t, c, fmt.Sprintf("fact-%d", i))
			if f.takes != nil && !f.takes(c) {
				t.Log("does not hold for this cluster; what does is tested instead")
				f.without(s)
				return
			}
			f.test(s)
		})
	}
}

// story is one producer's way through a test.
type story struct {
	*testing.T
	cluster Cluster
	name    string // of the topic
	topic   ship.Topic
	id      int64
	epoch   int16
	to      ship.Appender // nil after an error
	end     int64         // of the log, as far as this story knows
}

func newStory(t *testing.T, c Cluster, name string, settings ...string) *story {
	t.Helper()
	c.Create(t, name, settings...)
	s := &story{T: t, cluster: c, name: name, topic: c.Open(t, name, "none")}
	s.begin()
	return s
}

// within ends with the test's patience.
func (s *story) within() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

// begin gets a producer id.
func (s *story) begin() {
	s.Helper()
	id, epoch, err := s.topic.ProducerID(s.within())
	if err != nil {
		s.Fatalf("producer id: %v", err)
	}
	s.id, s.epoch = id, epoch
}

// eventually calls fn until it succeeds: a broker that has just started does not know
// its leaders yet.
func (s *story) eventually(what string, fn func() error) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func lines(from, to int) [][]byte {
	var l [][]byte
	for i := from; i < to; i++ {
		l = append(l, fmt.Appendf(nil, "line %d", i))
	}
	return l
}

// append sends lines and returns what became of them.
func (s *story) append(first int32, l [][]byte) (int64, error) {
	s.Helper()
	if s.to == nil {
		s.eventually("open", func() (err error) {
			s.to, err = s.topic.Open(s.within(), 0)
			return err
		})
		to := s.to
		s.Cleanup(func() { _ = to.Close() })
	}
	type result struct {
		base int64
		err  error
	}
	done := make(chan result, 1)
	s.to.Append(ship.Batch{ProducerID: s.id, Epoch: s.epoch, FirstSequence: first, Time: time.Now(), Lines: l},
		func(base int64, err error) { done <- result{base, err} })
	select {
	case r := <-done:
		if r.err != nil {
			_ = s.to.Close()
			s.to = nil
		}
		return r.base, r.err
	case <-time.After(patience):
		s.Fatalf("append of sequence %d: no answer", first)
		return 0, nil
	}
}

// stores wants the lines from..to-1 taken at the end of the log, with their numbers
// for sequences.
func (s *story) stores(from, to int) {
	s.Helper()
	base, err := s.append(int32(from), lines(from, to))
	if err != nil || base != s.end {
		s.Fatalf("append of %d to %d: offset %d, %v; want it at %d", from, to-1, base, err, s.end)
	}
	s.end += int64(to - from)
}

// knows wants the batch recognised as the one that is there at base. A leader may
// leave out where.
func (s *story) knows(from, to int, base int64) {
	s.Helper()
	got, err := s.append(int32(from), lines(from, to))
	if err != nil || got != base && got != -1 {
		s.Errorf("append of %d to %d again: offset %d, %v; want the ack of the one at %d", from, to-1, got, err, base)
	}
}

// refuses wants the batch refused, and the log as it was.
func (s *story) refuses(class string, from int32, l [][]byte) {
	s.Helper()
	if base, err := s.append(from, l); s.cluster.Class(err) != class {
		s.Errorf("append of %d lines from sequence %d: offset %d, class %q (%v); want %q", len(l), from, base, s.cluster.Class(err), err, class)
	}
	if got := s.log().HighWatermark; got != s.end {
		s.Errorf("log ends at %d after a refusal, want %d", got, s.end)
	}
}

func (s *story) log() (l ship.Log) {
	s.Helper()
	s.eventually("log", func() (err error) {
		l, err = s.topic.Log(s.within(), 0)
		return err
	})
	return l
}

// recalls wants the leader to tell the last sequence of the story's producer, or to
// know nothing where it never tells.
func (s *story) recalls(epoch int16, last int32) {
	s.Helper()
	want := ship.Producer{Known: true, Epoch: epoch, LastSequence: last}
	if !s.cluster.Recalls {
		want = ship.Producer{}
	}
	got := s.producer()
	if got.Known && s.cluster.Recalls && got.LastTimestamp <= 0 {
		s.Errorf("leader does not tell when the last batch was sent: %+v", got)
	}
	if got.LastTimestamp = 0; got != want {
		s.Errorf("leader tells of the producer %+v, want %+v", got, want)
	}
}

func (s *story) producer() (p ship.Producer) {
	s.Helper()
	s.eventually("producer", func() (err error) {
		p, err = s.topic.Producer(s.within(), 0, s.id)
		return err
	})
	return p
}

// scan collects what a scan hands out, as "sequence@offset:line".
func (s *story) scan(from int64) ([]string, ship.Log) {
	s.Helper()
	var got []string
	var l ship.Log
	s.eventually("scan", func() (err error) {
		got = nil
		l, err = s.topic.Scan(s.within(), 0, from, s.id, s.epoch, func(r ship.Stored) error {
			for i, line := range r.Lines {
				got = append(got, fmt.Sprintf("%d@%d:%s", int32((int64(r.FirstSequence)+int64(i))&(1<<31-1)), r.BaseOffset+int64(i), line))
			}
			return nil
		})
		return err
	})
	return got, l
}

// finds wants a scan to hand out exactly that.
func (s *story) finds(from int64, want []string) ship.Log {
	s.Helper()
	got, l := s.scan(from)
	if !slices.Equal(got, want) {
		s.Errorf("scan from offset %d:\n got %q\nwant %q", from, got, want)
	}
	return l
}

// held is what a scan hands out for the lines from..to-1 that lie at base.
func held(from, to int, base int64) []string {
	var h []string
	for i := from; i < to; i++ {
		h = append(h, fmt.Sprintf("%d@%d:line %d", i, base+int64(i-from), i))
	}
	return h
}
