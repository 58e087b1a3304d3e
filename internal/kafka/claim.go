package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// Setup implements sarama.ConsumerGroupHandler.
func (m *member) Setup(sess sarama.ConsumerGroupSession) error {
	m.endCommit = make(chan struct{})
	m.committer.Go(func() { m.commitEvery(sess) })
	m.once.Do(func() { close(m.began) })
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	close(m.endCommit)
	m.committer.Wait()
	return nil
}

// commitEvery commits what the claims marked, beside their work.
func (m *member) commitEvery(sess sarama.ConsumerGroupSession) {
	tick := time.NewTicker(m.group.CommitInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.commit(sess)
		case <-m.endCommit:
			return
		}
	}
}

// commit sends what is marked and waits for the answer. A commit that fails
// reaches note, which has it sent again.
func (m *member) commit(sess sarama.ConsumerGroupSession) {
	// Also with nothing to send, wait for a commit under way: a claim must not
	// end before its own is in.
	m.commits.Lock()
	defer m.commits.Unlock()
	if m.marked.Swap(false) {
		sess.Commit()
	}
}

// ConsumeClaim implements sarama.ConsumerGroupHandler: one partition, from its
// assignment to its end.
func (m *member) ConsumeClaim(sess sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	partition := claim.Partition()
	next := claim.InitialOffset()
	if next < 0 {
		next = m.oldest(sess.Context(), partition)
	}
	m.handler.Assigned(partition, next)
	// sarama forgets what is marked but not committed when a claim ends. The
	// session is committed as a whole, which does no harm: only what is done is
	// marked.
	defer m.commit(sess)
	defer m.handler.Revoked(partition)

	progress := func() { m.handler.Progress(partition, next, max(claim.HighWaterMarkOffset(), next)) }
	progress()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	recs := make([]Record, 0, maxRecords)
	for {
		select {
		case msg, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			recs = drain(append(recs[:0], record(msg)), claim.Messages())
			if err := m.handler.Records(sess.Context(), partition, recs); err != nil {
				if sess.Context().Err() == nil {
					m.fail(err)
				}
				return nil
			}
			next = recs[len(recs)-1].Offset + 1
			clear(recs) // let go of the values while waiting
			sess.MarkOffset(claim.Topic(), partition, next, "")
			m.marked.Store(true)
			progress()
		case <-tick.C:
			progress()
		case <-sess.Context().Done():
			// Messages may block here while its broker is away.
			return nil
		}
	}
}

// drain adds what is there without waiting.
func drain(recs []Record, messages <-chan *sarama.ConsumerMessage) []Record {
	for len(recs) < maxRecords {
		select {
		case msg, ok := <-messages:
			if !ok {
				return recs
			}
			recs = append(recs, record(msg))
		default:
			return recs
		}
	}
	return recs
}

func record(msg *sarama.ConsumerMessage) Record {
	return Record{Partition: msg.Partition, Offset: msg.Offset, Key: msg.Key, Value: msg.Value, Time: msg.Timestamp}
}

// oldest asks where a claim without a committed offset begins; -1 if nobody
// tells.
func (m *member) oldest(ctx context.Context, partition int32) int64 {
	cl, t, err := m.client.topic(ctx, m.group.Topic)
	if err != nil {
		return -1
	}
	for _, p := range t.Partitions {
		if p.ID == partition {
			t.Partitions = []*sarama.PartitionMetadata{p}
			break
		}
	}
	offsets, err := m.client.offsets(ctx, cl, t, sarama.OffsetOldest)
	if next, ok := offsets[partition]; ok && err == nil {
		return next
	}
	return -1
}
