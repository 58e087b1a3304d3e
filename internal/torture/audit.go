package torture

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// Count is the verdict on what was read, in lines.
type Count struct {
	Read int
	// Missing were written and not read, Duplicate are readings beyond the first,
	// Torn is what was read and never written so, Disorder is how often a line
	// came after one that was written later.
	Missing, Duplicate, Torn, Disorder int
	// What need not be read, and was not: see the causes.
	Window, Truncated, Deleted int
}

// Clean tells whether nothing is wrong.
func (c Count) Clean() bool {
	return c.Missing == 0 && c.Duplicate == 0 && c.Torn == 0 && c.Disorder == 0
}

// audit is the part of a ledger that is about what was read.
type audit struct {
	count    Count
	last     spot
	lanes    map[int64]spot // of a topic, whose partitions keep an order each; nil of a file
	examples []string
	buf      []byte
}

const maxExamples = 12

func (l *ledger) complain(format string, args ...any) {
	if len(l.examples) < maxExamples {
		l.examples = append(l.examples, fmt.Sprintf(format, args...))
	}
}

// take takes lines that were read.
func (l *ledger) take(rec record) {
	for data := rec.data; len(data) > 0; {
		// In portions, so that the writer does not wait long.
		l.mu.Lock()
		for i := 0; i < 64 && len(data) > 0; i++ {
			n := bytes.IndexByte(data, '\n') + 1
			if n == 0 {
				n = len(data)
			}
			l.line(data[:n], rec)
			data = data[n:]
		}
		l.mu.Unlock()
	}
}

// line takes a line with its newline, if it has one.
func (l *ledger) line(raw []byte, rec record) {
	l.count.Read++
	if l.lanes != nil {
		var known bool
		if l.last, known = l.lanes[rec.generation]; !known {
			l.last = spot{epoch: -1}
		}
		defer func() { l.lanes[rec.generation] = l.last }()
	}
	at, ok := l.find(raw)
	if !ok {
		l.count.Torn++
		l.complain("torn, in generation %d: %.60q, after %s", rec.generation, raw, l.name(l.last))
		return
	}
	e := l.epochs[at.epoch]
	if e.times[at.piece] > 0 {
		l.count.Duplicate++
		e.times[at.piece] = 2
		l.complain("duplicate, in generation %d: %s, after %s", rec.generation, l.name(at), l.name(l.last))
		return
	}
	e.times[at.piece] = 1
	if at.before(l.last) {
		l.count.Disorder++
		l.complain("out of order, in generation %d: %s, after %s", rec.generation, l.name(at), l.name(l.last))
	}
	l.last = at
}

// find returns where a line was written.
func (l *ledger) find(raw []byte) (spot, bool) {
	if l.buf == nil {
		l.buf = make([]byte, 0, maxLength)
	}
	if seq, ok := l.text.number(raw, l.buf); ok && seq < l.next {
		at := l.whole[seq]
		return at, at.epoch >= 0
	}
	// Of equal parts, such as a newline alone, the next one, if it was not read,
	// else any that was not.
	spots := l.parts[string(raw)]
	best := -1
	for i, at := range spots {
		if l.epochs[at.epoch].times[at.piece] > 0 {
			continue
		}
		if l.last.before(at) {
			return at, true
		}
		if best < 0 {
			best = i
		}
	}
	if len(spots) == 0 {
		return spot{}, false
	}
	return spots[max(best, 0)], true
}

func (l *ledger) name(s spot) string {
	if s.epoch < 0 {
		return "nothing"
	}
	e := l.epochs[s.epoch]
	return fmt.Sprintf("%s, %d of %d of file %d", e.pieces[s.piece], s.piece, len(e.pieces), s.epoch)
}

// verdict counts, once nothing more is read.
func (l *ledger) verdict() (Count, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.count
	for _, e := range l.epochs {
		read := len(e.pieces)
		for read > 0 && e.times[read-1] == 0 {
			read--
		}
		for i := range e.pieces {
			at := spot{int32(e.number), int32(i)}
			switch {
			case e.times[i] > 0:
			case i < read || e.may < 0 || i < e.may:
				// What need not be read is the end of a file: a hole before
				// something that was read has no excuse.
				c.Missing++
				l.complain("missing: %s", l.name(at))
			case e.cause == window:
				c.Window++
			case e.cause == truncated:
				c.Truncated++
			default:
				c.Deleted++
			}
		}
	}
	return c, l.examples
}

// judge follows the file of records.
type judge struct {
	mu     sync.Mutex
	ledger *ledger
	path   string
	file   *os.File
	at     int64
}

// catchUp takes what was recorded since the last time.
func (j *judge) catchUp() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		f, err := os.Open(j.path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		j.file = f
	}
	var err error
	j.at, err = scan(j.file, j.at, func(rec record) error { j.ledger.take(rec); return nil })
	return err
}

func (j *judge) close() {
	if j.file != nil {
		_ = j.file.Close()
	}
}
