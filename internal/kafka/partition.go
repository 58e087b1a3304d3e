package kafka

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// Batch is records of one producer in sequence. Lines must stay as they are
// until done is called.
type Batch struct {
	ProducerID    int64
	Epoch         int16
	FirstSequence int32
	Time          time.Time // timestamp of every record, to the millisecond
	Lines         [][]byte  // values, without newline; keys are null
}

// Partition is a connection to a partition's leader.
type Partition struct {
	topic *Topic
	id    int32
	epoch int32
	conn  *conn

	sending  sync.Mutex // held while a batch is handed to the connection
	closed   bool
	calls    chan *call // in the order of Append
	finished chan struct{}
	failed   atomic.Pointer[failure]
}

type failure struct{ err error }

// ErrNotSent is what every Append after an error ends with: nothing of its batch
// has left, and it says nothing of that batch.
var ErrNotSent = errors.New("not sent: the connection was given up")

// call is one Append on its way.
type call struct {
	done   func(int64, error)
	answer chan answer // capacity 1: whoever answers never waits
	frame  *frame      // given back when answered
}

type answer struct {
	base int64
	err  error
}

// frame is the memory of one batch's records, used again and again so that a
// line costs no allocation.
type frame struct {
	records  []sarama.Record
	pointers []*sarama.Record
}

var frames = sync.Pool{New: func() any { return new(frame) }}

// fill makes one record per line, without copying any.
func (f *frame) fill(lines [][]byte) {
	if cap(f.records) < len(lines) {
		f.records = make([]sarama.Record, len(lines))
		f.pointers = make([]*sarama.Record, len(lines))
		for i := range f.records {
			f.pointers[i] = &f.records[i]
		}
	}
	f.records = f.records[:len(lines)]
	for i, line := range lines {
		if line == nil {
			line = []byte{} // a nil value would be a null one
		}
		f.records[i].OffsetDelta = int64(i)
		f.records[i].Value = line
	}
}

// release lets go of the lines.
func (f *frame) release() {
	for i := range f.records {
		f.records[i].Value = nil
	}
	frames.Put(f)
}

// Append sends a batch without waiting for the answer. It blocks while the
// connection's buffer is full or 5 batches are in flight, and is called from
// one goroutine at a time. At most 5 in flight is also what a broker remembers
// for de-duplication; keeping that bound across reconnects is the caller's part.
//
// done is called exactly once per call, in the order of the calls, from another
// goroutine, and must not block. A nil error means the leader and all in-sync
// replicas hold the batch: appended now, or recognised as a duplicate
// (baseOffset is then the original one, or -1 where the broker does not tell).
// After an error every later Append fails too, with ErrNotSent; close and open
// again. Batches that were under way when the error came get their own answers.
func (p *Partition) Append(b Batch, done func(baseOffset int64, err error)) {
	c := &call{done: done, answer: make(chan answer, 1)}
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.closed {
		// Whoever closed is past waiting, so the order of calls is kept.
		go done(-1, net.ErrClosed)
		return
	}
	p.calls <- c
	if err := p.send(b, c); err != nil {
		p.settle(c, -1, err)
	}
}

// send hands the batch to the connection. If it returns nil the call will be
// answered, otherwise it has to be answered here.
func (p *Partition) send(b Batch, c *call) error {
	if f := p.failed.Load(); f != nil {
		return errorf(ClassOf(f.err), p.Leader(), "%w after: %w", ErrNotSent, f.err)
	}
	if b.ProducerID < 0 || len(b.Lines) == 0 {
		// Without an id, the leader would append anything, duplicates too.
		return errorf(Invalid, "", "append %d records with producer id %d", len(b.Lines), b.ProducerID)
	}
	c.frame = frames.Get().(*frame)
	c.frame.fill(b.Lines)
	batch := &sarama.RecordBatch{
		Version:              2,
		PartitionLeaderEpoch: -1,
		Codec:                sarama.CompressionCodec(p.topic.opt.Compression),
		CompressionLevel:     p.topic.opt.Level,
		FirstTimestamp:       b.Time,
		MaxTimestamp:         b.Time,
		LastOffsetDelta:      int32(len(b.Lines) - 1),
		ProducerID:           b.ProducerID,
		ProducerEpoch:        b.Epoch,
		FirstSequence:        b.FirstSequence,
		Records:              c.frame.pointers[:len(b.Lines)],
	}
	req := &sarama.ProduceRequest{
		// The answer to a duplicate waits for replication only with all acks.
		RequiredAcks: sarama.WaitForAll,
		Timeout:      int32(p.conn.client.cfg.RequestTimeout / time.Millisecond),
		Version:      9,
	}
	req.AddBatch(p.topic.name, p.id, batch)
	return p.conn.AsyncProduce(req, func(resp *sarama.ProduceResponse, err error) {
		base := int64(-1)
		if err == nil {
			base, err = p.read(resp)
		}
		p.settle(c, base, err)
	})
}

// read takes our partition out of an answer.
func (p *Partition) read(resp *sarama.ProduceResponse) (int64, error) {
	block := resp.GetBlock(p.topic.name, p.id)
	if block == nil {
		return -1, sarama.ErrIncompleteResponse
	}
	switch block.Err {
	case sarama.ErrNoError, sarama.ErrDuplicateSequenceNumber:
		return block.Offset, nil
	}
	return -1, p.conn.client.refusal(toProduce, p.topic.name, p.Leader(), block.Err, block.ErrorMessage)
}

// settle answers a call. It runs where sarama reads answers, so it must not wait
// nor ask the connection anything.
func (p *Partition) settle(c *call, base int64, err error) {
	if c.frame != nil {
		c.frame.release()
	}
	if err != nil {
		e := classify(p.Leader(), err)
		p.failed.CompareAndSwap(nil, &failure{e})
		err = e
	}
	c.answer <- answer{base, err}
}

// deliver calls the callbacks in the order of the calls: an Append that failed
// at once would otherwise overtake those before it.
func (p *Partition) deliver() {
	defer close(p.finished)
	for c := range p.calls {
		a := <-c.answer
		c.done(a.base, a.err)
	}
}

// LeaderEpoch is how many times the partition had got a leader when this one was
// looked up.
func (p *Partition) LeaderEpoch() int32 { return p.epoch }

// Producer asks this leader what it holds of a producer id, over the connection that
// batches take. The answer comes after those to batches that are under way. If ctx
// ends before, the connection goes on.
func (p *Partition) Producer(ctx context.Context, id int64) (Producer, error) {
	type result struct {
		found []Producer
		err   error
	}
	done := make(chan result, 1)
	go func() {
		found, err := p.topic.producers(p.conn, p.id, []int64{id})
		done <- result{found, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return Producer{}, classify(p.Leader(), r.err)
		}
		return r.found[0], nil
	case <-ctx.Done():
		return Producer{}, context.Cause(ctx)
	}
}

// Leader is the address of the connection, host:port.
func (p *Partition) Leader() string { return p.conn.Addr() }

// Close breaks the connection and returns after every done has been called. It
// does not wait for answers: what is in flight ends with an error and may or may
// not have been appended. Closing twice is fine.
func (p *Partition) Close() error {
	p.conn.cancel() // frees an Append that waits for the network
	p.sending.Lock()
	if p.closed {
		p.sending.Unlock()
		<-p.finished
		return nil
	}
	p.closed = true
	close(p.calls)
	p.sending.Unlock()
	p.failed.CompareAndSwap(nil, &failure{net.ErrClosed})
	p.conn.close()
	<-p.finished
	return nil
}
