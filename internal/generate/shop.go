package generate

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

// action is what a user does, and becomes the event's type.
type action uint8

const (
	view action = iota
	cart
	checkout
	purchase
	abandon
	leave // without an event
)

var actionNames = [...]string{view: "view", cart: "cart", checkout: "checkout", purchase: "purchase", abandon: "abandon"}

// session is one visit of a user.
type session struct {
	due      int64 // when the user acts next, in nanoseconds of the run
	user     uint32
	product  uint32
	views    uint16 // products still to be looked at
	next     action
	quantity uint8
	off      uint8 // discount in percent
	bot      bool
}

// Shop is what happens in a World. It is for one goroutine at a time.
type Shop struct {
	w      *World
	event  uint64    // the next one, counted from 0
	open   []session // a heap by due, four children each
	prices []dayPrice
	recent [recentLines]recent // the last lines, for duplicates
	lines  uint64              // written so far
	second clockText
}

// dayPrice is what a product costs on a day.
type dayPrice struct{ day, cents int64 }

const recentLines = 16

// recent is a line that may come again.
type recent struct {
	text []byte
	line Line
}

// Line is what is known of a line of [Shop.Append].
type Line struct {
	Event uint64 // the event that it tells of, counted from 0
	Kind  Kind
	Valid bool  // it is JSON in UTF-8 and has an id and a price that is a number of at least 0
	At    int64 // the timestamp in it, in microseconds since 1970
	Cents int64 // the price in it, if it is valid
	Len   int   // bytes with the newline
	Half  int   // above 0: it is to be written in two halves, the first one this long
}

// NewShop opens the world at event 0: nobody is there yet.
func (w *World) NewShop() *Shop {
	s := &Shop{w: w, prices: make([]dayPrice, len(w.products))}
	for i := range s.prices {
		s.prices[i].day = -1 << 40
	}
	return s
}

// Event is the number of the next event, counted from 0.
func (s *Shop) Event() uint64 { return s.event }

// Lines is how many lines there were so far.
func (s *Shop) Lines() uint64 { return s.lines }

// LeaveOut leaves out events up to event i: nothing happens in their place.
func (s *Shop) LeaveOut(i uint64) { s.event = max(s.event, i) }

// Append appends the next event as one line with its newline, or as two if one of the last is written
// again, and what is known of them to lines. It returns the longer slices, and allocates only to grow them.
//
// The event is due when the run has lasted for so long, which decides who acts and what things cost, at a
// time of day, which is only written down. So two runs at the same rate differ in their timestamps and in
// nothing else.
func (s *Shop) Append(dst []byte, lasted time.Duration, at time.Time, lines []Line) ([]byte, []Line) {
	var r rand.PCG // seeded anew for each event, so that a skipped one changes nothing
	i := s.event
	s.event++
	r.Seed(s.w.key, mix(i))
	now := int64(lasted)

	var e entry
	if len(s.open) > 0 && (s.open[0].due <= now || len(s.open) >= s.w.profile.Sessions.Open) {
		who := &s.open[0]
		e = s.act(who, &r, now)
		if who.next == leave {
			s.closeFirst()
		} else {
			s.down(0)
		}
	} else {
		who := s.enter(&r)
		e = s.act(&who, &r, now)
		if who.next != leave {
			s.push(who)
		}
	}
	e.event, e.at = i, at
	first := len(dst)
	kind := Clean
	if s.w.dirty {
		kind = Kind(s.w.dirt.pick(r.Uint64()))
	}
	again := kind == Duplicate // the event itself is as it should be
	if again {
		kind = Clean
	}
	dst, line := s.appendEvent(dst, &e, kind, &r)
	lines = append(lines, line)
	s.lines++
	if s.w.profile.Dirt.Duplicate > 0 {
		dst, lines = s.repeat(dst, first, again, &r, lines)
	}
	return dst, lines
}

// repeat keeps the line that begins at first, and writes one of the last again if so asked.
func (s *Shop) repeat(dst []byte, first int, again bool, r *rand.PCG, lines []Line) ([]byte, []Line) {
	slot := &s.recent[s.lines%recentLines]
	slot.text = append(slot.text[:0], dst[first:]...)
	slot.line = lines[len(lines)-1]
	slot.line.Kind, slot.line.Half = Duplicate, 0
	if !again {
		return dst, lines
	}
	back := uint64(below(r.Uint64(), int(min(s.lines, recentLines))))
	old := &s.recent[(s.lines-back)%recentLines]
	if len(old.text) == 0 { // the ring has gaps where lines were repeated
		old = slot
	}
	s.lines++
	dst = append(dst, old.text...)
	gap := &s.recent[s.lines%recentLines]
	gap.text = gap.text[:0]
	return dst, append(lines, old.line)
}

// enter is a user, or a robot, who comes in.
func (s *Shop) enter(r *rand.PCG) session {
	w := s.w
	who := session{user: uint32(below(r.Uint64(), len(w.users)))}
	if chance(r, w.bots) {
		who.bot = true
		who.views = uint16(w.profile.Sessions.BotViews)
		who.product = uint32(below(r.Uint64(), len(w.products)))
		return who
	}
	who.views = uint16(1 + w.views.pick(r.Uint64()))
	return who
}

// act makes the event of a user, and decides what the user does next and when.
func (s *Shop) act(who *session, r *rand.PCG, now int64) entry {
	w, does := s.w, who.next
	random := r.Uint64()
	switch does {
	case view:
		s.look(who, r)
		who.views--
		switch {
		case !who.bot && random < w.cart:
			who.next = cart
		case who.views > 0:
			who.next = view
		default:
			who.next = leave
		}
	case cart:
		// Half take one, a quarter two, and so on up to five.
		who.quantity = uint8(1 + min(bits.TrailingZeros64(r.Uint64()), 4))
		switch {
		case random < w.checkout:
			who.next = checkout
		case random < w.giveUp || who.views == 0:
			who.next = abandon
		default:
			who.next = view
		}
	case checkout:
		if who.next = abandon; random < w.purchase {
			who.next = purchase
		}
	default:
		who.next = leave
	}
	cents := s.price(who.product, now)
	cents -= cents * int64(who.off) / 100
	e := entry{action: does, user: who.user, product: who.product, cents: cents, quantity: int64(who.quantity), bot: who.bot}
	if who.next != leave {
		who.due = now + s.pause(who, r)
	}
	return e
}

// look turns to a product: a popular one, or the next in the catalogue for a robot.
func (s *Shop) look(who *session, r *rand.PCG) {
	who.quantity, who.off = 1, 0
	if who.bot {
		if who.product++; int(who.product) >= len(s.w.products) {
			who.product = 0
		}
		return
	}
	who.product = uint32(s.w.popular.pick(r.Uint64()))
	if chance(r, s.w.discounted) {
		who.off = uint8(10 + 10*below(r.Uint64(), 3))
	}
}

// pause is how long the user thinks.
func (s *Shop) pause(who *session, r *rand.PCG) int64 {
	if who.bot {
		return int64(s.w.profile.Sessions.BotThink)
	}
	return s.w.think.pick(r.Uint64())
}

// price is what a product costs at a moment of the run.
func (s *Shop) price(product uint32, now int64) int64 {
	const day = int64(24 * time.Hour)
	today := now / day
	p := &s.prices[product]
	if p.day != today {
		p.day, p.cents = today, s.w.products[product].price(&s.w.profile.Prices, today)
	}
	return p.cents
}

func (s *Shop) push(who session) {
	s.open = append(s.open, who)
	i := len(s.open) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if s.open[parent].due <= who.due {
			break
		}
		s.open[i] = s.open[parent]
		i = parent
	}
	s.open[i] = who
}

// closeFirst takes the first session out.
func (s *Shop) closeFirst() {
	last := len(s.open) - 1
	s.open[0] = s.open[last]
	if s.open = s.open[:last]; last > 0 {
		s.down(0)
	}
}

// down moves the session at i to where it belongs.
func (s *Shop) down(i int) {
	h, who := s.open, s.open[i]
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c].due < h[least].due {
				least = c
			}
		}
		if h[least].due >= who.due {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = who
}
