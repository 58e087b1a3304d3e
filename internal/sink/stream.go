// Package sink is where bucketer's decisions go: the classic line, on a stream or
// in the journal.
//
// Errors of writing reach the caller, who must not commit an offset whose line is
// not out. The package never retries by itself and never drops a line because of
// an error.
package sink

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"sync"

	"eventline/internal/event"
)

// maxKept is the largest buffer that is kept for the next batch.
const maxKept = 1 << 20

// Stream writes classic lines to standard output or a file, a batch at a time. It
// is safe for concurrent use; the lines of a batch stay together.
type Stream struct {
	mu   sync.Mutex
	out  io.Writer
	buf  []byte
	ends []int // where each line of buf ends
	// torn is what is out of a line of which a failed write left only a part.
	torn []byte
}

// NewStream returns a Stream that writes to out.
func NewStream(out io.Writer) *Stream { return &Stream{out: out} }

// Write writes a line for each decision, with one write to the system. It blocks
// as long as that does. It returns how many of lines are out, all of them unless
// there is an error.
//
// The error may have left a part of the next line. If that is the first line of
// the next Write, it is finished there; otherwise it is ended, so that it spoils
// no other.
func (s *Stream) Write(lines []event.Line) (int, error) {
	if len(lines) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(s.buf) > maxKept {
		s.buf = nil
	}
	s.buf, s.ends = s.buf[:0], s.ends[:0]
	for i := range lines {
		s.buf = append(lines[i].AppendClassic(s.buf), '\n')
		s.ends = append(s.ends, len(s.buf))
	}
	at := 0
	switch {
	case len(s.torn) == 0:
	case bytes.HasPrefix(s.buf, s.torn):
		at = len(s.torn)
	default:
		if n, err := s.out.Write([]byte{'\n'}); n < 1 {
			return 0, failure(n, 1, err)
		}
		s.torn = nil
	}
	n, err := s.out.Write(s.buf[at:])
	if at += n; at == len(s.buf) {
		// All is out; an error beside that has nothing left to warn of.
		s.torn = nil
		return len(lines), nil
	}
	whole, from := sort.SearchInts(s.ends, at+1), 0
	if whole > 0 {
		from = s.ends[whole-1]
	}
	s.torn = append([]byte(nil), s.buf[from:at]...)
	return whole, failure(at, len(s.buf), err)
}

func failure(n, of int, err error) error {
	if err == nil {
		err = io.ErrShortWrite
	}
	return fmt.Errorf("write decisions (%d of %d bytes): %w", n, of, err)
}
