package kafka

import (
	"context"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/rs/zerolog"
)

var noLog = zerolog.Nop()

// maxInFlight is how many batches a leader remembers per producer id, and so how
// many may be without an answer: an older one would not be recognised as a
// duplicate (ProducerStateEntry.NUM_BATCHES_TO_RETAIN).
const maxInFlight = 5

// defaultMaxMessageBytes is Kafka's default of max.message.bytes.
const defaultMaxMessageBytes = 1048588

// ProduceOptions are settings of a Topic's batches.
type ProduceOptions struct {
	Compression Codec
	Level       int // of gzip and zstd; 0 means the codec's default
}

// Topic produces to one topic.
type Topic struct {
	client *Client
	name   string
	opt    ProduceOptions
}

// Topic returns a producer for a topic. It does no I/O; the topic need not exist.
func (c *Client) Topic(name string, opt ProduceOptions) *Topic {
	if opt.Level == 0 {
		opt.Level = sarama.CompressionLevelDefault
	}
	return &Topic{client: c, name: name, opt: opt}
}

// Partitions asks the cluster how many partitions the topic has. A missing
// topic is an Error of class TopicMissing; it is never created by asking.
func (t *Topic) Partitions(ctx context.Context) (int32, error) {
	_, meta, err := t.client.topic(ctx, t.name)
	if err != nil {
		return 0, err
	}
	return int32(len(meta.Partitions)), nil
}

// MaxMessageBytes asks for the topic's max.message.bytes, the limit of a batch
// after compression. If the broker does not tell (it takes the right
// DESCRIBE_CONFIGS), it is Kafka's default, 1048588.
func (t *Topic) MaxMessageBytes(ctx context.Context) (int, error) {
	entries, err := t.client.configs(ctx, t.name, "max.message.bytes")
	if ClassOf(err) == Authorization {
		return defaultMaxMessageBytes, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.Name != "max.message.bytes" {
			continue
		}
		if n, err := strconv.Atoi(e.Value); err == nil && n > 0 {
			return n, nil
		}
	}
	return defaultMaxMessageBytes, nil
}

// ProducerID gets a fresh idempotent producer id, never negative. It waits
// while the cluster is not ready to give one, at most RequestTimeout.
//
// A broker that is still loading says so inside an answer that is otherwise
// well-formed, with id -1; a batch with that id would be appended without any
// check of its sequence (measured on Kafka 3.6.2).
func (t *Topic) ProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	c := t.client
	err = c.settled(ctx, func() error {
		return c.any(ctx, func(cn *conn) error {
			resp, err := cn.InitProducerID(&sarama.InitProducerIDRequest{
				Version:            1,
				TransactionTimeout: time.Minute,
				ProducerID:         -1,
				ProducerEpoch:      -1,
			})
			if err != nil {
				return err
			}
			if resp.Err != sarama.ErrNoError {
				return resp.Err
			}
			if resp.ProducerID < 0 {
				return errorf(Leader, "", "broker gave producer id %d", resp.ProducerID)
			}
			id, epoch = resp.ProducerID, resp.ProducerEpoch
			return nil
		})
	})
	return id, epoch, err
}

// OpenPartition connects to the partition's leader, after asking who that is.
// ctx bounds the opening only. Each Partition has a connection of its own, so
// that breaking one leaves the batches of others alone. Close it.
func (t *Topic) OpenPartition(ctx context.Context, partition int32) (*Partition, error) {
	cl, meta, err := t.client.topic(ctx, t.name)
	if err != nil {
		return nil, err
	}
	addr, err := cl.leader(meta, partition)
	if err != nil {
		return nil, err
	}
	cn, err := t.client.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	p := &Partition{
		topic:    t,
		id:       partition,
		conn:     cn,
		calls:    make(chan *call, maxInFlight),
		finished: make(chan struct{}),
	}
	go p.deliver()
	return p, nil
}
