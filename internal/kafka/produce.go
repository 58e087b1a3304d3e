package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
	"github.com/rs/zerolog"
)

var noLog = zerolog.Nop()

// maxInFlight is how many batches a leader remembers per producer id, and so how
// many may be without an answer: an older one would not be recognised as a
// duplicate (ProducerStateEntry.NUM_BATCHES_TO_RETAIN).
const maxInFlight = 5

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
				return c.refusal(toBegin, t.name, cn.Addr(), resp.Err, nil)
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
		epoch:    epochOf(meta, partition),
		conn:     cn,
		calls:    make(chan *call, maxInFlight),
		finished: make(chan struct{}),
	}
	go p.deliver()
	return p, nil
}

func epochOf(meta *sarama.TopicMetadata, partition int32) int32 {
	for _, p := range meta.Partitions {
		if p.ID == partition {
			return p.LeaderEpoch
		}
	}
	return -1
}
