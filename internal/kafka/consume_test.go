package kafka

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"eventline/internal/kafka/kafkatest"
)

func TestConsumeFromBeginningReadsEveryPartition(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 2)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 300)...)
	kafkatest.Produce(t, f.Addr, "events", 1, numbered(0, 300)...)
	got := map[int32][]string{}
	enough := errors.New("enough")
	n := 0
	err := open(t, settings(f.Addr)).Consume(within(t), "events", true, func(r Record) error {
		got[r.Partition] = append(got[r.Partition], string(r.Value))
		if n++; n == 600 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("Consume: %v, want the callback's error", err)
	}
	for p := range int32(2) {
		if !slices.Equal(got[p], numbered(0, 300)) {
			t.Errorf("partition %d: %d records, want 300 in order", p, len(got[p]))
		}
	}
}

func TestConsumeFromEndSeesOnlyWhatComes(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, "before")
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	var first atomic.Pointer[string]
	go func() {
		done <- open(t, settings(f.Addr)).Consume(ctx, "events", false, func(r Record) error {
			v := string(r.Value)
			first.CompareAndSwap(nil, &v)
			return nil
		})
	}()
	kafkatest.WaitFor(t, "a record", func() bool {
		kafkatest.Produce(t, f.Addr, "events", 0, "after")
		return first.Load() != nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Consume whose context ended: %v, want nil", err)
	}
	if *first.Load() != "after" {
		t.Errorf("first record %q, want one that came after the start", *first.Load())
	}
}

func TestConsumeOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, "before")
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	done := make(chan error, 1)
	seen := make(chan string, 10)
	go func() {
		done <- open(t, settings(f.Addr)).Consume(ctx, "events", true, func(r Record) error {
			seen <- string(r.Value)
			return nil
		})
	}()
	if got := <-seen; got != "before" {
		t.Fatalf("first record %q", got)
	}
	f.Stop()
	f.Start()
	kafkatest.Produce(t, f.Addr, "events", 0, "after")
	if got := <-seen; got != "after" {
		t.Errorf("record after the restart %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Consume: %v", err)
	}
}

func TestConsumeOfAMissingTopic(t *testing.T) {
	f := kafkatest.Start(t)
	err := open(t, settings(f.Addr)).Consume(within(t), "events", true, func(Record) error { return nil })
	wantClass(t, "Consume", err, TopicMissing)
}
