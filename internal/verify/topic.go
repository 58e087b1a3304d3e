package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// cluster reads topics by requests of its own for each partition, not as a consumer: only so it is known
// that there is nothing more up to an offset, where what is there are transactions' marks, aborted records
// or gaps of compaction.
type cluster struct {
	*kgo.Client
	unpack   kgo.Decompressor
	patience time.Duration
	reached  bool // before that, a refused connection is more likely a wrong address than a broker that restarts
}

type record = *kgo.Record

// topic is a topic and how far it was read.
type topic struct {
	name       string
	id         [16]byte
	committed  bool // only what transactions have committed is read
	partitions []*partition
}

type partition struct {
	id, leader       int32
	start, next, end int64
}

func (t *topic) ids() []int32 {
	ids := make([]int32, len(t.partitions))
	for i, p := range t.partitions {
		ids[i] = p.id
	}
	return ids
}

var errNoTopic = errors.New("there is no such topic")

const (
	fetchWait  = 500 * time.Millisecond
	fetchBytes = 8 << 20
	retryPause = 200 * time.Millisecond
	portion    = 10_000 // records that are judged at once
	earliest   = -2
	latest     = -1
)

// find asks where a topic begins and ends.
func (c *cluster) find(ctx context.Context, name string, committed bool) (*topic, error) {
	t := &topic{name: name, committed: committed}
	err := c.patiently(ctx, func() error { return c.describe(ctx, t) })
	if err == nil {
		c.reached = true
		err = c.offsets(ctx, t, earliest, func(p *partition, offset int64) { p.start, p.next = offset, offset })
	}
	if err == nil {
		err = c.ends(ctx, t)
	}
	if err != nil {
		return nil, fmt.Errorf("read topic %q: %w", name, err)
	}
	return t, nil
}

// ends asks for the end of each partition again.
func (c *cluster) ends(ctx context.Context, t *topic) error {
	return c.offsets(ctx, t, latest, func(p *partition, offset int64) { p.end = offset })
}

// describe fills in the partitions and their leaders.
func (c *cluster) describe(ctx context.Context, t *topic) error {
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &t.name
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, mt)
	resp, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return fmt.Errorf("the cluster answers for %d topics instead of one", len(resp.Topics))
	}
	found := resp.Topics[0]
	if err := kerr.ErrorForCode(found.ErrorCode); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return errNoTopic
	} else if err != nil {
		return err
	}
	if t.id != ([16]byte{}) && t.id != found.TopicID {
		return errors.New("it was made anew meanwhile")
	}
	t.id = found.TopicID
	leaders := make(map[int32]int32)
	for _, p := range found.Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil && p.Leader < 0 {
			return fmt.Errorf("partition %d: %w", p.Partition, err)
		}
		leaders[p.Partition] = p.Leader
	}
	if t.partitions == nil { // the partitions are those of the first look
		for id := range leaders {
			t.partitions = append(t.partitions, &partition{id: id})
		}
		slices.SortFunc(t.partitions, func(a, b *partition) int { return int(a.id - b.id) })
	}
	for _, p := range t.partitions {
		p.leader = leaders[p.id]
	}
	return nil
}

// offsets asks for an offset of each partition.
func (c *cluster) offsets(ctx context.Context, t *topic, which int64, set func(*partition, int64)) error {
	return c.patiently(ctx, func() error {
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = t.name
		for _, p := range t.partitions {
			lp := kmsg.NewListOffsetsRequestTopicPartition()
			lp.Partition, lp.Timestamp = p.id, which
			lt.Partitions = append(lt.Partitions, lp)
		}
		req := kmsg.NewPtrListOffsetsRequest()
		req.Topics = append(req.Topics, lt)
		if t.committed {
			req.IsolationLevel = 1
		}
		resp, err := req.RequestWith(ctx, c.Client)
		if err != nil {
			return fmt.Errorf("ask for offsets: %w", err)
		}
		found := make(map[int32]int64)
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("ask for offsets of partition %d: %w", p.Partition, err)
				}
				found[p.Partition] = p.Offset
			}
		}
		for _, p := range t.partitions {
			offset, ok := found[p.id]
			if !ok {
				return fmt.Errorf("ask for offsets: no answer for partition %d", p.id)
			}
			set(p, offset)
		}
		return nil
	})
}

// patiently does something again while the trouble may pass, for as long as patience lasts.
func (c *cluster) patiently(ctx context.Context, do func() error) error {
	for deadline := time.Now().Add(c.patience); ; {
		err := do()
		if err == nil || !c.passes(err) || time.Now().After(deadline) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		if err := sleep(ctx, retryPause); err != nil {
			return err
		}
	}
}

// passes says whether an error is of a kind that goes away.
func (c *cluster) passes(err error) bool {
	var network *net.OpError
	return kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err) || c.reached && errors.As(err, &network)
}

// read gives take what there is of each partition, side by side, from where the last read ended up to the
// ends that are known. take is called from one goroutine for each partition, with its place among them.
func (c *cluster) read(ctx context.Context, t *topic, take func(lane int, recs []record), progress func(read, all int64)) error {
	var mu sync.Mutex
	var done, all int64
	for _, p := range t.partitions {
		done += p.next - p.start
		all += p.end - p.start
	}
	moved := func(offsets int64) {
		mu.Lock()
		defer mu.Unlock()
		done += offsets
		progress(done, all)
	}
	g, ctx := errgroup.WithContext(ctx)
	for lane, p := range t.partitions {
		g.Go(func() error {
			// One fetch is under way while the one before is judged.
			fetched := make(chan stretch, 1)
			g.Go(func() error {
				defer close(fetched)
				return c.fetchAll(ctx, t, p, fetched)
			})
			for s := range fetched {
				for part := range slices.Chunk(s.records, portion) {
					take(lane, part)
					next := part[len(part)-1].Offset + 1
					moved(next - s.from)
					s.from = next
				}
				moved(s.to - s.from)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("read topic %q: %w", t.name, err)
	}
	return nil
}

// stretch is the offsets that one fetch has got through, and the records in it.
type stretch struct {
	from, to int64
	records  []record
}

// fetchAll reads a partition to its end.
func (c *cluster) fetchAll(ctx context.Context, t *topic, p *partition, to chan<- stretch) error {
	own := &topic{name: t.name, id: t.id, committed: t.committed, partitions: []*partition{p}}
	for moved := time.Now(); p.next < p.end; {
		var recs []record
		before := p.next
		err := c.patiently(ctx, func() error {
			var err error
			if recs, err = c.fetch(ctx, own, p); err == nil {
				return nil
			}
			if ctx.Err() == nil && (c.passes(err) || errors.Is(err, kerr.OffsetOutOfRange)) {
				if err := c.describe(ctx, own); err != nil { // the leader may be another one
					return err
				}
			}
			if !errors.Is(err, kerr.OffsetOutOfRange) {
				return err
			}
			// Retention was faster. What it took is missing.
			return c.offsets(ctx, own, earliest, func(p *partition, offset int64) { p.next = max(p.next, offset) })
		})
		if err != nil {
			return fmt.Errorf("partition %d at offset %d: %w", p.id, before, err)
		}
		for len(recs) > 0 && recs[len(recs)-1].Offset >= p.end { // came later than we began
			p.next = min(p.next, recs[len(recs)-1].Offset)
			recs = recs[:len(recs)-1]
		}
		if p.next == before { // such as after an election that lost what was there
			if time.Since(moved) > c.patience {
				return fmt.Errorf("partition %d at offset %d: nothing came for %s, and the end is at %d", p.id, before, c.patience, p.end)
			}
			if err := sleep(ctx, retryPause); err != nil {
				return err
			}
			continue
		}
		select {
		case to <- stretch{before, min(p.next, p.end), recs}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		moved = time.Now()
	}
	return nil
}

// fetch asks for records once, from p.next on, and moves it behind what the answer holds.
func (c *cluster) fetch(ctx context.Context, t *topic, p *partition) ([]record, error) {
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = p.id, p.next, fetchBytes
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.TopicID, ft.Partitions = t.name, t.id, append(ft.Partitions, fp)
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(fetchWait.Milliseconds()), 1, fetchBytes
	req.Topics = append(req.Topics, ft)
	level := kgo.ReadUncommitted()
	if t.committed {
		req.IsolationLevel, level = 1, kgo.ReadCommitted()
	}
	answer, err := c.Broker(int(p.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker answers for other partitions than asked")
	}
	found, next := kgo.ProcessFetchPartition(
		kgo.ProcessFetchPartitionOpts{Offset: p.next, IsolationLevel: level, Topic: t.name, Partition: p.id},
		&resp.Topics[0].Partitions[0], c.unpack, nil)
	if found.Err != nil {
		return nil, found.Err
	}
	p.next = next
	return found.Records, nil
}
