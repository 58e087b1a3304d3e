package ship

import (
	"context"
	"slices"
)

// search is what a found was found with.
type search struct {
	begins int64 // offset before the first of the records after the last final line
	read   int64 // up to here the log was read
	// missing is whether records before that had been deleted that may have been ours.
	missing bool
	// anchored is whether one of ours up to the last final line is where it should be, and
	// all whether the log was read from its start on because it may not be.
	anchored, all bool
}

// search reads the log, up to the high watermark, for what it holds of the numbering
// after the last final line: from that line's offset on, or all of it, where the offset
// may be another record's by now. Where the last final line is not there any more, last is
// lower than it. What was found before is not read again.
func (q question) search(ctx context.Context, t Topic, f *found, all bool) (*found, Log, error) {
	again := f == nil || f.last < q.final || all && !f.all
	if again {
		f = &found{id: q.id, epoch: q.epoch, last: q.final, offset: q.offset, search: search{begins: q.offset, read: q.offset, all: all}}
		if all {
			f.last, f.read = -1, 0
		}
	}
	log, err := t.Scan(ctx, q.partition, f.read, q.id, q.epoch, func(b Stored) error { return f.take(q, b) })
	switch {
	case err != nil:
		return f, log, err
	case log.HighWatermark <= q.offset && !f.all:
		return q.search(ctx, t, nil, true) // where the last final line was there is nothing any more
	case !again:
		f.missing = f.missing || log.Start > f.read
	case !all:
		f.missing = log.Start > q.offset+1
	case f.last < 0:
		f.offset = min(q.offset, log.HighWatermark-1)
	}
	f.read = max(f.read, log.HighWatermark)
	return f, log, nil
}

// take takes records in.
func (f *found) take(q question, b Stored) error {
	first := numberNear(q.final, b.FirstSequence)
	last := first + int64(len(b.Lines)) - 1
	f.anchored = f.anchored || first <= q.final && b.BaseOffset <= q.offset
	switch {
	case last <= f.last:
		return nil // from before, or stored twice
	case last > q.most:
		return q.foreign(Producer{Epoch: q.epoch}, last)
	}
	if known := max(f.last, q.final); last > known {
		if len(f.sums) == 0 {
			f.begins = b.BaseOffset + max(known+1-first, 0) - 1
		}
		for ; known+1 < first; known++ { // the log's start has moved past these
			f.sums = append(f.sums, claim{any: true})
		}
		for _, line := range b.Lines[known+1-first:] {
			f.sums = append(f.sums, claimOf(line))
		}
	}
	f.last, f.offset = last, b.BaseOffset+int64(len(b.Lines))-1
	return nil
}

// unread tells whether there are lines whose content can't be known any more.
func (f *found) unread() bool { return slices.Contains(f.sums, claim{any: true}) }

// gap tells whether there are such lines though nothing was deleted: a leader takes none
// but the next, so they are at lower offsets than were read.
func (f *found) gap() bool { return !f.all && !f.missing && f.unread() }
