package torture

import (
	"fmt"
	"sync"
)

// piece is line(seq)[from:to]: all of a line, or the part of one that a
// truncation or the end of a file has left.
type piece struct {
	seq      uint32
	from, to uint16
}

// cause is why bytes may be missing without the reader's doing.
type cause int

const (
	none      cause = iota
	window          // written between the copier's last read and its truncation
	truncated       // there when a file was truncated in place
	deleted         // in a file that was deleted before the reader had it, or had all of it
	causes
)

// epoch is what was written to one file from its creation or truncation to the
// next truncation: what the reader sees as a log file of its own.
type epoch struct {
	number int
	pieces []piece
	times  []uint8 // how often each was read
	size   int64
	// Pieces from may on need not be read, because of cause: the reader may have
	// been too late. -1 if all have to.
	may   int
	cause cause
	// gone says that no name leads to the file: whoever lets go of it has lost it.
	gone bool
	// closed says that nothing more will be written.
	closed  bool
	settled int // pieces before it were read
}

// spot is where a piece is.
type spot struct{ epoch, piece int32 }

func (s spot) before(o spot) bool {
	return s.epoch < o.epoch || s.epoch == o.epoch && s.piece < o.piece
}

// ledger is what was written, piece by piece and in order, and how often each
// piece was read. What is lost by the rotation itself stands in it too.
type ledger struct {
	mu     sync.Mutex
	text   *text
	next   uint32
	epochs []*epoch
	whole  []spot            // of each line that is in one piece; epoch -1 otherwise
	parts  map[string][]spot // pieces that are not, by what the reader has to find
	bytes  int64

	audit
}

func newLedger(t *text) *ledger {
	return &ledger{text: t, parts: make(map[string][]spot), audit: audit{last: spot{-1, -1}}}
}

// begin adds an epoch.
func (l *ledger) begin() *epoch {
	e := &epoch{number: len(l.epochs), may: -1}
	l.epochs = append(l.epochs, e)
	return e
}

// number is the number of the next line.
func (l *ledger) number() uint32 {
	l.whole = append(l.whole, spot{-1, -1})
	l.next++
	return l.next - 1
}

// add adds a piece of a line to the end of an epoch.
func (l *ledger) add(e *epoch, p piece) {
	e.size += int64(p.to - p.from)
	l.bytes += int64(p.to - p.from)
	n := len(e.pieces)
	if n > 0 && e.pieces[n-1].seq == p.seq && e.pieces[n-1].to == p.from {
		e.pieces[n-1].to = p.to
		p = e.pieces[n-1]
		n--
	} else {
		e.pieces, e.times = append(e.pieces, p), append(e.times, 0)
	}
	if int(p.to) < l.text.length(p.seq) {
		return // there may be more of it
	}
	at := spot{int32(e.number), int32(n)}
	if p.from == 0 {
		l.whole[p.seq] = at
		return
	}
	l.part(p, at)
}

// part notes what the reader has to find of a line that is not whole.
func (l *ledger) part(p piece, at spot) {
	raw := string(l.text.line(nil, p.seq)[p.from:p.to])
	l.parts[raw] = append(l.parts[raw], at)
}

// close says that nothing more is written to an epoch. A line that is not
// finished stays so.
func (l *ledger) close(e *epoch) {
	if e.closed {
		return
	}
	e.closed = true
	if n := len(e.pieces); n > 0 && int(e.pieces[n-1].to) < l.text.length(e.pieces[n-1].seq) {
		l.part(e.pieces[n-1], spot{int32(e.number), int32(n - 1)})
	}
}

// truncate ends an epoch of whose bytes only the first kept are in a copy.
func (l *ledger) truncate(e *epoch, kept int64, why cause) {
	l.close(e)
	if kept >= e.size {
		return
	}
	i, end := len(e.pieces), e.size
	for i > 0 && end > kept {
		i--
		p := e.pieces[i]
		end -= int64(p.to - p.from)
	}
	// Piece i begins at end and goes beyond the copy; its first part may be in it.
	if end < kept {
		p := e.pieces[i]
		p.to = p.from + uint16(kept-end)
		l.part(p, spot{int32(e.number), int32(i)})
		i++
	}
	l.excuse(e, i, why)
}

// excuse says that the pieces of an epoch from the given one on need not be read.
func (l *ledger) excuse(e *epoch, from int, why cause) {
	if e.may < 0 || from < e.may {
		e.may, e.cause = from, why
	}
}

// unread is the first piece of an epoch that was not read.
func (l *ledger) unread(e *epoch) int {
	for e.settled < len(e.pieces) && e.times[e.settled] > 0 {
		e.settled++
	}
	return e.settled
}

// killed says that the reader was killed, after all it had recorded was taken
// into account: what it had not read of deleted files nobody can read any more.
func (l *ledger) killed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.epochs {
		if n := l.unread(e); e.gone && n < len(e.pieces) {
			l.excuse(e, n, deleted)
		}
	}
}

// done tells whether all that must be read of an epoch was read.
func (l *ledger) done(e *epoch) bool {
	n := l.unread(e)
	return n >= len(e.pieces) || e.may >= 0 && n >= e.may
}

// passed tells whether the reader has left an epoch behind.
func (l *ledger) passed(e *epoch) bool {
	return e.closed && l.done(e) && int(l.last.epoch) > e.number
}

// complete tells whether everything that must be read was read.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.epochs {
		if !l.done(e) {
			return false
		}
	}
	return true
}

func (p piece) String() string { return fmt.Sprintf("line %d[%d:%d]", p.seq, p.from, p.to) }
