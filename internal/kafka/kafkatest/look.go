package kafkatest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long anything may take before a test gives up.
const patience = time.Minute

// dial returns a franz-go client: tests judge sarama's work with another's eyes.
func dial(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(addr, ",")...)}, opts...)...)
	if err != nil {
		t.Fatalf("client for %s: %v", addr, err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// ends asks for the end offset of each partition.
func ends(ctx context.Context, cl *kgo.Client, topic string) (map[int32]int64, error) {
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &topic
	mreq := kmsg.NewPtrMetadataRequest()
	mreq.Topics = append(mreq.Topics, mt)
	meta, err := mreq.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(meta.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	for _, p := range meta.Topics[0].Partitions {
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp = p.Partition, -1
		lt.Partitions = append(lt.Partitions, lp)
	}
	lreq := kmsg.NewPtrListOffsetsRequest()
	lreq.Topics = append(lreq.Topics, lt)
	list, err := lreq.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	found := make(map[int32]int64)
	for _, p := range list.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return nil, err
		}
		found[p.Partition] = p.Offset
	}
	return found, nil
}

// Records reads what a topic holds now, in order within each partition.
func Records(t testing.TB, addr, topic string) map[int32][]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond))
	var want map[int32]int64
	WaitFor(t, "end offsets of "+topic, func() (ok bool) { // a broker that has just begun does not know yet
		var err error
		want, err = ends(ctx, cl, topic)
		return err == nil
	})
	got := make(map[int32][]*kgo.Record)
	left := 0
	for p, end := range want {
		got[p] = nil
		if end > 0 {
			left++
		}
	}
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read %s: %v", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= want[r.Partition] {
				return
			}
			got[r.Partition] = append(got[r.Partition], r)
			if r.Offset == want[r.Partition]-1 {
				left--
			}
		})
	}
	return got
}

// Values reads the values of one partition.
func Values(t testing.TB, addr, topic string, partition int32) []string {
	t.Helper()
	var values []string
	for _, r := range Records(t, addr, topic)[partition] {
		values = append(values, string(r.Value))
	}
	return values
}

// Produce appends values to a partition.
func Produce(t testing.TB, addr, topic string, partition int32, values ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	recs := make([]*kgo.Record, len(values))
	for i, v := range values {
		recs[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}
	}
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
}

// WaitFor polls until ok says so.
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up after %s waiting for %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ProduceRaw appends one record with any key and value, nil meaning null.
func ProduceRaw(t testing.TB, addr, topic string, key, value []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := dial(t, addr).ProduceSync(ctx, &kgo.Record{Topic: topic, Key: key, Value: value}).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
}

// DeleteBefore deletes the records of a partition below an offset, as retention
// would.
func DeleteBefore(t testing.TB, addr, topic string, partition int32, offset int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = partition, offset
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rt.Partitions = append(rt.Partitions, rp)
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, dial(t, addr))
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("delete records of %s: %v", topic, err)
	}
}

// Committed returns a group's committed offset, -1 if there is none.
func Committed(t testing.TB, addr, group, topic string, partition int32) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr)
	defer cl.Close()
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.Partitions = topic, []int32{partition}
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.Topics = group, append(rg.Topics, gt)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.Topics, req.Groups = group, append(req.Topics, rt), append(req.Groups, rg)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		t.Fatalf("fetch offsets of %s: %v", group, err)
	}
	for _, g := range resp.Groups {
		for _, topic := range g.Topics {
			for _, p := range topic.Partitions {
				return p.Offset
			}
		}
	}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			return p.Offset
		}
	}
	return -1
}

// Producers is how many producer ids the leader of a partition knows.
func Producers(t testing.TB, addr, topic string, partition int32) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = append(req.Topics, rt)
	cl, n := dial(t, addr), 0
	WaitFor(t, "producers of "+topic, func() bool {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			return false
		}
		n = len(resp.Topics[0].Partitions[0].ActiveProducers)
		return true
	})
	return n
}
