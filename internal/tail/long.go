package tail

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Long returns a reader of a too long line, without its newline. It is valid until
// Release. The log may be truncated while it is read: then the reader ends with an
// error, and what it gave is not the line. The next one reads from the copy, once the
// Tail has found one.
func (b *Block) Long() io.Reader { return &longLine{b: b} }

// longLine reads a line and verifies, before and after, that its file still holds it.
type longLine struct {
	b    *Block
	r    io.Reader // nil before the first read
	read int64
}

func (l *longLine) Read(p []byte) (int, error) {
	if l.r == nil {
		if err := l.b.find(); err != nil {
			return 0, err
		}
		l.r = io.NewSectionReader(l.b.file, l.b.Start.Offset, l.b.TooLong)
	}
	n, err := l.r.Read(p)
	l.read += int64(n)
	if errors.Is(err, io.EOF) {
		changed := l.b.heldBy(l.b.file)
		if changed == nil && l.read < l.b.TooLong {
			changed = errChanged
		}
		if changed != nil {
			err = fmt.Errorf("read line at %s: %w", l.b.Start, changed)
		}
	}
	return n, err
}

// find makes file one that holds the line.
func (b *Block) find() error {
	err := b.heldBy(b.file)
	if err == nil {
		return nil
	}
	if file := b.tail.fileOf(b.Start.Generation); file != nil {
		if b.heldBy(file) == nil {
			_ = b.file.Close()
			b.file = file
			return nil
		}
		_ = file.Close()
	}
	return fmt.Errorf("read line at %s: %w", b.Start, err)
}

// heldBy tells whether a file has the bytes around the line and at its end.
func (b *Block) heldBy(file *os.File) error {
	if err := holds(file, b.head, b.from, b.Start.Offset); err != nil {
		return err
	}
	return holds(file, nil, b.buf, b.End.Offset)
}

// fileOf opens the file that a generation is in by now, nil if it can't.
func (t *Tail) fileOf(number int64) *os.File {
	t.mu.Lock()
	name := ""
	for _, g := range t.gens {
		if g.number != number {
			continue
		}
		name = g.name
		if g.file != nil {
			file, err := duplicate(g.file)
			t.mu.Unlock()
			if err != nil {
				return nil
			}
			return file
		}
	}
	t.mu.Unlock()
	if name == "" || isPacked(name) {
		return nil
	}
	file, err := openRegular(name)
	if err != nil {
		return nil
	}
	return file
}
