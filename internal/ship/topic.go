package ship

import (
	"context"
	"time"
)

// Topic is where lines go. What implements it has to be told apart from what
// ship decides: it connects, encodes, sends and asks, and retries nothing that could
// change what the topic holds.
//
// Every method blocks up to the client's timeouts, ends when ctx does, and may be
// called from several goroutines. None ever creates the topic.
type Topic interface {
	// Describe asks the cluster what the topic is. An implementation may answer from
	// what an earlier call was told: what may change under a shipper is Identity's.
	Describe(ctx context.Context) (Description, error)
	// Identity tells which topic it is now and how many partitions it has, as of at
	// most a second ago, so that everybody may ask once a second without a request
	// each; the rest of the Description is left out. A topic that was deleted and
	// created again has another id, and so has one of another cluster.
	Identity(ctx context.Context) (Description, error)
	// ProducerID gets a fresh idempotent producer id, never negative.
	ProducerID(ctx context.Context) (id int64, epoch int16, err error)
	// Open connects to the leader of a partition, asking anew who that is.
	Open(ctx context.Context, partition int32) (Appender, error)
	// Producer asks the leader, found anew, what it holds of a producer id, on a
	// connection of its own. The question is put after the call: what was
	// acknowledged before it is in the answer. What is not may still be lost, with the
	// leader. An error of class Unsupported: the broker does not know the question.
	Producer(ctx context.Context, partition int32, id int64) (Producer, error)
	// Scan hands out what the partition holds of a producer and epoch, or of all its epochs
	// (EveryEpoch), in order, from offset from to the high watermark of the moment. An offset below the log start
	// means the log start; one inside a batch means that record. A Stored is valid until
	// each returns; an error of each ends the scan and is returned as it is.
	//
	// The Log is that of the moment the scan began, but for its Start: from the larger
	// of from and Start on nothing was missed, also where records were deleted
	// meanwhile. All of it was read from one leader in one leader epoch; a change is an
	// error.
	Scan(ctx context.Context, partition int32, from int64, id int64, epoch int16, each func(Stored) error) (Log, error)
	// Log asks the leader, found anew, for the partition's bounds.
	Log(ctx context.Context, partition int32) (Log, error)
}

// Description is what a topic is.
type Description struct {
	// ClusterID and TopicID are as Kafka prints them. They are empty where the broker
	// does not know topic ids (before Kafka 2.8).
	ClusterID, TopicID string
	Partitions         int32
	// MaxBytes is the largest batch that a leader takes, after compression.
	MaxBytes int
	// MinInSync is how many replicas an acknowledged batch is on at least
	// (min.insync.replicas).
	MinInSync int
	// Compacted says that the topic keeps only the last record of each key: lines
	// would vanish.
	Compacted bool
}

// Producer is what a leader knows of a producer id. It may be behind what was
// appended elsewhere, and ahead of what is final.
type Producer struct {
	Known        bool // else the rest says nothing, and the leader takes any sequence
	Epoch        int16
	LastSequence int32
	// LastTimestamp is when its last batch was sent by the sender's clock, in milliseconds
	// since 1970; 0 or less where the leader does not tell.
	LastTimestamp int64
}

// EveryEpoch is for Topic.Scan.
const EveryEpoch int16 = -1

// Stored is a run of records of one batch, with consecutive offsets and sequences.
type Stored struct {
	Epoch         int16
	FirstSequence int32
	BaseOffset    int64
	Lines         [][]byte // values
}

// Log is a partition's bounds, as its leader sees them.
type Log struct {
	// Start is the offset of the oldest record that there is, or would be.
	Start int64
	// HighWatermark is the offset after the last record that all replicas in sync have.
	HighWatermark int64
	LeaderEpoch   int32 // -1 where the broker does not tell
	Replicas      int
	InSync        int
	MinInSync     int // min.insync.replicas, 1 where we may not know
}

// Appender is a connection to the leader of one partition.
type Appender interface {
	// Producer asks the leader at the other end what it holds of a producer id: a
	// batch that is sent next meets just that, or fails.
	Producer(ctx context.Context, id int64) (Producer, error)
	// LeaderEpoch is how many times the partition had got a leader when the connection
	// was made; -1 if the broker does not tell.
	LeaderEpoch() int32
	// Append sends a batch and does not wait for the answer, though it may block
	// while the network's buffers are full. done is called exactly once per call,
	// in the order of the calls, from another goroutine; a nil error means that
	// every in-sync replica holds the batch. baseOffset is the offset of its first
	// record, or negative where the broker does not tell. After an error every later
	// Append fails too.
	Append(b Batch, done func(baseOffset int64, err error))
	// Retire sees to it that Open gives this connection to nobody any more, where several
	// users share one: what it leads to may not be the leader.
	Retire()
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

// Classes of errors that make a difference here. Any other class leaves open what
// became of a batch: connect anew and ask.
const (
	// TooLarge is a batch that the leader refused for its size; it was not appended.
	TooLarge = "too_large"
	// Refused is a batch that the leader refused for a record in it; it was not
	// appended, and never will be as it is.
	Refused = "refused"
	// Timestamp is a batch that the leader refused for its time; it was not appended.
	Timestamp = "timestamp"
	// OutOfOrder is a batch whose sequence does not follow what the leader holds. It
	// was not appended by this request; by an earlier one it may have been.
	OutOfOrder = "out_of_order"
	// Fenced is a batch of an epoch below the one that the leader holds of the
	// producer id.
	Fenced = "fenced"
	// Stale is a batch that was not sent, or not answered, because somebody else gave
	// up the connection. Nothing is wrong; connecting anew helps at once.
	Stale = "stale"
	// Unsupported is a question that the broker does not know.
	Unsupported = "unsupported"
	// Authorization is what we are not allowed to do; the error names the right to add.
	Authorization = "authorization"
	// Leader is a partition that takes nothing for now: another broker leads it, or its
	// replicas are waited for.
	Leader = "leader"
	// TopicMissing is a topic or partition that the broker does not know (yet).
	TopicMissing = "topic_missing"
)
