// Package generate makes the events of a synthetic shop, and what is wrong with them on purpose.
//
// The catalogue, products and users, is drawn once with go-faker. Events are then put together from
// it without go-faker and without allocating: faker per event is 20 times too slow (52,000/s against
// more than a million).
//
// A [World] is what never changes: the catalogue and the distributions of a [Profile]. A [Shop] is what
// happens there: users come, look at products, put some into the cart and buy or leave, one event after
// the other. Everything that a user decides is drawn from the seed and the event's number, and
// when from the times that the caller gives, so that the same seed, profile and times give the same
// bytes, on any number of cores. A shop can be taken up in the middle from a [Shop.AppendState].
package generate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// World is the shop of one seed and profile. It never changes, and is safe for concurrent use.
type World struct {
	profile      Profile
	seed         uint64
	key          uint64 // of the random numbers
	idHigh, idLo uint64 // of the event ids
	products     []product
	users        []string

	popular    alias     // products by rank
	views      alias     // how many products a session looks at, less one
	dirt       alias     // kinds of defects
	dirty      bool      // there are any
	think      quantiles // nanoseconds
	cart       uint64    // probabilities as shares of 2⁶⁴
	checkout   uint64
	giveUp     uint64 // together with checkout
	purchase   uint64
	bots       uint64
	discounted uint64
}

// New builds the shop of a seed and a profile without [Profile.Problems], which takes some 10 ms. Shops
// are built one at a time, because go-faker's random sources are global; they are left random.
func New(seed uint64, p Profile) *World {
	w := &World{
		profile: p, seed: seed,
		key: mix(seed ^ 0x6576656e74676e31), idHigh: mix(seed ^ 0x6964656e74697479), idLo: mix(seed ^ 0x756e697175656964),
	}
	w.products, w.users = catalogue(&p, seed)
	w.popular = newAlias(zipf(len(w.products), p.Popularity))
	w.views = newAlias(zipf(p.Sessions.Views, p.Sessions.ViewsPower))
	weights := p.Dirt.probabilities()
	weights[Clean] = 1
	for _, share := range weights[1:] {
		weights[Clean] -= share
		w.dirty = w.dirty || share > 0
	}
	weights[Clean] = max(weights[Clean], 0)
	w.dirt = newAlias(weights[:])
	s := &p.Sessions
	w.think = logNormal(float64(s.Think), s.ThinkSigma)
	w.cart, w.checkout, w.giveUp = threshold(s.Cart), threshold(s.Checkout), threshold(s.Checkout+s.GiveUp)
	w.purchase, w.bots, w.discounted = threshold(s.Purchase), threshold(s.Bots), threshold(p.Prices.Discount)
	return w
}

// RandomSeed returns a seed that nobody has used. It is above 0, and small enough for readers of JSON that
// hold numbers as float64.
func RandomSeed() int64 { return 1 + rand.Int64N(1<<48) }

// Profile is what the world was made of.
func (w *World) Profile() Profile { return w.profile }

// AppendID appends the UUID of event i: version 4 in form, but computed. 64 of its 122 bits are a
// permutation of i, so that no id comes twice; the others only make it look random.
func (w *World) AppendID(dst []byte, i uint64) []byte {
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

// EventOf returns which event has an id, and whether there is one: it turns AppendID around.
func (w *World) EventOf(id []byte) (i uint64, ok bool) {
	if len(id) != len("a89e1e3d-4905-4fe9-aa26-053b505efd8d") {
		return 0, false
	}
	var digits [32]byte
	n, err := hex.Decode(digits[:16], bytes.Join([][]byte{id[:8], id[9:13], id[14:18], id[19:23], id[24:]}, nil))
	if err != nil || n != 16 {
		return 0, false
	}
	high, low := binary.BigEndian.Uint64(digits[:8]), binary.BigEndian.Uint64(digits[8:16])
	i = unmix(high&^0xf000|low>>58&0xf<<12) - w.idHigh
	return i, bytes.Equal(w.AppendID(nil, i), id)
}

// appendHex appends the last n hexadecimal digits of v.
func appendHex(dst []byte, v uint64, n int) []byte {
	const digits = "0123456789abcdef"
	for shift := 4 * (n - 1); shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&0xf])
	}
	return dst
}
