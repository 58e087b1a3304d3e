package ship

import "hash/maphash"

// claims are the lines that the topic turned out to hold when a run began, beyond
// what was stored as final. As the log is read again from the stored position, each
// line that comes is held against them: a line that is not what the topic holds
// under its number is another one, and has to be sent.
type claims struct {
	// checked is the number up to which lines were stored as final. They are not
	// held against anything.
	checked int64
	sums    []claim // of the numbers after checked
	offset  int64   // of the last of them
}

// claim is a record's content. One that could not be read any more stands for any
// line.
type claim struct {
	sum uint64
	any bool
}

// seed makes sums that no writer of a log can foresee.
var seed = maphash.MakeSeed()

func claimOf(line []byte) claim { return claim{sum: maphash.Bytes(seed, line)} }

// last is the highest number that the topic holds.
func (c *claims) last() int64 { return c.checked + int64(len(c.sums)) }

// holds tells whether the line of a number, at most last, is what the topic holds.
func (c *claims) holds(number int64, line []byte) bool {
	if number <= c.checked {
		return true
	}
	k := c.sums[number-c.checked-1]
	return k.any || k == claimOf(line)
}
