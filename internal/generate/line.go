package generate

import (
	"math/rand/v2"
	"strconv"
	"time"

	"eventline/internal/event"
)

// entry is an event before it is written.
type entry struct {
	event         uint64
	at            time.Time // when it was due
	action        action
	user, product uint32
	cents         int64
	quantity      int64
	bot           bool
}

// appendEvent appends the event as a line with a defect or none.
func (s *Shop) appendEvent(dst []byte, e *entry, kind Kind, r *rand.PCG) ([]byte, Line) {
	w, schema := s.w, &s.w.profile.Schema
	first := len(dst)
	at := e.at
	switch kind {
	case Late:
		at = at.Add(-far(r, w.profile.Dirt.LateBy))
	case OutOfOrder:
		at = at.Add(-time.Duration(below(r.Uint64(), int(w.profile.Dirt.OutOfOrderBy)+1)))
	case Future:
		at = at.Add(far(r, w.profile.Dirt.FutureBy))
	}
	nth := int64(e.event + 1)
	breaking := schema.BreakingAt > 0 && nth >= schema.BreakingAt
	if breaking && kind.valid() {
		kind = Breaking
	}

	dst = append(dst, `{"event_id":"`...)
	dst = w.AppendID(dst, e.event)
	dst = append(dst, `","timestamp":"`...)
	dst = s.second.append(dst, at)
	dst = append(dst, `",`...)
	dst = appendProduct(dst, w.products[e.product].json, kind)
	dst = append(dst, `,"user_id":`...)
	dst = append(dst, w.users[e.user]...)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, actionNames[e.action]...)
	dst = appendPrice(append(dst, '"'), e.cents, kind, breaking)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, e.quantity, 10)
	if schema.V2At > 0 && nth >= schema.V2At || breaking {
		dst = appendV2(dst, e, breaking)
	}
	if kind == Oversized {
		dst = append(dst, `,"note":"`...)
		for range w.profile.Dirt.OversizedBy - len(`,"note":""`) {
			dst = append(dst, 'x')
		}
		dst = append(dst, '"')
	}
	dst = append(dst, '}')
	switch kind {
	case InvalidJSON: // without the brace, at least
		keep := 1 + below(r.Uint64(), len(dst)-first-1)
		dst = dst[:first+keep]
	case CRLF:
		dst = append(dst, '\r')
	}
	dst = append(dst, '\n')
	line := Line{
		Event: e.event, Kind: kind, Valid: kind.valid() && !breaking,
		At: at.UnixMicro(), Cents: e.cents, Len: len(dst) - first,
	}
	if kind == Halves {
		line.Half = 1 + below(r.Uint64(), line.Len-2)
	}
	return dst, line
}

// far draws a distance of a tenth of most up to most.
func far(r *rand.PCG, most time.Duration) time.Duration {
	least := most / 10
	return least + time.Duration(below(r.Uint64(), int(most-least)+1))
}

// appendProduct appends product, category and currency.
func appendProduct(dst []byte, json string, kind Kind) []byte {
	const key = `"product":"`
	var dirt string
	switch kind {
	case BrokenUTF8:
		dirt = "\xC3("
	case NUL:
		dirt = "\x00"
	default:
		return append(dst, json...)
	}
	dst = append(append(dst, key...), dirt...)
	return append(dst, json[len(key):]...)
}

// appendPrice appends the price with the comma before it.
func appendPrice(dst []byte, cents int64, kind Kind, breaking bool) []byte {
	key := `,"price":`
	if breaking {
		key = `,"amount":`
	}
	switch kind {
	case PriceMissing:
		return dst
	case PriceNegative:
		return event.AppendCents(append(dst, key...), -max(cents, 1))
	case PriceNaN:
		return append(append(dst, key...), "NaN"...)
	case PriceString:
		dst = append(append(dst, key...), '"')
		return append(event.AppendCents(dst, cents), '"')
	}
	return event.AppendCents(append(dst, key...), cents)
}

// appendV2 appends what the second and the third form of an event have more than the first.
func appendV2(dst []byte, e *entry, breaking bool) []byte {
	channel := "web"
	switch {
	case e.bot:
		channel = "api"
	case e.user%3 == 0:
		channel = "app"
	}
	version := byte('2')
	if breaking {
		version = '3'
	}
	dst = append(append(dst, `,"schema":`...), version)
	dst = append(append(dst, `,"channel":"`...), channel...)
	return append(dst, '"')
}

// clockText writes times, most of which share their second with the one before.
type clockText struct {
	second int64
	text   [20]byte // up to the point, "2026-11-22T10:00:00."
	valid  bool
}

const shortTime = len("2026-11-22T10:00:00.")

func (c *clockText) append(dst []byte, at time.Time) []byte {
	second := at.Unix()
	if !c.valid || second != c.second {
		first := len(dst)
		dst = event.AppendTime(dst, at)
		if len(dst)-first == shortTime+len("000000Z") { // a year of four digits
			c.second, c.valid = second, true
			copy(c.text[:], dst[first:])
		}
		return dst
	}
	dst = append(dst, c.text[:]...)
	micros := at.Nanosecond() / 1000
	dst = append(dst, "000000Z"...)
	for i := len(dst) - 2; micros > 0; i-- {
		dst[i] = byte('0' + micros%10)
		micros /= 10
	}
	return dst
}
