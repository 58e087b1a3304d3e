package kafka

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
)

// Kafka's defaults, for where we may not know the setting.
const (
	defaultMaxMessageBytes = 1048588
	defaultMinInSync       = 1
)

// Description is what a topic is.
type Description struct {
	// ClusterID and TopicID are as Kafka prints them: 22 characters of base64. They
	// are empty where the broker does not know topic ids (before Kafka 2.8).
	ClusterID, TopicID string
	Partitions         int32
	MaxBytes           int  // max.message.bytes, of a batch after compression
	MinInSync          int  // min.insync.replicas
	Compacted          bool // cleanup.policy has compact in it
}

// Describe asks the cluster what the topic is, and never creates it: a missing one
// is an Error of class TopicMissing. Where we may not know its settings (it takes
// the right DESCRIBE_CONFIGS), they are Kafka's defaults.
func (t *Topic) Describe(ctx context.Context) (Description, error) {
	cl, meta, err := t.client.topic(ctx, t.name)
	if err != nil {
		return Description{}, err
	}
	var set settingsOf
	err = t.client.any(ctx, func(cn *conn) (err error) {
		set, err = cn.settings(t.name)
		return err
	})
	if err != nil {
		return Description{}, err
	}
	return Description{
		ClusterID: cl.id, TopicID: topicID(meta), Partitions: int32(len(meta.Partitions)),
		MaxBytes: set.maxBytes, MinInSync: set.minInSync, Compacted: set.compacted,
	}, nil
}

// Identity asks which topic it is that has the name now, and how many partitions it
// has. Its settings are not asked for.
func (t *Topic) Identity(ctx context.Context) (Description, error) {
	cl, meta, err := t.client.topic(ctx, t.name)
	if err != nil {
		return Description{}, err
	}
	return Description{ClusterID: cl.id, TopicID: topicID(meta), Partitions: int32(len(meta.Partitions))}, nil
}

// Missing asks which of the rights that shipping takes on the topic are not given:
// READ, WRITE and DESCRIBE. Each is an Error of class Authorization that names the
// command. It needs no right itself but DESCRIBE, appends nothing, and finds none
// missing where the broker does not tell (before Kafka 2.3).
func (t *Topic) Missing(ctx context.Context) (missing []error, err error) {
	_, meta, err := t.client.topic(ctx, t.name)
	if ClassOf(err) == Authorization {
		return []error{err}, nil
	}
	if err != nil || meta.TopicAuthorizedOperations == math.MinInt32 {
		return nil, err
	}
	for _, right := range []struct {
		operation sarama.AclOperation
		question  question
	}{{sarama.AclOperationWrite, toProduce}, {sarama.AclOperationRead, toRecall}} {
		if meta.TopicAuthorizedOperations&(1<<right.operation) == 0 {
			missing = append(missing, t.client.refusal(right.question, t.name, "", sarama.ErrTopicAuthorizationFailed, nil))
		}
	}
	return missing, nil
}

func topicID(meta *sarama.TopicMetadata) string {
	if meta.Uuid == (sarama.Uuid{}) {
		return ""
	}
	return meta.Uuid.String()
}

// settingsOf are those of a topic that matter to who produces to it.
type settingsOf struct {
	maxBytes, minInSync int
	compacted           bool
}

// settings asks for them. Any broker knows.
func (cn *conn) settings(topic string) (settingsOf, error) {
	s := settingsOf{maxBytes: defaultMaxMessageBytes, minInSync: defaultMinInSync}
	entries, err := cn.configs(topic, "max.message.bytes", "min.insync.replicas", "cleanup.policy")
	if ClassOf(err) == Authorization {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Value)
		switch {
		case e.Name == "cleanup.policy":
			s.compacted = strings.Contains(e.Value, "compact")
		case err != nil || n <= 0:
		case e.Name == "max.message.bytes":
			s.maxBytes = n
		case e.Name == "min.insync.replicas":
			s.minInSync = n
		}
	}
	return s, nil
}

// Producer is what a leader knows of a producer id.
type Producer struct {
	Known        bool // else the rest says nothing
	Epoch        int16
	LastSequence int32
	// LastTimestamp is the largest timestamp of its last batch, in milliseconds since 1970.
	LastTimestamp int64
}

// Producers asks a partition's leader, found anew, what it holds of producer ids, and
// answers in their order. A broker that does not know the question (before Kafka 2.8)
// is an Error of class Unsupported. It takes the right READ on the topic.
//
// What a leader answers is not final: a batch that the replicas do not have yet is in
// it, and what it forgot is not (an id that sent nothing for
// producer.id.expiration.ms, by the time of its records).
func (t *Topic) Producers(ctx context.Context, partition int32, ids ...int64) ([]Producer, error) {
	var found []Producer
	err := t.atLeader(ctx, partition, func(cn *conn, _ *sarama.PartitionMetadata) (err error) {
		found, err = t.producers(cn, partition, ids)
		return err
	})
	return found, err
}

// producers asks over a connection.
func (t *Topic) producers(cn *conn, partition int32, ids []int64) ([]Producer, error) {
	resp, err := cn.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: t.name, PartitionIndexes: []int32{partition}}},
	})
	if err != nil {
		return nil, t.answered(toRecall, cn, err)
	}
	p := producersOf(resp, t.name, partition)
	if p == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if p.ErrorCode != sarama.ErrNoError {
		return nil, t.client.refusal(toRecall, t.name, cn.Addr(), p.ErrorCode, p.ErrorMessage)
	}
	known := make(map[int64]*sarama.ProducerState, len(p.ActiveProducers))
	for i := range p.ActiveProducers {
		known[p.ActiveProducers[i].ProducerID] = &p.ActiveProducers[i]
	}
	found := make([]Producer, len(ids))
	for i, id := range ids {
		if s := known[id]; s != nil {
			found[i] = Producer{Known: true, Epoch: int16(s.ProducerEpoch), LastSequence: s.LastSequence, LastTimestamp: s.LastTimestamp}
		}
	}
	return found, nil
}

func producersOf(resp *sarama.DescribeProducersResponse, topic string, partition int32) *sarama.DescribeProducersResponsePartition {
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			if t.Name == topic && t.Partitions[i].PartitionIndex == partition {
				return &t.Partitions[i]
			}
		}
	}
	return nil
}

// answered names the topic where a whole request was refused: by the broker, or by
// our library because the broker's list of requests does not have it.
func (t *Topic) answered(q question, cn *conn, err error) error {
	if k, is := err.(sarama.KError); is {
		return t.client.refusal(q, t.name, cn.Addr(), k, nil)
	}
	return err
}

// Log is a partition's bounds, as its leader sees them.
type Log struct {
	Start         int64 // offset of the oldest record that there is, or would be
	HighWatermark int64 // offset after the last record that all replicas in sync have
	LeaderEpoch   int32
	Replicas      int
	InSync        int
	MinInSync     int // min.insync.replicas, Kafka's default where we may not know
}

// Log asks the leader, found anew, for the partition's bounds.
func (t *Topic) Log(ctx context.Context, partition int32) (Log, error) {
	var l Log
	err := t.atLeader(ctx, partition, func(cn *conn, meta *sarama.PartitionMetadata) (err error) {
		l, err = t.bounds(cn, meta)
		return err
	})
	return l, err
}

func (t *Topic) bounds(cn *conn, meta *sarama.PartitionMetadata) (Log, error) {
	l := Log{LeaderEpoch: meta.LeaderEpoch, Replicas: len(meta.Replicas), InSync: len(meta.Isr)}
	set, err := cn.settings(t.name)
	if err != nil {
		return Log{}, err
	}
	l.MinInSync = set.minInSync
	for _, q := range []struct {
		at int64
		to *int64
	}{{sarama.OffsetOldest, &l.Start}, {sarama.OffsetNewest, &l.HighWatermark}} {
		req := sarama.NewOffsetRequest(t.client.conf.Version)
		req.AddBlock(t.name, meta.ID, q.at, 1)
		resp, err := cn.GetAvailableOffsets(req)
		if err != nil {
			return Log{}, t.answered(toMeasure, cn, err)
		}
		block := resp.GetBlock(t.name, meta.ID)
		switch {
		case block == nil:
			return Log{}, sarama.ErrIncompleteResponse
		case block.Err != sarama.ErrNoError:
			return Log{}, t.client.refusal(toMeasure, t.name, cn.Addr(), block.Err, nil)
		}
		*q.to = block.Offset
		// Of the high watermark it is the leader's own epoch; the one of the metadata
		// may be older, and so may the replicas in sync be.
		if q.at == sarama.OffsetNewest && resp.Version >= 4 && block.LeaderEpoch >= 0 && block.LeaderEpoch != l.LeaderEpoch {
			return Log{}, errorf(Leader, cn.Addr(), "topic %q partition %d: the leader is of epoch %d, the metadata of %d", t.name, meta.ID, block.LeaderEpoch, l.LeaderEpoch)
		}
	}
	return l, nil
}

// atLeader runs fn on a connection to the partition's leader, after asking who that
// is.
func (t *Topic) atLeader(ctx context.Context, partition int32, fn func(*conn, *sarama.PartitionMetadata) error) error {
	cl, meta, err := t.client.topic(ctx, t.name)
	if err != nil {
		return err
	}
	addr, err := cl.leader(meta, partition)
	if err != nil {
		return err
	}
	for _, p := range meta.Partitions {
		if p.ID == partition {
			return t.client.at(ctx, addr, func(cn *conn) error { return fn(cn, p) })
		}
	}
	return topicMissing(t.name)
}
