package ship

import (
	"context"
	"math"
)

// Left is numberings that were left while requests of them may have been on their
// way: the epochs of a producer id from one on, of the first of which lines up to a
// number are accounted for. Offset is before all others.
type Left struct {
	ID     int64 `json:"id"`
	Epoch  int16 `json:"epoch"`
	Last   int64 `json:"last"`
	Offset int64 `json:"offset"`
}

// count reads how many records of them are in the log that are not accounted for.
// No more can come once the leader holds the epoch behind them.
func (o *Left) count(ctx context.Context, t Topic, partition int32, behind int) (records int64, err error) {
	last := o.Last
	for epoch := int(o.Epoch); epoch < behind; epoch++ {
		_, err = t.Scan(ctx, partition, o.Offset+1, o.ID, int16(epoch), func(b Stored) error {
			records += min(int64(len(b.Lines)), max(0, numberNear(max(last, 0), b.FirstSequence)+int64(len(b.Lines))-1-last))
			return nil
		})
		if err != nil {
			return 0, err
		}
		last = -1
	}
	return records, nil
}

// count looks for what came of numberings that were left, once the leader has taken
// something of this one and nothing more of them can come.
func (s *Shipper) count(l *lane) {
	o := l.left
	if o == nil || l.counting || l.final < 0 {
		return
	}
	l.counting = true
	s.counting++
	behind := int(l.epoch)
	if l.id != o.ID {
		behind = math.MaxInt16 + 1
	}
	go func() {
		e := event{lane: l, kind: eventLeft, left: o}
		e.records, e.err = o.count(s.work, s.o.Topic, l.partition, behind)
		s.events <- e
	}()
}

func (s *Shipper) counted(e event) {
	l := e.lane
	s.counting--
	l.counting = false
	if e.err != nil || l.left != e.left {
		return // after the next answer
	}
	l.left = nil
	s.order.moved = true
	if e.records > 0 {
		s.o.Log.Error().Int32("partition", l.partition).Int64("records", e.records).
			Msg("lines that were sent before the last numbering arrived after it began: each is in the topic twice, or no longer in the log")
		s.metrics.late.Add(float64(e.records))
	}
}
