package eventline

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// screen is a terminal on which lines scroll above a few rows that stay at the
// bottom and say what each part is doing. Where there is no terminal the rows
// are not shown and lines pass as they are.
//
// It is safe for concurrent use; a write of whole lines comes out whole.
type screen struct {
	out io.Writer
	// width and height return the size of the terminal; nil means that there is
	// none.
	size func() (width, height int)

	mu    sync.Mutex
	rows  []string
	shown int    // rows on the screen now
	part  []byte // an unfinished line
}

// Write prints lines above the rows. What has no line break yet is kept.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == nil {
		return s.out.Write(p)
	}
	s.part = append(s.part, p...)
	end := bytes.LastIndexByte(s.part, '\n')
	if end < 0 {
		return len(p), nil
	}
	var b bytes.Buffer
	s.erase(&b)
	b.Write(s.part[:end+1])
	s.part = append(s.part[:0], s.part[end+1:]...)
	s.draw(&b)
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// setRows replaces the rows at the bottom.
func (s *screen) setRows(rows []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = rows
	if s.size == nil {
		return
	}
	var b bytes.Buffer
	s.erase(&b)
	s.draw(&b)
	_, _ = s.out.Write(b.Bytes()) // a terminal that is gone shows no rows
}

// clear removes the rows for good.
func (s *screen) clear() { s.setRows(nil) }

// erase moves to the first of the shown rows and clears from there on (ECMA-48:
// CUU, ED).
func (s *screen) erase(b *bytes.Buffer) {
	if s.shown > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA\x1b[J", s.shown)
	}
	s.shown = 0
}

// draw prints the rows, none of them wider than the terminal: a wrapped row
// would be two to erase.
func (s *screen) draw(b *bytes.Buffer) {
	width, height := s.size()
	if len(s.rows)+2 > height {
		return
	}
	for _, row := range s.rows {
		if runes := []rune(row); len(runes) >= width && width > 0 {
			row = string(runes[:width-1])
		}
		b.WriteString(row)
		b.WriteByte('\n')
	}
	s.shown = len(s.rows)
}
