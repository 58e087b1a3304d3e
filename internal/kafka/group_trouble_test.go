package kafka

import (
	"slices"
	"strings"
	"testing"
	"time"

	"eventline/internal/kafka/kafkatest"
)

func TestMemberOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 3)...)
	h := &recorder{}
	static := group
	static.InstanceID = "host-1" // a dynamic one waits until the broker forgets its old self
	r := join(t, open(t, settings(f.Addr)), static, h)
	kafkatest.WaitFor(t, "the first records", func() bool { return h.count() == 3 })
	kafkatest.WaitFor(t, "a commit", func() bool { return kafkatest.Committed(t, f.Addr, "bucketer", "events", 0) == 3 })
	f.Stop()
	kafkatest.WaitFor(t, "the loss to be noticed", func() bool { return h.said(away) })
	if err := h.err(); !strings.Contains(err.Error(), f.Addr) {
		t.Errorf("State error %q does not name the address", err)
	}
	f.Start()
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(3, 6)...)
	kafkatest.WaitFor(t, "the records after", func() bool { return h.count() >= 6 })
	kafkatest.WaitFor(t, "to be connected again", func() bool { return h.err() == nil })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if got := h.values(0); !slices.Equal(got, offsets(0, 6)) {
		t.Errorf("got %q", got)
	}
}

func TestMissingTopicIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	h := &recorder{}
	join(t, open(t, settings(f.Addr)), group, h)
	kafkatest.WaitFor(t, "the missing topic to be told", func() bool { return h.said(missing) })
	if err := h.err(); !strings.Contains(err.Error(), "eventline topics create --topic events") {
		t.Errorf("State error %q does not name the remedy", err)
	}
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 1)...)
	kafkatest.WaitFor(t, "the first record", func() bool { return h.count() == 1 })
	if !h.said(up) {
		t.Error("State was never told of the connection")
	}
}

func TestBrokerThatComesLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	f.Stop()
	h := &recorder{}
	join(t, open(t, settings(f.Addr)), group, h)
	kafkatest.WaitFor(t, "the missing broker to be told", func() bool { return h.said(away) })
	f.Start()
	kafkatest.WaitFor(t, "the connection", func() bool { return h.said(up) })
}

func TestMemberEndsAtOnceWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	h := &recorder{}
	cfg := settings(f.Addr)
	cfg.Retry = Backoff{Initial: time.Hour, Max: time.Hour, Multiplier: 1}
	r := join(t, open(t, cfg), group, h)
	kafkatest.WaitFor(t, "the connection", func() bool { return h.said(up) })
	f.Stop()
	kafkatest.WaitFor(t, "the loss to be noticed", func() bool { return h.said(away) })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
}

func TestOffsetThatRetentionOvertookIsReported(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 10)...)
	c := open(t, settings(f.Addr))
	r := join(t, c, group, &recorder{})
	kafkatest.WaitFor(t, "a commit", func() bool { return kafkatest.Committed(t, f.Addr, "bucketer", "events", 0) == 10 })
	_ = r.end()
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(10, 20)...)
	kafkatest.DeleteBefore(t, f.Addr, "events", 0, 15)

	h := &recorder{}
	join(t, c, group, h)
	kafkatest.WaitFor(t, "the loss to be told", func() bool {
		err := h.err()
		return err != nil && strings.Contains(err.Error(), "--reset-offsets")
	})
	if h.count() != 0 {
		t.Errorf("%d records were handed over past a gap nobody was asked about", h.count())
	}
}
