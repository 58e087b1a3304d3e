package ship

import (
	"context"
	"time"
)

// maxInFlight is how many batches a leader remembers per producer id. One more
// would not be recognised as a duplicate when it is sent again.
const maxInFlight = 5

// forgetful is well below the time after which a leader forgets a producer id
// that sends nothing (producer.id.expiration.ms, a day by default).
const forgetful = time.Hour

// recordOverhead is the most that a record takes beside its value: length,
// attributes, timestamp and offset deltas, null key, value length, no headers.
const recordOverhead = 21

// batchOverhead is the header of a record batch (61 bytes) and what a codec may
// add to text it can't compress.
const batchOverhead = 1024

// lane is the way of lines to one partition: what waits, and the window of
// batches that were sent and have no answer yet. The shipper's loop owns it; only
// its session runs beside.
type lane struct {
	partition int32
	id        int64 // producer id, -1 before the first
	epoch     int16
	sequence  int32 // of the next line that joins the window
	proven    bool  // the leader took a batch since the connection was made
	took      time.Time

	waiting []piece
	window  []*batch
	unsent  int // the last so many of window have to be sent (again)
	limit   int // most lines of a batch; shrinks after a refusal for size

	state    laneState
	retrying bool // down, and waiting to try again
	leaving  bool // closing because there is nothing to send
	used     time.Time
	session  *session
	attempts int // failures in a row
	err      error
}

type laneState int

const (
	laneDown    laneState = iota // nothing to send yet, or trying again later
	laneOpening                  // connecting
	laneOpen
	laneClosing // waiting for the callbacks of a broken connection
)

// piece is lines of a chunk that wait to be cut into batches.
type piece struct {
	chunk *chunk
	lines [][]byte
}

// batch is lines with fixed sequences. Once sent its content never changes, so
// that a leader can recognise it.
type batch struct {
	first  int32
	lines  [][]byte
	pieces []piece
}

// session is one connection and the goroutine that feeds it: Append may block.
type session struct {
	appender Appender
	batches  chan Batch
	pending  int // callbacks to come
	broken   bool
}

// event is something that happened beside the loop.
type event struct {
	lane    *lane
	session *session
	kind    eventKind
	err     error

	id    int64 // of eventOpened
	epoch int16

	partitions int32 // of eventDescribed
	maxBytes   int
}

type eventKind int

const (
	eventOpened   eventKind = iota // session, or err
	eventAnswered                  // the next batch of the session, or err
	eventClosed
	eventRetry
	eventDescribed // the topic, or err
	eventDescribe
)

func newLane(partition int32) *lane {
	return &lane{partition: partition, id: -1, limit: 1 << 20}
}

// add queues lines of a chunk.
func (l *lane) add(c *chunk, lines [][]byte) { l.waiting = append(l.waiting, piece{c, lines}) }

func (l *lane) idle() bool { return len(l.waiting) == 0 && len(l.window) == 0 }

// depth is how many batches may be in flight. Before the leader has taken one
// since the connection was made, only one: a partition that does not know the
// producer id takes any first sequence, so that of several sent together a later
// one would be stored in place of a refused first. After a long silence the
// leader may have forgotten the id (by default after a day), so it is the same.
func (l *lane) depth(now time.Time) int {
	if l.proven && now.Sub(l.took) < forgetful {
		return maxInFlight
	}
	return 1
}

// cut makes the next batch from what waits, at most maxBytes large.
func (l *lane) cut(maxBytes int) *batch {
	b := &batch{first: l.sequence}
	room := maxBytes - batchOverhead
	for len(l.waiting) > 0 && room > 0 && len(b.lines) < l.limit {
		p := &l.waiting[0]
		n := 0
		for n < len(p.lines) && len(b.lines)+n < l.limit {
			need := len(p.lines[n]) + recordOverhead
			if need > room && len(b.lines)+n > 0 {
				room = 0
				break
			}
			room -= need
			n++
		}
		if n == 0 {
			break
		}
		b.lines = append(b.lines, p.lines[:n]...)
		b.pieces = append(b.pieces, piece{p.chunk, p.lines[:n]})
		if n < len(p.lines) {
			p.lines = p.lines[n:]
			break
		}
		l.waiting[0] = piece{}
		if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
			l.waiting = nil
		}
	}
	l.sequence = nextSequence(l.sequence, len(b.lines))
	return b
}

// uncut takes back the window from batch i on: none of those was appended.
func (l *lane) uncut(i int) {
	var back []piece
	for _, b := range l.window[i:] {
		back = append(back, b.pieces...)
	}
	l.waiting = append(back, l.waiting...)
	l.sequence = l.window[i].first
	clear(l.window[i:])
	l.window = l.window[:i]
	l.unsent = min(l.unsent, i)
}

// dropFirst takes the first waiting line out and returns it.
func (l *lane) dropFirst() []byte {
	p := &l.waiting[0]
	line := p.lines[0]
	if p.lines = p.lines[1:]; len(p.lines) == 0 {
		*p = piece{}
		l.waiting = l.waiting[1:]
	}
	return line
}

// start feeds the appender with what comes on batches, until that is closed.
func (s *session) start(l *lane, events chan<- event) {
	go func() {
		for b := range s.batches {
			s.appender.Append(b, func(_ int64, err error) {
				events <- event{lane: l, session: s, kind: eventAnswered, err: err}
			})
		}
	}()
}

// close breaks the connection beside the loop; eventClosed follows the last
// answer.
func (s *session) close(l *lane, events chan<- event) {
	s.broken = true
	close(s.batches)
	go func() {
		_ = s.appender.Close() // nobody can do anything about it; what was in flight has its own error
		events <- event{lane: l, session: s, kind: eventClosed}
	}()
}

// open connects beside the loop and, if need be, gets a producer id first.
func (l *lane) open(ctx context.Context, t Topic, events chan<- event) {
	l.state = laneOpening
	id, epoch, partition := l.id, l.epoch, l.partition
	go func() {
		e := event{lane: l, kind: eventOpened}
		if id < 0 {
			id, epoch, e.err = t.ProducerID(ctx)
		}
		if e.err == nil {
			var a Appender
			if a, e.err = t.Open(ctx, partition); e.err == nil {
				e.session = &session{appender: a, batches: make(chan Batch, maxInFlight)}
			}
		}
		e.id, e.epoch = id, epoch
		events <- e
	}()
}
