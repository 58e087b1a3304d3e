package kafka

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/kafka/kafkatest"
)

func TestEveryCodecStoresTheSameRecords(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	lines := []string{`{"a":1}`, "", "not json \x00\xff", strings.Repeat("x", 70_000)}
	for _, codec := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			name := "events-" + codec.String()
			kafkatest.CreateTopic(t, f.Addr, name, 1)
			pr := newProducer(t, c.Topic(name, ProduceOptions{Compression: codec}), 0)
			at := time.Now().Truncate(time.Millisecond)
			pr.append(0, 0, lines...)
			pr.append(4, 4, "another size of batch")

			recs := kafkatest.Records(t, f.Addr, name)[0]
			for i, r := range recs {
				if r.Key != nil {
					t.Errorf("record %d: key %q, want a null one", i, r.Key)
				}
				if r.Value == nil {
					t.Errorf("record %d: null value: an empty line is not a tombstone", i)
				}
				if d := r.Timestamp.Sub(at); d < 0 || d > patience {
					t.Errorf("record %d: timestamp %s, want that of the batch, about %s", i, r.Timestamp, at)
				}
			}
			if got, want := kafkatest.Values(t, f.Addr, name, 0), append(slices.Clone(lines), "another size of batch"); !slices.Equal(got, want) {
				t.Errorf("topic holds %d records unlike the %d sent", len(got), len(want))
			}
		})
	}
}

func TestCompressionLevelIsUsed(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	pr := newProducer(t, c.Topic("events", ProduceOptions{Compression: Zstd, Level: 19}), 0)
	pr.append(0, 0, numbered(0, 1000)...)
	if got := kafkatest.Values(t, f.Addr, "events", 0); !slices.Equal(got, numbered(0, 1000)) {
		t.Errorf("topic holds %d records unlike the 1000 sent", len(got))
	}
}

func TestDuplicateBatchIsAnAckWithTheOldOffset(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	topic := c.Topic("events", ProduceOptions{})
	pr := newProducer(t, topic, 0)
	pr.append(0, 0, numbered(0, 3)...)
	pr.append(3, 3, numbered(3, 6)...)
	pr.append(0, 0, numbered(0, 3)...)

	// The same from another connection, as after a lost answer.
	pr.open(topic, 0)
	pr.append(3, 3, numbered(3, 6)...)
	pr.append(6, 6, numbered(6, 7)...)
	if got := kafkatest.Values(t, f.Addr, "events", 0); !slices.Equal(got, numbered(0, 7)) {
		t.Errorf("topic holds %q, want each line once", got)
	}
}

func TestGapIsRefusedAndEndsTheConnection(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	topic := c.Topic("events", ProduceOptions{})
	pr := newProducer(t, topic, 0)
	pr.append(0, 0, numbered(0, 3)...)
	pr.send(5, "after a gap")
	r := pr.answer()
	wantClass(t, "gap in the sequence", r.err, OutOfOrder)
	if e := new(Error); errors.As(r.err, &e) && e.Definite() {
		t.Errorf("%v is called definite, but says nothing about the records", r.err)
	}
	// The right one would be taken by the broker. It must not be sent: the
	// caller has to find out first what is in.
	pr.send(3, "right, but too late")
	if r := pr.answer(); r.err == nil {
		t.Error("Append after an error succeeded")
	}
	pr.open(topic, 0)
	pr.append(3, 3, numbered(3, 4)...)
	if got := kafkatest.Values(t, f.Addr, "events", 0); !slices.Equal(got, numbered(0, 4)) {
		t.Errorf("topic holds %q", got)
	}
}

func TestAnswersComeInTheOrderOfTheCalls(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	pr := newProducer(t, c.Topic("events", ProduceOptions{Compression: LZ4}), 0)
	const batches = 200
	go func() {
		for i := range batches {
			pr.send(int32(i), numbered(i, i+1)...)
		}
	}()
	for i := range batches {
		if r := pr.answer(); r.err != nil || r.base != int64(i) {
			t.Fatalf("answer %d: base %d, %v", i, r.base, r.err)
		}
	}
}

func TestOversizedBatchIsDefinite(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1, "max.message.bytes", "1000")
	c := open(t, settings(f.Addr))
	topic := c.Topic("events", ProduceOptions{})
	d, err := topic.Describe(within(t))
	if err != nil || d.MaxBytes != 1000 {
		t.Fatalf("Describe: %+v, %v; want 1000 bytes", d, err)
	}
	pr := newProducer(t, topic, 0)
	pr.send(0, strings.Repeat("x", 2000))
	r := pr.answer()
	wantClass(t, "batch over the limit", r.err, TooLarge)
	if e := new(Error); !errors.As(r.err, &e) || !e.Definite() {
		t.Errorf("%v is not definite", r.err)
	}
}

func TestMaxMessageBytesIsKafkasDefault(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	d, err := open(t, settings(f.Addr)).Topic("events", ProduceOptions{}).Describe(within(t))
	if err != nil || d.MaxBytes != 1048588 {
		t.Errorf("Describe: %+v, %v; want 1048588 bytes", d, err)
	}
}

func TestProducerIDWaitsForALoadingCoordinator(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	refused := 0
	f.Cluster().ControlKey(int16(kmsg.InitProducerID), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if refused++; refused > 2 {
			return nil, nil, false
		}
		f.Cluster().KeepControl()
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		resp.ProducerID = -1
		return resp, nil, true
	})
	id, _, err := c.Topic("events", ProduceOptions{}).ProducerID(within(t))
	if err != nil || id < 0 {
		t.Errorf("ProducerID: %d, %v; want one after the coordinator has loaded", id, err)
	}
	if refused != 3 {
		t.Errorf("asked %d times, want 3", refused)
	}
}

func TestProducerIDBelowZeroIsNeverHandedOn(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	cfg := settings(f.Addr)
	cfg.RequestTimeout = 300 * time.Millisecond
	c := open(t, cfg)
	f.Cluster().ControlKey(int16(kmsg.InitProducerID), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.Cluster().KeepControl()
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID = -1 // and no error
		return resp, nil, true
	})
	topic := c.Topic("events", ProduceOptions{})
	if id, _, err := topic.ProducerID(within(t)); err == nil {
		t.Errorf("ProducerID: %d without an error", id)
	}
	pr := &producer{t: t, id: -1, results: make(chan result, 1)}
	pr.open(topic, 0)
	pr.send(0, "unguarded")
	wantClass(t, "append without a producer id", pr.answer().err, Invalid)
}

func TestMissingTopicIsNamedAndNotCreated(t *testing.T) {
	f := kafkatest.Start(t, kfake.AllowAutoTopicCreation())
	c := open(t, settings(f.Addr))
	topic := c.Topic("events", ProduceOptions{})
	for range 2 {
		_, err := topic.Describe(within(t))
		wantClass(t, "Partitions of a missing topic", err, TopicMissing)
		if want := "eventline topics create --topic events"; !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name the remedy %q", err, want)
		}
	}
	_, err := topic.OpenPartition(within(t), 0)
	wantClass(t, "OpenPartition of a missing topic", err, TopicMissing)

	kafkatest.CreateTopic(t, f.Addr, "events", 3)
	if d, err := topic.Describe(within(t)); err != nil || d.Partitions != 3 {
		t.Errorf("Describe after it appeared: %+v, %v; want 3 partitions", d, err)
	}
	_, err = topic.OpenPartition(within(t), 3)
	wantClass(t, "OpenPartition of a missing partition", err, TopicMissing)
}

func TestBrokerThatStopsFailsWhatIsInFlight(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	topic := c.Topic("events", ProduceOptions{})
	pr := newProducer(t, topic, 0)
	pr.append(0, 0, numbered(0, 2)...)
	f.Stop()
	pr.send(2, numbered(2, 3)...)
	pr.send(3, numbered(3, 4)...)
	for range 2 {
		wantClass(t, "append to a stopped broker", pr.answer().err, Unreachable)
	}
	_, err := topic.OpenPartition(within(t), 0)
	wantClass(t, "open at a stopped broker", err, Unreachable)
	if want := f.Addr; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not name the address %s", err, want)
	}

	f.Start()
	pr.open(topic, 0)
	pr.append(0, 0, numbered(0, 2)...) // a duplicate
	pr.append(2, 2, numbered(2, 4)...)
	if got := kafkatest.Values(t, f.Addr, "events", 0); !slices.Equal(got, numbered(0, 4)) {
		t.Errorf("topic holds %q", got)
	}
}

func TestCloseEndsWithEveryAnswerGiven(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	c := open(t, settings(f.Addr))
	pr := newProducer(t, c.Topic("events", ProduceOptions{}), 0)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	f.Cluster().ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.Cluster().SleepControl(func() { <-hold })
		return nil, nil, false
	})
	for i := range 3 {
		pr.send(int32(i), "x")
	}
	if err := pr.p.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for i := range 3 {
		select {
		case r := <-pr.results:
			wantClass(t, "append under way at Close", r.err, Unreachable)
		default:
			t.Fatalf("Close returned before answer %d", i)
		}
	}
	pr.send(3, "after Close")
	if r := pr.answer(); !errors.Is(r.err, net.ErrClosed) {
		t.Errorf("append after Close: %v, want net.ErrClosed", r.err)
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	asked := make(chan struct{}, 1)
	f.Cluster().ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		asked <- struct{}{}
		f.Cluster().SleepControl(func() { <-hold })
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.Topic("events", ProduceOptions{}).Describe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Partitions with an ended context: %v, want context.Canceled", err)
	}
}

func TestClosedClientRefusesWork(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Topic("events", ProduceOptions{}).Describe(within(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Partitions of a closed client: %v, want net.ErrClosed", err)
	}
	if err := c.RunGroup(within(t), GroupConfig{Group: "g", Topic: "events"}, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("RunGroup of a closed client: %v, want net.ErrClosed", err)
	}
}
