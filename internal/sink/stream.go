// Package sink is where bucketer's decisions go: the classic line, on a stream or
// in the journal.
package sink

import (
	"io"
	"sync"

	"eventline/internal/event"
)

// Stream writes classic lines to standard output or a file, a batch at a time. It
// is safe for concurrent use; the lines of a batch stay together.
type Stream struct {
	mu  sync.Mutex
	out io.Writer
	buf []byte
}

// NewStream returns a Stream that writes to out.
func NewStream(out io.Writer) *Stream { return &Stream{out: out} }

// Write writes a line for each decision and returns when they are with the
// system. After an error some of them may be out.
func (s *Stream) Write(lines []event.Line) error {
	if len(lines) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = s.buf[:0]
	for i := range lines {
		s.buf = append(lines[i].AppendClassic(s.buf), '\n')
	}
	_, err := s.out.Write(s.buf)
	return err
}
