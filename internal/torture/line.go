package torture

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
)

// A line is its number, its length with the newline, a checksum of number and
// filling, and the filling: "0000000042 073 9a0b1c2d ........\n". From the seed
// and the number alone follows every byte of it, so what was written need not be
// kept to be compared with.
const (
	minLength  = 40
	maxLength  = 200
	numberSize = 10
	fillFrom   = numberSize + 1 + 3 + 1 + 8 + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// text makes the lines of a seed.
type text struct {
	seed  uint64
	noise []byte
}

func newText(seed uint64) *text {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	rng := rand.New(rand.NewPCG(seed, 1))
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = letters[rng.IntN(len(letters))]
	}
	return &text{seed, noise}
}

// mix is splitmix64 of a line's number: its length and filling.
func (t *text) mix(seq uint32) uint64 {
	z := t.seed + (uint64(seq)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (t *text) length(seq uint32) int {
	return minLength + int(t.mix(seq)%(maxLength-minLength+1))
}

// line appends line seq to buf.
func (t *text) line(buf []byte, seq uint32) []byte {
	n := t.length(seq)
	start := len(buf)
	buf = decimal(buf, uint64(seq), numberSize)
	buf = append(buf, ' ')
	buf = decimal(buf, uint64(n), 3)
	buf = append(buf, " ........ "...)
	at := int(t.mix(seq) >> 32 % uint64(len(t.noise)-maxLength))
	buf = append(buf, t.noise[at:at+n-fillFrom-1]...)
	sum := crc32.Update(crc32.Checksum(buf[start:start+numberSize], castagnoli), castagnoli, buf[start+fillFrom:])
	const hex = "0123456789abcdef"
	for i := range 8 {
		buf[start+numberSize+5+i] = hex[sum>>(28-4*i)&15]
	}
	return append(buf, '\n')
}

func decimal(buf []byte, v uint64, digits int) []byte {
	start := len(buf)
	for range digits {
		buf = append(buf, '0')
	}
	for i := start + digits - 1; v > 0 && i >= start; i-- {
		buf[i] = byte('0' + v%10)
		v /= 10
	}
	return buf
}

// number returns the number of a line with its newline, if it is, byte for byte,
// one of this text. buf is memory to use.
func (t *text) number(line, buf []byte) (seq uint32, ok bool) {
	if len(line) < minLength {
		return 0, false
	}
	var n uint64
	for _, c := range line[:numberSize] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if n >= 1<<32 {
		return 0, false
	}
	return uint32(n), bytes.Equal(line, t.line(buf[:0], uint32(n)))
}
