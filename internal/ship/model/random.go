package model

// random is splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014).
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// n is one of 0 … n-1.
func (r *random) n(n int) int { return int(uint64(uint32(r.next()>>32)) * uint64(n) >> 32) }

// chance is true once in n times.
func (r *random) chance(n int) bool { return r.n(n) == 0 }
