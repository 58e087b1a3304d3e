package ship

import (
	"hash/maphash"
	"math"
	"slices"
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

// mostLines bounds a batch of very short lines.
const mostLines = 1 << 20

// lane is the way of lines to one partition: its numbering, what waits, and the
// window of batches that were cut and have no answer yet. The shipper's loop owns
// it; only its session, and questions to the leader, run beside.
type lane struct {
	partition int32

	// The numbering; see LaneState.
	id     int64 // producer id, -1 before the first
	epoch  int16
	before int64 // number of the last line behind the frontier
	final  int64
	offset int64
	boot   string
	next   int64 // number of the first line that is in no batch
	sent   int64 // highest number that this process sent

	reserved [2]int64 // in the older and in the newer of the slots
	ahead    int64    // how far the next reservation goes
	marked   int64    // next, a tick ago

	starts []Start // of files behind the frontier, and
	barred int64   // the first line of one of them that is not in both slots, or of none

	claims   claims
	fresh    bool  // the machine may have lost lines that were sent
	loaded   int64 // highest number that an earlier process may have sent
	left     Lefts // to be counted
	counting bool
	answered bool // the leader was asked in this run
	careful  bool // it has to give its answer several times
	sure     bool // it has
	unknown  bool // and did not know the producer id
	resumed  bool // what it holds was compared since the connection was made
	wanted   bool // it has to be asked, though there is nothing to send

	waiting []piece
	window  []*batch
	flying  []*batch // handed to the session, in order; answers come in this order
	unsent  int      // the last so many of window have to be sent (again)
	limit   int      // most lines of a batch; shrinks after a refusal for size
	inRow   int      // lines that were left out with nothing taken between
	refused int64    // a line that the leader refused, alone; -1 if none

	receipts receipts // to be held against the topic
	proven   bool     // the leader took a batch since the connection was made
	took     time.Time
	state    laneState
	retrying bool      // down, and waiting to try again
	leaving  bool      // closing because there is nothing to send
	asking   bool      // the tripwire's question is under way
	looks    int       // that are due: what one is told may be a second old
	seen     time.Time // when its last answer came
	lastSent time.Time
	used     time.Time
	session  *session
	attempts int // failures in a row
	disorder int // of them, answers that a sequence is out of order
	err      error
}

type laneState int

const (
	laneDown    laneState = iota // nothing to send yet, or trying again later
	laneOpening                  // connecting, and asking what the leader holds
	laneOpen
	laneClosing // waiting for the callbacks of a broken connection
)

// piece is lines of a chunk that wait to be cut into batches.
type piece struct {
	chunk *chunk
	lines [][]byte
}

// batch is lines with fixed numbers. Once sent its content never changes, so that
// a leader can recognise it.
type batch struct {
	first  int64
	lines  [][]byte
	pieces []piece
	sent   time.Time // last
}

func (b *batch) last() int64 { return b.first + int64(len(b.lines)) - 1 }

// newLane returns the lane that goes on from a stored state, unverified.
func newLane(partition int32, st LaneState) *lane {
	return &lane{
		partition: partition,
		id:        st.ID, epoch: st.Epoch, before: st.Before, final: st.Final, offset: st.Offset, boot: st.Boot, left: st.Left.before(st.ID, st.Epoch),
		next: st.Before + 1, sent: st.Final, loaded: st.Reserved,
		// Nothing may be sent before both slots are known to say so.
		reserved: [2]int64{st.Final, st.Final},
		claims:   claims{checked: st.Final},
		marked:   st.Before + 1,
		limit:    mostLines, refused: -1,
		starts: slices.Clone(st.Starts), barred: math.MaxInt64,
	}
}

// noNumbering is the state of a lane that has sent nothing.
func noNumbering() LaneState {
	return LaneState{ID: -1, Before: -1, Final: -1, Offset: -1, Reserved: -1}
}

// virgin tells whether nothing of the numbering can ever have been sent.
func (l *lane) virgin() bool {
	return max(l.final, l.loaded, l.sent, l.reserved[0], l.reserved[1]) < 0
}

// add queues lines of a chunk. Those that the topic holds already are final, and
// go no further.
func (l *lane) add(c *chunk, lines [][]byte) { l.waiting = append(l.waiting, piece{c, lines}) }

func (l *lane) idle() bool { return len(l.waiting) == 0 && len(l.window) == 0 && !l.wanted }

// doubtful tells whether an earlier process may have sent lines of which nothing is
// known yet.
func (l *lane) doubtful() bool { return !l.answered && l.loaded > l.final }

// comparing tells whether the topic holds records that no line of the log was held
// against yet.
func (l *lane) comparing() bool { return l.next <= l.claims.last() }

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

// may is the highest number that may be sent: what a slot does not cover could be
// taken for another line's after a crash.
func (l *lane) may() int64 { return min(l.reserved[0], l.reserved[1], l.barred-1) }

// begin takes note of the number that the first line of a file will get. Its lines may
// not be sent before that is in both slots: the files before it may be gone after a
// crash, and with them the lines to count.
func (l *lane) begin(generation int64) {
	number := l.next
	for _, p := range l.waiting {
		number += int64(len(p.lines))
	}
	for _, s := range l.starts {
		if s.Generation == generation {
			return // it was found out by a run before, or for another decision
		}
	}
	l.starts = append(l.starts, Start{generation, number})
	l.barred = min(l.barred, number)
}

// unlearn forgets the numbers of files from a generation on. They are of a numbering
// that has ended, or count lines that are not in the log any more; none of those files
// was read by this process.
func (l *lane) unlearn(generation int64) {
	l.starts = slices.DeleteFunc(l.starts, func(s Start) bool { return s.Generation >= generation })
}

// beginsWith tells whether it is known that a file begins with a number.
func (l *lane) beginsWith(generation, number int64) bool {
	return slices.Contains(l.starts, Start{generation, number})
}

// goesOn goes on with the first line of a file, if its number is known and everything
// before it is there. Lines that come before it and are not in the log any more are in
// the topic then.
func (l *lane) goesOn(generation int64) bool {
	for _, s := range l.starts {
		if s.Generation == generation && s.Number >= l.next && max(l.claims.last(), l.final) >= s.Number-1 {
			l.next = s.Number
			l.before, l.final = s.Number-1, max(l.final, s.Number-1)
			return true
		}
	}
	return false
}

// cut makes the next batch from what waits, at most maxBytes large, of lines up to
// the number most. It is nil if there is none.
func (l *lane) cut(maxBytes int, most int64) *batch {
	limit := int(min(int64(l.limit), most-l.next+1, l.wants(maxBytes)))
	if limit <= 0 {
		return nil
	}
	limit -= uneven(limit, l.next)
	b := &batch{first: l.next}
	room := maxBytes - batchOverhead
	for len(l.waiting) > 0 && room > 0 && len(b.lines) < limit {
		p := &l.waiting[0]
		n := 0
		for n < len(p.lines) && len(b.lines)+n < limit {
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
		l.take(n)
	}
	l.next += int64(len(b.lines))
	return b
}

// uneven is how many lines fewer than n a batch has, at most an eighth. Of two processes
// with copies of a state that send as fast as they can, the batches are not the same
// then: one's is out of order where it would pass for a duplicate of the other's.
func uneven(n int, first int64) int {
	if n < 4 {
		return 0
	}
	return int(maphash.Comparable(seed, first) % uint64(n/8+2))
}

// take removes the first n lines of the first waiting piece.
func (l *lane) take(n int) {
	p := &l.waiting[0]
	if n < len(p.lines) {
		p.lines = p.lines[n:]
		return
	}
	*p = piece{}
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
}

// wants is how many lines the next batch would have without a reservation.
func (l *lane) wants(maxBytes int) int64 {
	n, room := 0, maxBytes-batchOverhead
	for _, p := range l.waiting {
		for _, line := range p.lines {
			if room -= len(line) + recordOverhead; room < 0 || n == l.limit {
				return int64(max(n, 1))
			}
			n++
		}
	}
	return int64(n)
}

// uncut takes back the window from batch i on: none of those was appended, or all
// of them will be sent again under the same numbers.
func (l *lane) uncut(i int) {
	if i == len(l.window) {
		return
	}
	var back []piece
	for _, b := range l.window[i:] {
		back = append(back, b.pieces...)
	}
	l.waiting = append(back, l.waiting...)
	l.next = l.window[i].first
	clear(l.window[i:])
	l.window = l.window[:i]
	l.unsent = min(l.unsent, i)
}

// renumber begins a new numbering in which the line of number first gets 0, and
// every line before it is final. The next epoch of the same producer id shuts out
// whatever was sent under this one and has not arrived yet, from the moment the
// leader takes the first batch. Nothing may be sent before both slots have it.
//
// With doubt, requests of the old numbering may carry lines that are no longer in
// the log, or that get other numbers now: what comes of them is counted later.
func (l *lane) renumber(first int64, doubt bool) {
	if len(l.window) > 0 {
		panic("ship: lines with a number get another one")
	}
	if !l.virgin() {
		if doubt {
			l.left.add(Left{ID: l.id, Epoch: l.epoch, Last: l.final, Offset: l.offset}, l.counting)
		}
		if l.epoch++; l.epoch < 0 { // 32767 were used
			l.id, l.epoch = -1, 0
		}
	}
	l.before -= first
	l.next -= first
	l.marked = l.next
	l.claims = claims{checked: -1}
	l.final, l.sent, l.loaded, l.offset = -1, -1, -1, -1
	l.reserved = [2]int64{-1, -1}
	for i := range l.starts {
		l.starts[i].Number -= first
	}
	l.sure = false
	l.ahead, l.refused = 0, -1
	l.proven, l.fresh, l.receipts = false, false, receipts{}
}

// settle takes note that the batches of the window up to the number are final.
func (l *lane) settle(number int64, done func(*batch)) {
	n := 0
	for n < len(l.window) && l.window[n].last() <= number {
		done(l.window[n])
		l.window[n] = nil // nothing may keep its lines in memory
		n++
	}
	if l.window = l.window[n:]; len(l.window) == 0 {
		l.window = nil
	}
	l.unsent = min(l.unsent, len(l.window))
	l.final = max(l.final, number)
}
