package ship

import (
	"context"
	"errors"
	"time"
)

// receiptSize bounds the bytes of lines for which receipts are kept between two
// looks: all of a slow log, of a fast one a sample.
const receiptSize = 64 << 10

// receipts are acknowledged batches that were not held against the topic yet. Where
// two processes send different lines under the same numbers at the same pace, each
// batch of the slower is acknowledged as a duplicate of the other's, and what the
// leader holds is never more than was sent: only the content tells.
type receipts struct {
	base  int64 // offset of the first
	lines []receipt
	bytes int
	over  bool // there were more than fit

	passed int // looks at which there were more than fit
}

type receipt struct {
	number int64
	claim  claim
}

// add takes a batch in, if there is room.
func (r *receipts) add(base int64, b *batch) {
	if r.bytes >= receiptSize {
		r.over = true
		return
	}
	if len(r.lines) == 0 {
		r.base = base
	}
	for i, line := range b.lines {
		if r.bytes += len(line) + recordOverhead; r.bytes > receiptSize && i > 0 {
			return
		}
		r.lines = append(r.lines, receipt{b.first + int64(i), claimOf(line)})
	}
}

// checksASecond bounds how many shippers of a process have receipts checked in a
// second, and seldom is one in how many looks those of a fast log are: two that send
// as fast as they can don't stay at the same pace.
const (
	checksASecond = 50
	seldom        = 10
)

// due takes those receipts that are checked with this look. Those of a slow log are
// kept if it is not its turn.
func (r *receipts) due(g *Group, now time.Time) (due receipts) {
	if r.over {
		r.passed++
	}
	switch {
	case r.over && r.passed%seldom != 1: // the first is not left out: copies begin together
		*r = receipts{passed: r.passed}
	case len(r.lines) > 0 && g.mayCheck(now):
		due, *r = *r, receipts{passed: r.passed}
	}
	return due
}

// others are lines of somebody else that the topic holds in the place of ours.
type others struct {
	lines       int
	first, last int64 // their numbers
	offset      int64 // of the first
}

var errEnough = errors.New("all receipts were held against the topic")

// check counts the lines that the topic holds under the numbers of receipts and that
// are not those that were sent.
func (r *receipts) check(ctx context.Context, t Topic, partition int32, id int64, epoch int16) (o others, err error) {
	if len(r.lines) == 0 {
		return o, nil
	}
	rest := r.lines
	_, err = t.Scan(ctx, partition, r.base, id, epoch, func(b Stored) error {
		first := numberNear(rest[0].number, b.FirstSequence)
		for i, line := range b.Lines {
			number := first + int64(i)
			for rest[0].number < number {
				if rest = rest[1:]; len(rest) == 0 {
					return errEnough
				}
			}
			if rest[0].number != number || rest[0].claim == claimOf(line) {
				continue
			}
			if o.lines == 0 {
				o.first, o.offset = number, b.BaseOffset+int64(i)
			}
			o.lines++
			o.last = number
		}
		if first+int64(len(b.Lines)) > r.lines[len(r.lines)-1].number {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return o, err
}
