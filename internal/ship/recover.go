package ship

import (
	"cmp"
	"context"
	"time"
)

// confirmations is how often a leader has to give an answer that would end the
// shipping: one that was just deposed does not know it yet.
const confirmations = 5

// question is what has to be known of a partition before anything is sent to it
// under a numbering: the number of the last line that is there.
type question struct {
	partition int32
	id        int64
	epoch     int16
	final     int64 // the highest number that is known to be final
	offset    int64 // before every record of the numbering above final
	most      int64 // the highest number that may have been sent
	// careful is whether what the leader says can't be checked by appending the next
	// line to it: lines that were sent may not be in the log any more.
	careful bool
	// fresh is whether that is so because the machine was started anew: what the topic
	// holds and can't be read may stand for lines that are not in the log any more.
	fresh bool
}

// found is the answer: what is there for good.
type found struct {
	id           int64 // for a lane that had none, with
	epoch        int16
	last, offset int64
	sums         []claim // of the numbers after question.final
	// lost is how many lines after last were acknowledged by the cluster and are gone.
	lost int64
	// unknown is whether the leader does not know the producer id.
	unknown bool
	search
}

// way is the connection over which a leader is asked, and batches go then.
type way struct {
	Appender // nil while there is none
	open     func(context.Context) (Appender, error)
	stamp    int64 // of the last batch that the leader has
}

// connect makes the connection, asking who leads the partition, anew if there is one.
func (w *way) connect(ctx context.Context) (err error) {
	if w.Appender != nil {
		w.Retire()
		w.leave()
	}
	w.Appender, err = w.open(ctx)
	return err
}

// leave gives it up. Nothing was sent.
func (w *way) leave() {
	if w.Appender != nil {
		_ = w.Close()
		w.Appender = nil
	}
}

// agrees tells whether a log was told of by the leader that the connection was made to.
func (w *way) agrees(log Log) bool {
	return log.LeaderEpoch < 0 || w.LeaderEpoch() < 0 || log.LeaderEpoch == w.LeaderEpoch()
}

// ask finds out. It asks over the connection that batches will go over, so that
// they meet what it has told of, or fail. It blocks until the answers make sense, or
// tells after a while what is waited for; a *RefusedError says that nothing may be sent.
//
// A broker that was deposed answers as if it led, and may not know who does. So an
// answer that nothing would show to be wrong is asked for again and again over other
// connections, and believed only where the leader of the partition's log is of the
// same epoch.
//
// What a leader holds beyond the last final line may still be lost with it. So it
// counts only once it is below the high watermark, where it is read and each line's
// content noted.
func (q question) ask(ctx context.Context, to *way, t Topic, classOf func(error) string, delay func(int) time.Duration) (*found, error) {
	doubts, same, moved := 0, 0, 0
	anew := false
	var f *found
	var w watch
	all := false // the log is searched from its start on
	for n := 1; ; n++ {
		if n > 1 {
			if err := sleep(ctx, delay(min(n, confirmations)-1)); err != nil {
				return nil, err
			}
		}
		if anew {
			if err := to.connect(ctx); err != nil {
				return nil, err
			}
			anew = false
		}
		p, err := to.Producer(ctx, q.id)
		to.stamp = max(to.stamp, p.LastTimestamp)
		unknown := err != nil && classOf(err) == Unsupported || err == nil && !p.Known
		if err != nil && !unknown {
			return nil, err
		}
		last := numberNear(q.final, p.LastSequence)
		if p.Epoch < q.epoch {
			last = -1 // nothing of this numbering has arrived
		}
		switch {
		case unknown:
		case p.Epoch > q.epoch, last > q.most:
			if doubts++; doubts == confirmations {
				return nil, q.foreign(p, last)
			}
			anew = true
			continue
		case last < q.final:
			if doubts++; doubts == confirmations {
				log, err := t.Log(ctx, q.partition)
				if err == nil && !to.agrees(log) {
					err = errLeader
				}
				return q.lost(last, log), err
			}
			anew = true
			continue
		case last == q.final:
			if same++; q.careful && same < confirmations {
				anew = true // a leader that was deposed would say so too
				continue
			}
			if q.careful {
				if log, err := t.Log(ctx, q.partition); err != nil || !to.agrees(log) {
					return nil, cmp.Or(err, error(errLeader))
				}
			}
			return &found{id: q.id, epoch: q.epoch, last: last, offset: q.offset}, nil
		}
		var log Log
		if f, log, err = q.search(ctx, t, f, all); err != nil {
			return nil, err
		}
		f.unknown = unknown
		if !to.agrees(log) { // what two leaders say does not go together
			if moved++; moved == confirmations {
				return nil, errLeader
			}
			anew, f, w = true, nil, watch{}
			continue
		}
		settled := w.settled(log, f.last)
		switch {
		case f.gap():
			all = true
		case q.fresh && f.unread():
			return nil, q.undecidable(log)
		case !unknown && f.last == last:
			return f, nil
		case unknown && f.last == q.final && q.most <= q.final:
			return f, nil // nothing was sent that could be anywhere
		case !settled:
			// A leader may hold more than it tells of: it learns late how far the others
			// are, and what it holds above the high watermark counts no sooner.
		case f.last < q.final: // where the last final line was there is nothing any more
			if doubts++; unknown && doubts >= confirmations {
				return q.lost(f.last, log), nil
			}
		case !unknown && f.last < last && !f.missing:
			// It is to be replicated. Or it is not where it should be: records of before it
			// were lost, and their offsets are others' now.
			all = all || w.same >= confirmations && !f.anchored && log.Start <= q.offset
		case !unknown && f.last < last && w.same < confirmations:
			// Some were deleted. Others may be to be replicated still: these would show.
		case !unknown && f.last < last:
			if q.careful {
				return nil, q.undecidable(log)
			}
			for f.last < last { // deleted again; the leader's word has to do
				f.sums = append(f.sums, claim{any: true})
				f.last++
			}
			return f, nil
		case f.last == q.final && f.missing && q.most > q.final:
			return nil, q.undecidable(log)
		default:
			return f, nil
		}
		if w.looks >= patience {
			return nil, q.waits(w, last, unknown)
		}
	}
}

// lost is the answer that the lines after last are gone. What comes next may get an
// offset that was another record's before.
func (q question) lost(last int64, log Log) *found {
	return &found{id: q.id, epoch: q.epoch, last: last, offset: min(q.offset, log.HighWatermark-1), lost: q.final - last}
}

// foreign is the refusal for what only somebody else can have sent.
func (q question) foreign(p Producer, last int64) error {
	if p.Epoch > q.epoch {
		return refusef(remedyAdopt, "partition %d: producer id %d is used with epoch %d, ours is %d: another logship has a copy of this state",
			q.partition, q.id, p.Epoch, q.epoch)
	}
	return refusef(remedyAdopt, "partition %d: the topic holds line %d of producer id %d, at most %d was sent from here: another logship has a copy of this state, or the state is an old one",
		q.partition, last, q.id, q.most)
}

func (q question) undecidable(log Log) error {
	return refusef(remedyDecide, "partition %d: whether lines %d to %d of producer id %d are in the topic can't be known: its log begins at offset %d, behind offset %d of the last line that is known to be there",
		q.partition, q.final+1, q.most, q.id, log.Start, q.offset)
}

const (
	remedyAdopt  = "`logship adopt` tells what can be done"
	remedyDecide = "decide with `logship adopt --resend` (what may be there comes twice) or `logship adopt --skip` (what may be missing stays so)"
)

// begin prepares a numbering of which nothing was sent: everything that will be is
// behind the log's present end. It asks the leader too, though there is nothing to
// know: who may not ask could not find out what became of a batch.
func begin(ctx context.Context, a Appender, t Topic, q question, classOf func(error) string) (*found, error) {
	f := &found{id: q.id, epoch: q.epoch, last: -1}
	if q.id < 0 {
		var err error
		if f.id, f.epoch, err = t.ProducerID(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := a.Producer(ctx, f.id); err != nil && classOf(err) != Unsupported {
		return nil, err
	}
	log, err := t.Log(ctx, q.partition)
	if err != nil {
		return nil, err
	}
	f.offset = log.HighWatermark - 1
	return f, nil
}

// sleep waits, or returns why it should not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
