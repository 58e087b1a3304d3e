package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/IBM/sarama"
)

// Stored is a run of records of one batch, with consecutive offsets and sequences.
type Stored struct {
	Epoch         int16
	FirstSequence int32
	BaseOffset    int64
	Lines         [][]byte // values; nil for a null one
}

// Scan hands out what the partition holds of a producer id and epoch, or of all its
// epochs if epoch is -1, in order, from offset from to the high watermark of the moment. An offset below the log start means
// the log start; one inside a batch means that record. What each gets is valid until
// it returns; its error ends the scan and is returned as it is. It takes the right
// READ on the topic.
//
// The Log is that of the moment the scan began, but for its Start, which moves on
// where records were deleted before they were read: from the larger of from and Start
// on nothing was missed. All is read from one leader in one leader epoch; when
// that changes, the scan ends with an Error of class Leader.
//
// Batches of other producers are skipped by their headers, so that memory is bounded
// by one answer's largest batch of ours.
func (t *Topic) Scan(ctx context.Context, partition int32, from int64, id int64, epoch int16, each func(Stored) error) (Log, error) {
	var l Log
	var stopped error // by each
	err := t.atLeader(ctx, partition, func(cn *conn, meta *sarama.PartitionMetadata) (err error) {
		if l, err = t.bounds(cn, meta); err != nil {
			return err
		}
		s := &scan{
			topic: t, conn: cn, partition: meta.ID, log: l, from: from, id: id, epoch: epoch,
			fetcher: newFetcher(cn.raw(), t.client.cfg.RequestTimeout),
			each: func(r Stored) error {
				stopped = each(r)
				return stopped
			},
		}
		defer s.unpacker.close()
		err = s.run(ctx)
		l = s.log
		return err
	})
	if stopped != nil {
		return Log{}, stopped
	}
	if err != nil {
		return Log{}, err
	}
	return l, nil
}

// scan is one under way.
type scan struct {
	topic     *Topic
	conn      *conn
	partition int32
	log       Log
	from      int64
	id        int64
	epoch     int16
	each      func(Stored) error

	fetcher  *fetcher
	unpacker unpacker
	body     []byte // of a batch, used again and again
}

func (s *scan) run(ctx context.Context) error {
	client := s.topic.client
	at := max(s.from, s.log.Start)
	most := int32(fetchSize)
	moved := time.Now()
	for at < s.log.HighWatermark {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := s.fetcher.ask(client.cfg.ClientID, s.topic.name, s.partition, s.log.LeaderEpoch, at, most)
		if err != nil {
			return err
		}
		switch {
		case f.code == sarama.ErrOffsetOutOfRange:
			// Retention, or who may, deleted records that we have not read.
			start, err := s.start(ctx)
			if err != nil {
				return err
			}
			if start <= at {
				return s.topic.client.refusal(toFetch, s.topic.name, s.conn.Addr(), f.code, nil)
			}
			s.log.Start, at = start, start
			continue
		case f.code != sarama.ErrNoError:
			return client.refusal(toFetch, s.topic.name, s.conn.Addr(), f.code, nil)
		case f.highWatermark < s.log.HighWatermark:
			return errorf(Leader, s.conn.Addr(), "topic %q partition %d: the high watermark went back from %d to %d",
				s.topic.name, s.partition, s.log.HighWatermark, f.highWatermark)
		}
		next, need, err := s.batches(f.records, at)
		switch {
		case err != nil:
			return err
		case need > maxBatch:
			return fmt.Errorf("%w: a batch of %d bytes", errFetch, need)
		case next > at:
			at, moved = next, time.Now()
		case need > int(most):
			most = int32(need) // a broker that does not hold to KIP-74
		case f.records > 0:
			return fmt.Errorf("%w: nothing in it at offset %d or after", errFetch, at)
		case time.Since(moved) > client.cfg.RequestTimeout:
			return errorf(Timeout, s.conn.Addr(), "topic %q partition %d: no record at offset %d, below the high watermark %d, within %s",
				s.topic.name, s.partition, at, s.log.HighWatermark, client.cfg.RequestTimeout)
		}
	}
	return nil
}

// start asks where the log begins by now.
func (s *scan) start(ctx context.Context) (int64, error) {
	l, err := s.topic.Log(ctx, s.partition)
	if err == nil && l.LeaderEpoch != s.log.LeaderEpoch {
		err = errorf(Leader, s.conn.Addr(), "topic %q partition %d: the leader changed during a scan", s.topic.name, s.partition)
	}
	return l.Start, err
}

// batches takes the records of an answer, size bytes of batches, all of them, and
// returns the offset after the last whole batch, at least at. The last batch may be
// cut off; if that is the first one too, need is how much it takes to have it whole.
func (s *scan) batches(size int, at int64) (next int64, need int, err error) {
	next = at
	in := s.fetcher.in
	var head [headerSize]byte
	skip := func(n int) error {
		_, err := io.CopyN(io.Discard, in, int64(n))
		size -= n
		return ended(err)
	}
	for n := 0; size > 0; n++ {
		if size < oldHeaderSize {
			return next, 0, skip(size)
		}
		clear(head[:])
		if _, err := io.ReadFull(in, head[:oldHeaderSize]); err != nil {
			return next, 0, ended(err)
		}
		read := oldHeaderSize
		if head[oldHeaderSize-1] == 2 && size >= headerSize {
			if _, err := io.ReadFull(in, head[oldHeaderSize:]); err != nil {
				return next, 0, ended(err)
			}
			read = headerSize
		}
		size -= read
		h, err := parseHeader(&head)
		if err != nil {
			return next, 0, err
		}
		rest := h.size - read
		if rest > size {
			if n == 0 {
				need = h.size
			}
			return next, need, skip(size)
		}
		ours := h.magic == 2 && h.attributes&controlBit == 0 && h.producerID == s.id && (h.epoch == s.epoch || s.epoch == -1) &&
			h.next() > at && h.base < s.log.HighWatermark
		if !ours {
			if err := skip(rest); err != nil {
				return next, 0, err
			}
			next = max(next, h.next())
			continue
		}
		if rest > maxBatch {
			return next, 0, fmt.Errorf("batch at offset %d has %d bytes", h.base, h.size)
		}
		if cap(s.body) < rest {
			s.body = make([]byte, rest)
		}
		s.body = s.body[:rest]
		if _, err := io.ReadFull(in, s.body); err != nil {
			return next, 0, ended(err)
		}
		size -= rest
		if err := h.intact(&head, s.body); err != nil {
			return next, 0, err
		}
		if err := s.unpacker.runs(h, s.body, at, s.log.HighWatermark, s.each); err != nil {
			return next, 0, err
		}
		next = max(next, h.next())
	}
	return next, 0, nil
}

// ended makes a connection lost in the middle of what was read.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
