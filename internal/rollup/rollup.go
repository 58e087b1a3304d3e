// Package rollup is bucketer's work on the records of a topic: read each as an
// event, find its bucket, give the decision out, and only then let its offset be
// committed. A crash repeats decisions and never leaves one out.
//
// What is not an event is counted by reason and said at a bounded rate; nothing
// in a record can stop the work. Output that can't be written for now, such as to
// a full disk, stops it until it can.
package rollup

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"eventline/internal/classify"
	"eventline/internal/event"
	"eventline/internal/kafka"
)

// Sink takes decisions. It is used from several goroutines.
type Sink interface {
	// Write returns when the decisions are out, and how many: all of them unless
	// there is an error. It must not keep lines. After an error it is called
	// again with those that are not out.
	Write(lines []event.Line) (int, error)
}

// Options is what a Rollup works with.
type Options struct {
	Topic string
	Table *classify.Table
	Names event.Names
	// Keep chooses the decisions that go to Sink; it may reuse the slice.
	Keep func(lines []event.Line, now time.Time) []event.Line
	Sink Sink
	// Once maps partitions to the offsets at which each is done; nil never ends.
	Once map[int32]int64
	// Changed is told the state of the connection, one call at a time.
	Changed func(connected bool, err error, retryIn time.Duration)
	// Delay is the wait after the n-th failure in a row to give decisions out,
	// counted from 1.
	Delay func(n int) time.Duration
	// Blocked is told why decisions can't be given out and when that is tried
	// again, and nil when they can. Partitions call it side by side.
	Blocked    func(err error, retryIn time.Duration)
	Log        zerolog.Logger
	Registerer prometheus.Registerer
}

// Rollup handles what a consumer group assigns. Its methods are those of
// kafka.GroupHandler.
type Rollup struct {
	o       Options
	metrics *metrics
	bad     *rejections
	blocked atomic.Bool // Options.Blocked was told of trouble

	mu    sync.Mutex
	tasks map[int32]*task
	left  map[int32]int64 // partitions that Once waits for
	done  chan struct{}   // closed when none is left
}

// task is one partition's scratch: its records come from one goroutine.
type task struct {
	decoder *event.Decoder
	lines   []event.Line
	ids     []byte // of lines whose id is not a part of the record
}

var _ kafka.GroupHandler = (*Rollup)(nil)

// New makes a Rollup.
func New(o Options) *Rollup {
	r := &Rollup{
		o: o, metrics: newMetrics(o.Registerer, o.Topic, o.Table.Labels()), tasks: make(map[int32]*task),
		done: make(chan struct{}),
	}
	r.bad = newRejections(o.Log, r.metrics)
	if o.Once != nil {
		r.left = make(map[int32]int64)
		for p, end := range o.Once {
			r.left[p] = end
		}
	}
	return r
}

// Done is closed when every partition of Options.Once has been read to its
// offset.
func (r *Rollup) Done() <-chan struct{} { return r.done }

// Assigned takes a partition on.
func (r *Rollup) Assigned(partition int32, next int64) {
	r.mu.Lock()
	r.tasks[partition] = &task{decoder: event.NewDecoder(r.o.Names)}
	r.mu.Unlock()
	r.metrics.assigned(partition)
	r.o.Log.Info().Str("topic", r.o.Topic).Int32("partition", partition).Int64("offset", next).Msg("partition assigned")
	r.reached(partition, next)
}

// Revoked gives a partition up.
func (r *Rollup) Revoked(partition int32) {
	r.mu.Lock()
	delete(r.tasks, partition)
	r.mu.Unlock()
	r.metrics.revoked(partition)
	r.o.Log.Info().Str("topic", r.o.Topic).Int32("partition", partition).Msg("partition revoked")
}

// Records decides on records and gives the decisions out. It waits for as long as
// that is not possible, at most until ctx is done.
func (r *Rollup) Records(ctx context.Context, partition int32, recs []kafka.Record) error {
	r.mu.Lock()
	t := r.tasks[partition]
	r.mu.Unlock()
	if t == nil {
		return fmt.Errorf("handle records of partition %d: it is not assigned", partition)
	}
	now := time.Now()
	r.decide(t, partition, recs, now)
	r.metrics.consumed(partition, len(recs))
	if err := r.give(ctx, r.o.Keep(t.lines, now)); err != nil {
		return err
	}
	r.reached(partition, recs[len(recs)-1].Offset+1)
	return nil
}

// decide fills t.lines with the decisions on recs.
func (r *Rollup) decide(t *task, partition int32, recs []kafka.Record, now time.Time) {
	t.lines, t.ids = t.lines[:0], t.ids[:0]
	for i := range recs {
		rec := &recs[i]
		fields, reason := t.decoder.Decode(rec.Value)
		if reason != event.Accepted {
			r.bad.note(reason, partition, rec.Offset, now)
			continue
		}
		bucket := r.o.Table.Bucket(fields.Price.Float())
		r.metrics.processed[bucket].Inc()
		t.lines = append(t.lines, event.Line{
			Topic: r.o.Topic, Partition: partition, Offset: rec.Offset, Key: rec.Key,
			Bucket: r.o.Table.Label(bucket), ID: t.keepID(fields.ID), Price: fields.Price,
		})
	}
}

// keepID copies an id, which is valid only until the next Decode.
func (t *task) keepID(id []byte) []byte {
	from := len(t.ids)
	t.ids = append(t.ids, id...)
	return t.ids[from:len(t.ids):len(t.ids)]
}

// Progress takes note of the lag.
func (r *Rollup) Progress(partition int32, next, end int64) {
	if next >= 0 && end >= 0 {
		r.metrics.lag(partition, max(0, end-next))
	}
	r.reached(partition, next)
	// It comes every other second, records or not, and so keeps time.
	r.bad.say(time.Now(), false)
}

// State takes note of the connection.
func (r *Rollup) State(connected bool, err error, retryIn time.Duration) {
	r.metrics.connection(connected)
	r.o.Changed(connected, err, retryIn)
}

// reached ends a Once when the last partition has come to its end.
func (r *Rollup) reached(partition int32, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end, waiting := r.left[partition]
	if !waiting || next < end && end > 0 { // nothing is to be waited for in an empty partition
		return
	}
	delete(r.left, partition)
	if len(r.left) == 0 {
		close(r.done)
	}
}

// Close says what was rejected since it was said last.
func (r *Rollup) Close() { r.bad.say(time.Now(), true) }
