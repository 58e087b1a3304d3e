package ship

import (
	"errors"
	"fmt"
)

// patience is how many looks at a log are had before it is said what is waited for.
const patience = confirmations + 3

// watch is what a log's leader has told again and again.
type watch struct {
	log   Log
	last  int64 // the number of our last line below the high watermark
	same  int   // looks in a row that have shown that
	looks int
}

// settled takes one more look and tells whether a leader that does not know our producer
// id can hold nothing of it above the high watermark.
//
// What it has appended itself it knows, as long as it does not forget ids. What it had
// when it became the leader is below the high watermark that it tells of from the
// moment on that it knows how far the others are (KIP-207, Kafka 2.2; it refuses to
// tell before). For leaders before that, and for those that have lost what they knew
// with a restart, the high watermark has to stand still; or, where others append, to
// rise past what is ours in the same leader epoch, time and again, with nothing of
// ours coming. Where fewer replicas are in sync than have to be it says nothing: a
// request may be held for as long as that lasts.
func (w *watch) settled(log Log, last int64) bool {
	still := w.same > 0 && log == w.log
	switch {
	case log.InSync < log.MinInSync:
		w.same = 0
	case w.same > 0 && log.LeaderEpoch == w.log.LeaderEpoch && log.HighWatermark >= w.log.HighWatermark && last == w.last:
		w.same++
	default:
		w.same = 1
	}
	w.log, w.last = log, last
	w.looks++
	return w.same > 0 && still || w.same >= confirmations
}

// leaderError is a partition whose leader can't be gone on with for now.
type leaderError string

func (e leaderError) Error() string { return string(e) }

const errLeader = leaderError("leader changed while it was asked what it holds")

// waits says what is waited for.
func (q question) waits(w watch, last int64, unknown bool) error {
	switch l := w.log; {
	case l.InSync < l.MinInSync:
		return leaderError(fmt.Sprintf("partition %d: waiting for replicas to know what is there: %d of %d are in sync, min.insync.replicas is %d", q.partition, l.InSync, l.Replicas, l.MinInSync))
	case unknown:
		return leaderError(fmt.Sprintf("partition %d: waiting for its log to settle: the leader does not know producer id %d, and lines up to %d may be under way", q.partition, q.id, q.most))
	}
	return leaderError(fmt.Sprintf("partition %d: waiting for line %d of producer id %d, which the leader holds: up to the high watermark is line %d", q.partition, last, q.id, w.last))
}

// withOwn is a classification that knows the errors of this package too.
func withOwn(class func(error) string) func(error) string {
	return func(err error) string {
		if own := leaderError(""); errors.As(err, &own) {
			return Leader
		}
		return class(err)
	}
}
