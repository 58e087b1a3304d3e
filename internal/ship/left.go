package ship

import (
	"context"
	"encoding/json"
	"math"
	"slices"
)

// Left is numberings that were left while requests of them may have been on their
// way: one of which lines up to a number are accounted for, and so many after it of
// which none is, epoch by epoch. Offset is before all others.
type Left struct {
	ID     int64 `json:"id"`
	Epoch  int16 `json:"epoch"`
	Last   int64 `json:"last"`
	Offset int64 `json:"offset"`
	More   int16 `json:"more,omitempty"`
}

// Lefts are in the order in which they were left.
type Lefts []Left

// UnmarshalJSON implements json.Unmarshaler. Earlier versions knew one Left, which
// stood for all numberings after it too.
func (l *Lefts) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '{' {
		return json.Unmarshal(data, (*[]Left)(l))
	}
	var one Left
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	one.More = math.MaxInt16 - one.Epoch
	*l = Lefts{one}
	return nil
}

// before are those as of a numbering that they were left for.
func (l Lefts) before(id int64, epoch int16) Lefts {
	l = slices.Clone(l)
	for i := range l {
		if o := &l[i]; o.ID == id {
			o.More = min(o.More, max(epoch-1-o.Epoch, 0))
		}
	}
	return l
}

// add takes in a numbering of which lines up to last are accounted for. What is being
// counted stays as it is.
func (l *Lefts) add(n Left, counting bool) {
	if k := len(*l) - 1; k >= 0 && !counting && n.Last < 0 {
		if o := &(*l)[k]; o.ID == n.ID && int(o.Epoch)+int(o.More)+1 == int(n.Epoch) {
			o.More++
			return
		}
	}
	*l = append(*l, n)
}

// late is how many of the records are not accounted for.
func (l Lefts) late(id int64, b Stored) int64 {
	for _, o := range l {
		if o.ID != id || b.Epoch < o.Epoch || int(b.Epoch) > int(o.Epoch)+int(o.More) {
			continue
		}
		last := int64(-1)
		if b.Epoch == o.Epoch {
			last = o.Last
		}
		n := int64(len(b.Lines))
		return min(n, max(0, numberNear(max(last, 0), b.FirstSequence)+n-1-last))
	}
	return 0
}

// count reads how many records of them are in the log that are not accounted for: all of
// a producer id at once, whatever the number of epochs.
func (l Lefts) count(ctx context.Context, t Topic, partition int32) (records int64, err error) {
	for i, o := range l {
		if i > 0 && o.ID == l[i-1].ID {
			continue
		}
		from := o.Offset
		for _, later := range l[i+1:] {
			if later.ID == o.ID {
				from = min(from, later.Offset)
			}
		}
		_, err = t.Scan(ctx, partition, from+1, o.ID, EveryEpoch, func(b Stored) error {
			records += l.late(o.ID, b)
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return records, nil
}

// count looks for what came of numberings that were left, once the leader has taken
// something of this one and nothing more of them can come.
func (s *Shipper) count(l *lane) {
	if len(l.left) == 0 || l.counting || l.final < 0 {
		return
	}
	l.counting = true
	s.counting++
	e := event{lane: l, kind: eventLeft, left: l.left[:len(l.left):len(l.left)]}
	go func() {
		e.records, e.err = e.left.count(s.work, s.o.Topic, l.partition)
		s.events <- e
	}()
}

// counted takes note of it. Numberings that were left meanwhile are counted next.
func (s *Shipper) counted(e event) {
	l := e.lane
	s.counting--
	l.counting = false
	if e.err != nil {
		return // after the next answer
	}
	l.left = slices.Clone(l.left[len(e.left):])
	s.order.moved = true
	if e.records > 0 {
		s.o.Log.Error().Int32("partition", l.partition).Int64("records", e.records).
			Msg("lines that were sent before the last numbering arrived after it began: each is in the topic twice, or no longer in the log")
		s.metrics.late.Add(float64(e.records))
	}
}
