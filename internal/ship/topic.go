package ship

import (
	"context"
	"time"
)

// Topic is where lines go. What implements it has to be told apart from what
// ship decides: it connects, encodes and sends, and retries nothing.
type Topic interface {
	// Describe asks the cluster for the number of partitions and for the largest
	// batch that a leader takes, in bytes. It blocks up to the client's timeouts
	// and never creates the topic.
	Describe(ctx context.Context) (partitions int32, maxBytes int, err error)
	// ProducerID gets a fresh idempotent producer id, never negative.
	ProducerID(ctx context.Context) (id int64, epoch int16, err error)
	// Open connects to the leader of a partition, asking anew who that is.
	Open(ctx context.Context, partition int32) (Appender, error)
}

// Appender is a connection to the leader of one partition.
type Appender interface {
	// Append sends a batch and does not wait for the answer, though it may block
	// while the network's buffers are full. done is called exactly once per call,
	// in the order of the calls, from another goroutine; a nil error means that
	// every in-sync replica holds the batch. After an error every later Append
	// fails too.
	Append(b Batch, done func(baseOffset int64, err error))
	// Close gives the connection up, also while Append blocks, and returns after
	// every done has been called. With answers to come it breaks the connection; it
	// does not wait for them. An Append after it fails.
	Close() error
}

// Batch is consecutive lines of one partition. Lines stay as they are until done
// is called.
type Batch struct {
	ProducerID    int64
	Epoch         int16
	FirstSequence int32
	Time          time.Time
	Lines         [][]byte // without newlines
}

// Classes of errors that make a difference here. Any other class means the same:
// connect anew and send again.
const (
	// TooLarge is a batch that the leader refused for its size; it was not appended.
	TooLarge = "too_large"
	// OutOfOrder is a batch whose producer id or sequence does not follow what the
	// leader holds.
	OutOfOrder = "out_of_order"
	// Stale is a batch that was not sent, or not answered, because somebody else gave
	// up the connection. Nothing is wrong; connecting anew helps at once.
	Stale = "stale"
	// TopicMissing only makes a difference to what is logged.
	TopicMissing = "topic_missing"
)

// sequenceMask keeps sequences in 0 … 2^31-1, after which they start at 0 again.
const sequenceMask = 1<<31 - 1

func nextSequence(seq int32, lines int) int32 {
	return int32((int64(seq) + int64(lines)) & sequenceMask)
}
