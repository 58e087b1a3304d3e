package generate

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// alias draws from a list of weights with one random number and one comparison, whatever the weights
// (Walker's method, in Vose's form). Drawing is integer arithmetic only.
type alias struct {
	keep  []uint64 // below this the column's own element is drawn, as a share of 2⁶⁴
	other []uint32 // else this one
}

// newAlias builds the table. Weights are not negative, and at least one is above 0.
func newAlias(weights []float64) alias {
	n := len(weights)
	a := alias{keep: make([]uint64, n), other: make([]uint32, n)}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	scaled := make([]float64, n)
	var small, large []uint32
	for i, w := range weights {
		scaled[i] = w / total * float64(n)
		a.other[i] = uint32(i)
		if scaled[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = threshold(scaled[s]), l
		if scaled[l] -= 1 - scaled[s]; scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) { // what rounding left over
		a.keep[i] = math.MaxUint64
	}
	return a
}

// pick draws an element. The high part of the product names the column, the low part is still random.
func (a *alias) pick(r uint64) int {
	column, rest := bits.Mul64(r, uint64(len(a.keep)))
	if rest < a.keep[column] {
		return int(column)
	}
	return int(a.other[column])
}

// threshold is the probability p as a share of 2⁶⁴.
func threshold(p float64) uint64 {
	if p >= 1 {
		return math.MaxUint64
	}
	return uint64(p * (1 << 32) * (1 << 32))
}

// zipf are the weights of the ranks 1 … n under Zipf's law.
func zipf(n int, power float64) []float64 {
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -power)
	}
	return weights
}

// quantileSteps is how finely a distribution is cut. The tail beyond 1/8192 is flat.
const quantileSteps = 4096

// quantiles is a distribution of non-negative integers, drawn without floating point.
type quantiles []int64

// logNormal cuts the distribution with that median and standard deviation of the logarithm.
func logNormal(median, sigma float64) quantiles {
	q := make(quantiles, quantileSteps+1)
	for i := range q {
		p := min(max(float64(i)/quantileSteps, 0.5/quantileSteps), 1-0.5/quantileSteps)
		q[i] = int64(min(median*math.Exp(sigma*normal(p)), 1e17)) // three years in nanoseconds
	}
	return q
}

// normal is the p-quantile of the standard normal distribution.
func normal(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// pick draws a value: evenly between two neighbouring quantiles.
func (q quantiles) pick(r uint64) int64 {
	i := r >> 52 // 12 bits
	low, high := q[i], q[i+1]
	step, _ := bits.Mul64(r<<12, uint64(high-low))
	return low + int64(step)
}

// chance says whether something of a probability, given as a share of 2⁶⁴, happens.
func chance(r *rand.PCG, share uint64) bool { return share != 0 && r.Uint64() < share }

// below maps a random number to 0 … n-1 (Lemire's method without rejection: the error is n/2⁶⁴).
func below(r uint64, n int) int {
	high, _ := bits.Mul64(r, uint64(n))
	return int(high)
}

// mix permutes 64 bits so that neighbours have nothing in common (the finalizer of SplitMix64).
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// unmix turns mix around. The factors are the inverses of those of mix, modulo 2⁶⁴.
func unmix(v uint64) uint64 {
	v ^= v>>31 ^ v>>62
	v *= 0x319642b2d24d8ec3
	v ^= v>>27 ^ v>>54
	v *= 0x96de1b173f119089
	v ^= v>>30 ^ v>>60
	return v - 0x9e3779b97f4a7c15
}
