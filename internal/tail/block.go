package tail

import (
	"bytes"
	"os"
	"time"
)

// Block is a piece of the log: whole lines of one generation, in the order of
// the file. Its memory counts against the Tail's budget until Release.
type Block struct {
	// Data is the lines with their newlines. Only the last line of a generation
	// that has ended may be without one. Data is nil if TooLong is set.
	Data []byte
	// Start and End are the positions of the first byte and after the last.
	Start, End Position
	// Lines counts the lines in Data, empty ones too.
	Lines int
	// Read is when it was read.
	Read time.Time
	// TooLong is the length in bytes, without newline, of a single line above
	// Config.MaxLine, which is not held in memory; Long reads it.
	TooLong int64
	// Decision is set in a block that has no lines: something was decided, and a
	// State at Start must be stored before a later line leaves the process.
	Decision *Decision

	buf []byte // ends at End; Data is its last part
	// Of a too long line: by what its bytes are known, and where they are.
	head []byte
	from []byte // the bytes before Start
	file *os.File
	tail *Tail
	pool *claim // nil if buf is not of it
}

// NewBlock returns a block of whole lines that begins at a position: for whoever
// stands in for a Tail. It keeps data.
func NewBlock(start Position, data []byte) *Block {
	return &Block{
		Data: data, Start: start, End: Position{start.Generation, start.Offset + int64(len(data))},
		Lines: bytes.Count(data, []byte("\n")), Read: time.Now(), buf: data,
	}
}

// Mark returns the mark at offset, which must lie between Start and End, after a
// newline or at either of them. It uses the memory of before for Mark.Before if
// that is large enough.
func (b *Block) Mark(offset int64, before []byte) Mark {
	if b.TooLong > 0 && offset == b.Start.Offset {
		return Mark{Position: b.Start, Before: append(before[:0], b.from...)}
	}
	end := len(b.buf) - int(b.End.Offset-offset)
	return Mark{
		Position: Position{Generation: b.End.Generation, Offset: offset},
		Before:   append(before[:0], b.buf[max(0, end-frontierSize):end]...),
	}
}

// Release gives the block's memory back. Neither the block nor its Data may be
// used after it.
func (b *Block) Release() {
	if b.file != nil {
		_ = b.file.Close()
	}
	if b.pool != nil {
		b.pool.give(b.buf)
	}
	b.Data, b.buf = nil, nil
}

// Lines calls yield with each line of data, without its newline, and with the
// number of bytes up to and including that newline, until yield returns false.
//
// This is all the framing there is: a line is the bytes up to "\n". A carriage
// return, NUL, a byte order mark and invalid UTF-8 are bytes like any other. An
// empty line is yielded; whether it is worth anything is not a question of
// framing.
func Lines(data []byte, yield func(line []byte, end int) bool) {
	at := 0
	for at < len(data) {
		n := bytes.IndexByte(data[at:], '\n')
		end := at + n + 1
		if n < 0 {
			n, end = len(data)-at, len(data)
		}
		if !yield(data[at:at+n], end) {
			return
		}
		at = end
	}
}

// countLines counts what Lines would yield.
func countLines(data []byte) int {
	n := bytes.Count(data, newline)
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return n
}

var newline = []byte{'\n'}
