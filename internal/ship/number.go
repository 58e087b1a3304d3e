package ship

// A numbering gives each line of a partition a number, from 0 on, for ever. The
// number of a line modulo 2^31 is its sequence under the numbering's producer id
// and epoch, and the leader takes the n-th only after the n-1st, whoever sends it.
// Lines of before the numbering have negative numbers; all of them are final.

// sequenceMask keeps sequences in 0 … 2^31-1, after which they start at 0 again.
const sequenceMask = 1<<31 - 1

// Sequence is the sequence of the line with a number, -1 before the first.
func Sequence(number int64) int32 {
	if number < 0 {
		return -1
	}
	return sequenceOf(number)
}

// sequenceOf is the sequence of the line with a number.
func sequenceOf(number int64) int32 { return int32(number & sequenceMask) }

// numberNear is the number with that sequence that is nearest to a known one. What
// may be in doubt is bounded by the reserved end, so it is never far.
func numberNear(near int64, sequence int32) int64 {
	d := (int64(sequence) - near) & sequenceMask
	if d > sequenceMask/2 {
		d -= sequenceMask + 1
	}
	return near + d
}
