// Package generate makes the events of a synthetic shop.
//
// The catalogue, products and users, is drawn once with go-faker. Events are then put together from
// it without go-faker and without allocating: faker per event is 20 times too slow (52,000/s against
// more than a million).
//
// Event i of a seed is a pure function of the seed, i and its time, so that a run can be repeated, cut
// short or taken up in the middle, on any number of cores.
package generate

import (
	"math/bits"
	"math/rand/v2"
	"strconv"
	"time"

	"eventline/internal/event"
)

// World is the shop of one seed. It never changes, and is safe for concurrent use.
type World struct {
	key          uint64 // of the random numbers
	idHigh, idLo uint64 // of the event ids
	products     []product
	users        []string
}

// product is what events say of one, as they say it.
type product struct {
	json  string // product, category and currency, as JSON
	cents int64
}

// New builds the shop of a seed, which takes some 10 ms. Shops are built one at a time, because
// go-faker's random sources are global; they are left random.
func New(seed uint64) *World {
	w := &World{key: mix(seed ^ 0x6576656e74676e31), idHigh: mix(seed ^ 0x6964656e74697479), idLo: mix(seed ^ 0x756e697175656964)}
	w.products, w.users = catalogue(seed)
	return w
}

// RandomSeed returns a seed that nobody has used. It is above 0, and small enough for readers of JSON that
// hold numbers as float64.
func RandomSeed() int64 { return 1 + rand.Int64N(1<<48) }

// MaxLine is a length in bytes that no line of [World.AppendLine] exceeds.
const MaxLine = 512

// AppendLine appends event i, due at the given time, as one line with its newline, and returns the longer
// slice. It allocates only to grow dst.
//
// The same seed, i and time give the same bytes, in every build of a version. The event's id depends on
// the seed and i alone, and no two events of a seed share one.
func (w *World) AppendLine(dst []byte, i uint64, at time.Time) []byte {
	var r rand.PCG // seeded anew for each event, so that event i does not depend on those before it
	r.Seed(w.key, mix(i))
	p := &w.products[below(r.Uint64(), len(w.products))]
	user := w.users[below(r.Uint64(), len(w.users))]
	action, price, quantity := w.draw(r.Uint64(), p)

	dst = append(dst, `{"event_id":"`...)
	dst = w.appendID(dst, i)
	dst = append(dst, `","timestamp":"`...)
	dst = event.AppendTime(dst, at)
	dst = append(dst, `",`...)
	dst = append(dst, p.json...)
	dst = append(dst, `,"user_id":`...)
	dst = append(dst, user...)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, action...)
	dst = append(dst, `","price":`...)
	dst = event.AppendCents(dst, price)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, quantity, 10)
	return append(dst, "}\n"...)
}

// draw decides what happens to a product: most look, few buy, and one in eight gets a discount.
func (w *World) draw(r uint64, p *product) (action string, cents, quantity int64) {
	switch n := r & 0xff; { // of 256
	case n < 154:
		action = "view"
	case n < 200:
		action = "cart"
	case n < 223:
		action = "checkout"
	case n < 239:
		action = "purchase"
	default:
		action = "abandon"
	}
	cents = p.cents
	if n := r >> 8 & 0xff; n < 32 {
		cents -= cents * int64(10+n/11*10) / 100 // 10, 20 or 30 %
	}
	quantity = 1
	if action != "view" {
		quantity += int64(min(bits.TrailingZeros64(r>>16), 4)) // half take one, a quarter two, …
	}
	return action, cents, quantity
}

// appendID appends the UUID of event i: version 4 in form, but computed. 64 of its 122 bits are a
// permutation of i, so that no id comes twice; the others only make it look random.
func (w *World) appendID(dst []byte, i uint64) []byte {
	a, b := mix(i+w.idHigh), mix(i+w.idLo)
	high := a&^0xf000 | 0x4000
	low := 1<<63 | a>>12&0xf<<58 | b>>6
	dst = appendHex(dst, high>>32, 8)
	dst = append(dst, '-')
	dst = appendHex(dst, high>>16, 4)
	dst = append(dst, '-')
	dst = appendHex(dst, high, 4)
	dst = append(dst, '-')
	dst = appendHex(dst, low>>48, 4)
	dst = append(dst, '-')
	return appendHex(dst, low, 12)
}

// appendHex appends the last n hexadecimal digits of v.
func appendHex(dst []byte, v uint64, n int) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (n - 1); shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&0xf])
	}
	return dst
}

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
