package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"eventline/internal/kafka/kafkatest"
)

var group = GroupConfig{Group: "bucketer", Topic: "events", CommitInterval: 50 * time.Millisecond}

func offsets(from, to int) []string {
	var want []string
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprintf(`%d:{"n":%d}`, i, i))
	}
	return want
}

const (
	up      = `connected=true class="" waits=false`
	away    = `connected=false class="unreachable" waits=true`
	missing = `connected=false class="topic_missing" waits=true`
)

func TestMemberGoesOnWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 2500)...)
	c := open(t, settings(f.Addr))

	first := &recorder{}
	r := join(t, c, group, first)
	kafkatest.WaitFor(t, "all records", func() bool { return first.count() >= 2500 })
	if err := r.end(); err != nil {
		t.Fatalf("RunGroup: %v", err)
	}
	if got := first.values(0); !slices.Equal(got, offsets(0, 2500)) {
		t.Errorf("first member got %d records, want 2500 in order", len(got))
	}
	if got := first.assigned[0]; !slices.Equal(got, []int64{0}) {
		t.Errorf("first claim begins at %v, want 0", got)
	}
	if first.holds() != 0 {
		t.Errorf("%d claims are not revoked", first.holds())
	}

	kafkatest.Produce(t, f.Addr, "events", 0, numbered(2500, 2510)...)
	second := &recorder{}
	r = join(t, c, group, second)
	kafkatest.WaitFor(t, "the new records", func() bool { return second.count() >= 10 })
	if err := r.end(); err != nil {
		t.Fatalf("RunGroup: %v", err)
	}
	if got := second.values(0); !slices.Equal(got, offsets(2500, 2510)) {
		t.Errorf("second member got %q, want only what came after", got)
	}
	if got := second.assigned[0]; !slices.Equal(got, []int64{2500}) {
		t.Errorf("second claim begins at %v, want 2500", got)
	}
}

func TestClaimBeginsWhereTheTopicBegins(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 10)...)
	kafkatest.DeleteBefore(t, f.Addr, "events", 0, 4)
	h := &recorder{}
	join(t, open(t, settings(f.Addr)), group, h)
	kafkatest.WaitFor(t, "the records left", func() bool { return h.count() >= 6 })
	if got := h.values(0); !slices.Equal(got, offsets(4, 10)) {
		t.Errorf("got %q", got)
	}
	if got := h.assigned[0]; !slices.Equal(got, []int64{4}) {
		t.Errorf("claim begins at %v, want 4", got)
	}
}

func TestKeysAndValuesKeepTheirNulls(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.ProduceRaw(t, f.Addr, "events", nil, nil)
	kafkatest.ProduceRaw(t, f.Addr, "events", []byte{}, []byte{})
	kafkatest.ProduceRaw(t, f.Addr, "events", []byte("k"), []byte("v"))
	var seen []string
	h := &recorder{on: func(_ context.Context, _ int32, recs []Record) error {
		for _, r := range recs {
			seen = append(seen, fmt.Sprintf("%v/%q %v/%q %v", r.Key == nil, r.Key, r.Value == nil, r.Value, time.Since(r.Time) < patience))
		}
		return nil
	}}
	r := join(t, open(t, settings(f.Addr)), group, h)
	kafkatest.WaitFor(t, "records", func() bool { return h.count() == 3 })
	_ = r.end()
	want := []string{`true/"" true/"" true`, `false/"" false/"" true`, `false/"k" false/"v" true`}
	if !slices.Equal(seen, want) {
		t.Errorf("records %q, want %q", seen, want)
	}
}

func TestWhatIsNotDoneIsNotCommitted(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 5)...)
	c := open(t, settings(f.Addr))

	// The output hangs: ctx must free it, and nothing may be committed.
	entered := make(chan struct{})
	r := join(t, c, group, &recorder{on: func(ctx context.Context, _ int32, _ []Record) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-entered
	if err := r.end(); err != nil {
		t.Fatalf("RunGroup: %v, want nil: its context ended", err)
	}

	// The output is broken: RunGroup ends with that error.
	broken := errors.New("stdout is gone")
	r = join(t, c, group, &recorder{on: func(context.Context, int32, []Record) error { return broken }})
	if err := r.wait(); !errors.Is(err, broken) {
		t.Fatalf("RunGroup: %v, want the handler's error", err)
	}

	h := &recorder{}
	join(t, c, group, h)
	kafkatest.WaitFor(t, "the records again", func() bool { return h.count() >= 5 })
	if got := h.values(0); !slices.Equal(got, offsets(0, 5)) {
		t.Errorf("got %q, want all: none was done before", got)
	}
}

func TestCommitsComeWhileConsuming(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 5)...)
	join(t, open(t, settings(f.Addr)), group, &recorder{})
	kafkatest.WaitFor(t, "a commit while the member lives", func() bool {
		return kafkatest.Committed(t, f.Addr, "bucketer", "events", 0) == 5
	})
}

func TestTwoMembersShareThePartitions(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 4)
	c := open(t, settings(f.Addr))
	const each = 200
	put := func(from, to int) {
		for p := range int32(4) {
			kafkatest.Produce(t, f.Addr, "events", p, numbered(from, to)...)
		}
	}
	put(0, each)
	a, b := &recorder{}, &recorder{}
	ra := join(t, c, group, a)
	kafkatest.WaitFor(t, "the first member to hold all", func() bool { return a.holds() == 4 && a.count() == 4*each })
	rb := join(t, c, group, b)
	kafkatest.WaitFor(t, "two claims each", func() bool { return a.holds() == 2 && b.holds() == 2 })
	put(each, 2*each)
	kafkatest.WaitFor(t, "the second lot", func() bool { return a.count()+b.count() == 8*each })
	if err := ra.end(); err != nil {
		t.Fatal(err)
	}
	kafkatest.WaitFor(t, "the second member to hold all", func() bool { return b.holds() == 4 })
	put(2*each, 3*each)
	kafkatest.WaitFor(t, "the third lot", func() bool { return a.count()+b.count() >= 12*each })
	if err := rb.end(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(4) {
		got := append(a.values(p), b.values(p)...)
		if !slices.Equal(got, offsets(0, 3*each)) {
			t.Errorf("partition %d: %d records, want each of %d once and in order: a clean hand-over commits before it lets go", p, len(got), 3*each)
		}
	}
}

func TestStaticMemberComesBackWithoutAWait(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 2)
	c := open(t, settings(f.Addr))
	static := group
	static.InstanceID = "host-1"
	for i := range 3 {
		kafkatest.Produce(t, f.Addr, "events", 1, numbered(i, i+1)...)
		h := &recorder{}
		r := join(t, c, static, h)
		kafkatest.WaitFor(t, "the next record", func() bool { return h.count() == 1 })
		if got := h.values(1); !slices.Equal(got, offsets(i, i+1)) {
			t.Errorf("start %d: got %q", i, got)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTakenInstanceIDIsNamed(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	static := group
	static.InstanceID = "host-1"
	a, b := &recorder{}, &recorder{}
	join(t, c, static, a)
	kafkatest.WaitFor(t, "the first member", func() bool { return a.holds() == 1 })
	join(t, c, static, b)
	kafkatest.WaitFor(t, "one of the two to complain", func() bool {
		for _, h := range []*recorder{a, b} {
			if err := h.err(); err != nil && strings.Contains(err.Error(), `instance id "host-1"`) {
				return true
			}
		}
		return false
	})
}

func TestProgressIsToldWhenIdle(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, numbered(0, 3)...)
	hold := make(chan struct{})
	h := &recorder{}
	h.on = func(context.Context, int32, []Record) error { <-hold; return nil }
	join(t, open(t, settings(f.Addr)), group, h)
	look := func() [2]int64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.progress[0]
	}
	kafkatest.WaitFor(t, "the lag before the first record", func() bool { return look() == [2]int64{0, 3} })
	close(hold)
	kafkatest.WaitFor(t, "no lag after the last", func() bool { return look() == [2]int64{3, 3} })
}

func TestNameThatKafkaForbidsIsNotRetried(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	bad := group
	bad.InstanceID = "a host with spaces"
	err := open(t, settings(f.Addr)).RunGroup(within(t), bad, &recorder{})
	wantClass(t, "RunGroup with a bad instance id", err, Invalid)
}

func TestEndOffsets(t *testing.T) {
	t.Parallel()
	f := kafkatest.Start(t, kfake.NumBrokers(1))
	kafkatest.CreateTopic(t, f.Addr, "events", 2)
	kafkatest.Produce(t, f.Addr, "events", 1, numbered(0, 3)...)
	ends, err := open(t, settings(f.Addr)).EndOffsets(within(t), "events")
	if err != nil || len(ends) != 2 || ends[0] != 0 || ends[1] != 3 {
		t.Errorf("EndOffsets: %v, %v; want 0:0 1:3", ends, err)
	}
}
