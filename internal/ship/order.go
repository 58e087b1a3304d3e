package ship

import (
	"time"

	"eventline/internal/tail"
)

// held is a block whose memory is in use: some of its lines are not final yet.
type held struct {
	block  *tail.Block
	chunks int // not final yet
}

// chunk is a run of lines of one block that go to the same partition.
type chunk struct {
	held *held
	lane *lane // nil for a line that is too long
	end  int64 // offset after its last line
	open int   // lines that are not final yet
	// numbered counts the lines that have a number of the lane, or had one when they
	// were refused.
	numbered int64
	size     int64 // of its lines, with newlines
}

// order is all chunks that were read and are not behind the frontier, in the
// order of the log. The frontier is the position up to which every line is
// final: the durable position may not pass it, or a crash would lose a line.
type order struct {
	chunks   []*chunk
	frontier tail.Mark
	moved    bool // since the last save
	lines    int  // not final yet
}

func (o *order) add(c *chunk) {
	o.chunks = append(o.chunks, c)
	o.lines += c.open
}

// final says that n lines of c are safe, or need not be.
func (o *order) final(c *chunk, n int) {
	c.open -= n
	o.lines -= n
}

// advance moves the frontier over all chunks that are final, up to the first that
// is not, gives back the memory of blocks that are behind it, and returns the
// bytes it has passed.
func (o *order) advance() int64 {
	var passed int64
	n := 0
	for ; n < len(o.chunks) && o.chunks[n].open == 0; n++ {
		c := o.chunks[n]
		passed += c.size
		c.held.chunks--
		if c.lane != nil {
			c.lane.before += c.numbered
		}
		last := n+1 == len(o.chunks) || o.chunks[n+1].open > 0
		if c.held.chunks == 0 || last {
			o.frontier = c.held.block.Mark(c.end, o.frontier.Before)
		}
		if c.held.chunks == 0 {
			c.held.block.Release()
		}
	}
	if n > 0 {
		kept := append(o.chunks[:0], o.chunks[n:]...)
		clear(o.chunks[len(kept):])
		o.chunks = kept
		o.moved = true
	}
	return passed
}

// since is when the first line that is not final was read, zero if there is none.
func (o *order) since() time.Time {
	if len(o.chunks) == 0 {
		return time.Time{}
	}
	return o.chunks[0].held.block.Read
}

// release gives back all memory, at the end.
func (o *order) release() {
	var last *held
	for _, c := range o.chunks {
		if c.held != last {
			c.held.block.Release()
			last = c.held
		}
	}
	o.chunks = nil
}

// positionOf finds a line of a chunk again, or a piece of one.
func positionOf(c *chunk, line []byte) tail.Position {
	b := c.held.block
	p := b.Start
	for i := range b.Data {
		if &b.Data[i] == &line[0] {
			p.Offset += int64(i)
			break
		}
	}
	return p
}
