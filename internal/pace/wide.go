package pace

import (
	"math"
	"math/bits"
)

// wide is an unsigned number of 128 bits: events times second, the product of a Rate and a Duration. An
// event at a rate of 1/s for a year is 3e25 of them, which 64 bits do not hold.
type wide struct{ hi, lo uint64 }

// times is a·b.
func times(a, b uint64) wide {
	hi, lo := bits.Mul64(a, b)
	return wide{hi, lo}
}

func (a wide) plus(b wide) wide {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, over := bits.Add64(a.hi, b.hi, carry)
	if over != 0 {
		return wide{math.MaxUint64, math.MaxUint64}
	}
	return wide{hi, lo}
}

// minus is a-b, where b is not above a.
func (a wide) minus(b wide) wide {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return wide{hi, lo}
}

func (a wide) less(b wide) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// scaled is a·n, or the largest number.
func (a wide) scaled(n uint64) wide {
	over, hi := bits.Mul64(a.hi, n)
	if over != 0 {
		return wide{math.MaxUint64, math.MaxUint64}
	}
	return wide{hi, 0}.plus(times(a.lo, n))
}

// over is a/n, and whether there is a rest. It is the largest number if that does not fit.
func (a wide) over(n uint64) (quotient uint64, rest bool) {
	if a.hi >= n {
		return math.MaxUint64, false
	}
	q, r := bits.Div64(a.hi, a.lo, n)
	return q, r > 0
}

func (a wide) float() float64 { return float64(a.hi)*(1<<32)*(1<<32) + float64(a.lo) }
