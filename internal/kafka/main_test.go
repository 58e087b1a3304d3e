package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take before a test gives up.
const patience = time.Minute

// settings reach one broker and are impatient, so that tests of failures are
// short.
func settings(addrs ...string) Config {
	cfg := DefaultConfig()
	cfg.Brokers = addrs
	cfg.Retry = Backoff{Initial: 20 * time.Millisecond, Max: 200 * time.Millisecond, Multiplier: 2}
	return cfg
}

// open returns a client that ends with the test.
func open(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := Open(cfg, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// wantClass fails unless err has the class.
func wantClass(t *testing.T, what string, err error, want Class) {
	t.Helper()
	if got := ClassOf(err); got != want {
		t.Fatalf("%s: class %q, want %q: %v", what, got, want, err)
	}
}

// result is what a done callback was told.
type result struct {
	base int64
	err  error
}

// producer appends batches to one partition and collects the answers.
type producer struct {
	t       *testing.T
	p       *Partition
	id      int64
	epoch   int16
	results chan result
}

func newProducer(t *testing.T, topic *Topic, partition int32) *producer {
	t.Helper()
	id, epoch, err := topic.ProducerID(within(t))
	if err != nil {
		t.Fatalf("ProducerID: %v", err)
	}
	pr := &producer{t: t, id: id, epoch: epoch, results: make(chan result, 100)}
	pr.open(topic, partition)
	return pr
}

func (pr *producer) open(topic *Topic, partition int32) {
	pr.t.Helper()
	p, err := topic.OpenPartition(within(pr.t), partition)
	if err != nil {
		pr.t.Fatalf("OpenPartition(%d): %v", partition, err)
	}
	pr.p = p
	pr.t.Cleanup(func() { _ = p.Close() })
}

// send appends without waiting.
func (pr *producer) send(first int32, lines ...string) {
	b := Batch{ProducerID: pr.id, Epoch: pr.epoch, FirstSequence: first, Time: time.Now()}
	for _, l := range lines {
		b.Lines = append(b.Lines, []byte(l))
	}
	pr.p.Append(b, func(base int64, err error) { pr.results <- result{base, err} })
}

// answer waits for the next answer.
func (pr *producer) answer() result {
	pr.t.Helper()
	select {
	case r := <-pr.results:
		return r
	case <-time.After(patience):
		pr.t.Fatal("no answer to Append")
		return result{}
	}
}

// append sends and wants an ack with that offset.
func (pr *producer) append(first int32, wantBase int64, lines ...string) {
	pr.t.Helper()
	pr.send(first, lines...)
	if r := pr.answer(); r.err != nil || r.base != wantBase {
		pr.t.Fatalf("append of sequence %d: base %d, %v; want base %d", first, r.base, r.err, wantBase)
	}
}

// numbered makes lines from..to-1.
func numbered(from, to int) []string {
	var lines []string
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf(`{"n":%d}`, i))
	}
	return lines
}
