package logship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/kafka"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/ship"
)

// routeTo opens a route to the topic events.
func routeTo(t *testing.T, addr string) *route {
	t.Helper()
	cfg := kafka.DefaultConfig()
	cfg.Brokers = []string{addr}
	client, err := kafka.Open(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return newRoute(client.Topic("events", kafka.ProduceOptions{}), func(int) time.Duration { return time.Hour })
}

// asked counts the requests of a kind that reach the broker.
func asked(k *kafkatest.Fake, key kmsg.Key) *atomic.Int64 {
	n := new(atomic.Int64)
	k.Cluster().ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().KeepControl()
		n.Add(1)
		return nil, nil, false
	})
	return n
}

func TestTopicIsDescribedOnceForAll(t *testing.T) {
	k := fakeBroker(t)
	configs := asked(k, kmsg.DescribeConfigs)
	r := routeTo(t, k.Addr)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if d, err := r.Describe(t.Context()); d.Partitions != 1 || err != nil {
				t.Errorf("describe: got %+v, %v", d, err)
			}
		})
	}
	all.Wait()
	if n := configs.Load(); n != 1 {
		t.Errorf("the broker was asked %d times, want once", n)
	}
}

func TestFailureToDescribeIsSharedForAWhile(t *testing.T) {
	k := kafkatest.Start(t) // without the topic
	metadata := asked(k, kmsg.Metadata)
	r := routeTo(t, k.Addr)
	for range 50 {
		if _, err := r.Describe(t.Context()); classOf(err) != ship.TopicMissing {
			t.Fatalf("describe: got %v, want that the topic is missing", err)
		}
	}
	if n := metadata.Load(); n != 1 {
		t.Errorf("the broker was asked %d times, want once", n)
	}
	// Who gives up says nothing about the topic.
	r.described.until = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Describe(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("describe: got %v, want that it was given up", err)
	}
	if classOf(r.described.err) != ship.TopicMissing {
		t.Errorf("kept %v of who gave up", r.described.err)
	}
}

// send appends one line and returns what became of it.
func send(a ship.Appender, id int64, sequence int32) error {
	done := make(chan error, 1)
	a.Append(ship.Batch{ProducerID: id, FirstSequence: sequence, Time: time.Now(), Lines: [][]byte{[]byte("x")}}, func(_ int64, err error) { done <- err })
	return <-done
}

func TestConnectionIsSharedAndEndsWithItsLastUser(t *testing.T) {
	k := fakeBroker(t)
	r := routeTo(t, k.Addr)
	var users []ship.Appender
	for range 10 {
		a, err := r.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, a)
	}
	link := r.links[0]
	for i, a := range users {
		if err := send(a, int64(1000+i), 0); err != nil {
			t.Errorf("append: %v", err)
		}
		if a.(*appender).link != link {
			t.Error("a user has a connection of its own")
		}
	}
	for i, a := range users {
		if r.links[0] != link {
			t.Errorf("the connection ended before its last user, after %d", i)
		}
		if err := errors.Join(a.Close(), a.Close()); err != nil {
			t.Error(err)
		}
	}
	if len(r.links) != 0 {
		t.Error("the connection outlives its last user")
	}
	if err := send(users[0], 1000, 1); err == nil {
		t.Error("append after close: got nil")
	}
}

// Who has found that a connection is of an earlier epoch of the leader gets another one,
// and so does who comes next, though the others go on over the first.
func TestConnectionThatIsRetiredIsGivenToNobody(t *testing.T) {
	k := fakeBroker(t)
	r := routeTo(t, k.Addr)
	open := func() *appender {
		a, err := r.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.(*appender)
	}
	a, b := open(), open()
	a.Retire()
	_ = a.Close()
	c, d := open(), open()
	if c.link == b.link || d.link != c.link {
		t.Errorf("connections: the retired one %p, then %p and %p", b.link, c.link, d.link)
	}
	for i := range int32(3) {
		if err := errors.Join(send(b, 1000, i), send(c, 2000, i), send(d, 3000, i)); err != nil {
			t.Fatal(err)
		}
	}
	b.Retire() // it was before
	if e := open(); e.link != c.link {
		t.Error("the newer connection was retired with the older one")
	} else {
		_ = e.Close()
	}
	for _, x := range []*appender{b, c, d} {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(r.links) != 0 {
		t.Error("a connection outlives its last user")
	}
}

// What the broker says of one log's batch says nothing of another's.
func TestRefusalOfOneIsNotTakenForAnothers(t *testing.T) {
	k := fakeBroker(t)
	r := routeTo(t, k.Addr)
	a, errA := r.Open(t.Context(), 0)
	b, errB := r.Open(t.Context(), 0)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	for i := range int32(3) {
		if err := errors.Join(send(a, 1000, i), send(b, 2000, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(a, 1000, 77); classOf(err) != ship.OutOfOrder {
		t.Fatalf("append out of order: got %v", err)
	}
	if err := send(b, 2000, 3); classOf(err) != ship.Stale {
		t.Errorf("another's append after it: got %v, want only that the connection is gone", err)
	}
	_, _ = a.Close(), b.Close()
	b, err := r.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := send(b, 2000, 3); err != nil {
		t.Errorf("append over the next connection: %v", err)
	}
	_ = b.Close()
}

// Errors of every kind at random, for many logs on shared connections: each line
// comes once, in the order of its log, and nothing is taken for too large that is
// not.
func TestManyLogsOnFaultyConnections(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	codes := []int16{kerr.NotLeaderForPartition.Code, kerr.NotEnoughReplicas.Code, kerr.RequestTimedOut.Code}
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(1, 2))
	k.Cluster().ControlKey(kmsg.Produce.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().KeepControl()
		mu.Lock()
		defer mu.Unlock()
		switch dice := rnd.IntN(20); {
		case dice == 0:
			return nil, errors.New("connection lost"), true
		case dice < 3:
			produce := req.(*kmsg.ProduceRequest)
			resp := produce.ResponseKind().(*kmsg.ProduceResponse)
			for _, topic := range produce.Topics {
				rt := kmsg.NewProduceResponseTopic()
				rt.Topic = topic.Topic
				for _, p := range topic.Partitions {
					rp := kmsg.NewProduceResponseTopicPartition()
					rp.Partition, rp.ErrorCode = p.Partition, codes[rnd.IntN(len(codes))]
					rt.Partitions = append(rt.Partitions, rp)
				}
				resp.Topics = append(resp.Topics, rt)
			}
			return resp, nil, true
		}
		return nil, nil, false
	})
	l.start()
	want := make(map[string]int)
	for i := range 30 {
		for j := range 12 {
			name := fmt.Sprintf("%02d.log", j)
			l.add(name, i*10, i*10+10)
			want[name] = i*10 + 10
		}
	}
	l.wants(k, want)
	if n := l.said.count("quarantine"); n > 0 {
		t.Errorf("%d lines in quarantine, want none", n)
	}
}
