package generate

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stateVersion is the form of a Shop's state. A change of what events are made of needs a new one too: a
// shop that is taken up by other rules would not give the bytes that it gave before.
const stateVersion = 1

const sessionSize = 8 + 4 + 4 + 2 + 4

// AppendState appends what [World.Restore] needs to go on behind the last event, and returns the longer
// slice. It is 22 bytes for each open session, and the last 16 lines where lines may be repeated.
func (s *Shop) AppendState(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, stateVersion)
	dst = le.AppendUint64(dst, s.event)
	dst = le.AppendUint64(dst, s.lines)
	dst = le.AppendUint32(dst, uint32(len(s.open)))
	for i := range s.open {
		v := &s.open[i]
		dst = le.AppendUint64(dst, uint64(v.due))
		dst = le.AppendUint32(dst, v.user)
		dst = le.AppendUint32(dst, v.product)
		dst = le.AppendUint16(dst, v.views)
		bot := byte(0)
		if v.bot {
			bot = 1
		}
		dst = append(dst, byte(v.next), v.quantity, v.off, bot)
	}
	for i := range s.recent {
		v := &s.recent[i]
		dst = le.AppendUint32(dst, uint32(len(v.text)))
		dst = append(dst, v.text...)
		dst = le.AppendUint64(dst, v.line.Event)
		dst = le.AppendUint64(dst, uint64(v.line.At))
		dst = le.AppendUint64(dst, uint64(v.line.Cents))
		valid := byte(0)
		if v.line.Valid {
			valid = 1
		}
		dst = append(dst, byte(v.line.Kind), valid)
	}
	return dst
}

var errState = errors.New("is cut short or longer than it should be")

// Restore opens the world where a Shop of it was when AppendState was called. state has to be of the same
// seed and profile; its numbers are checked, so that a wrong one is an error and not a panic later.
func (w *World) Restore(state []byte) (*Shop, error) {
	s := w.NewShop()
	d := decoder{rest: state}
	if v := d.u8(); v != stateVersion && !d.short {
		return nil, fmt.Errorf("is of form %d, this version knows %d", v, stateVersion)
	}
	s.event, s.lines = d.u64(), d.u64()
	n := int(d.u32())
	if n > maxOpen || n > len(d.rest)/sessionSize {
		return nil, errState
	}
	s.open = make([]session, n)
	for i := range s.open {
		v := &s.open[i]
		v.due, v.user, v.product, v.views = int64(d.u64()), d.u32(), d.u32(), d.u16()
		v.next, v.quantity, v.off, v.bot = action(d.u8()), d.u8(), d.u8(), d.u8() != 0
		if int(v.user) >= len(w.users) || int(v.product) >= len(w.products) || v.next >= leave || v.next == view && v.views == 0 {
			return nil, fmt.Errorf("has a session that this shop can't have")
		}
		if i > 0 && s.open[(i-1)/4].due > v.due {
			return nil, fmt.Errorf("has sessions out of order")
		}
	}
	for i := range s.recent {
		v := &s.recent[i]
		v.text = append(v.text, d.bytes(int(d.u32()))...)
		v.line = Line{Event: d.u64(), At: int64(d.u64()), Cents: int64(d.u64()), Kind: Kind(d.u8()), Valid: d.u8() != 0, Len: len(v.text)}
		if v.line.Kind >= kinds {
			return nil, fmt.Errorf("has a line of an unknown kind")
		}
	}
	if d.short || len(d.rest) > 0 {
		return nil, errState
	}
	return s, nil
}

// decoder takes numbers off a state. What is not there is 0 and noted.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.short, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) number(n int) (v uint64) {
	for i, b := range d.bytes(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (d *decoder) u64() uint64 { return d.number(8) }
func (d *decoder) u32() uint32 { return uint32(d.number(4)) }
func (d *decoder) u16() uint16 { return uint16(d.number(2)) }
func (d *decoder) u8() uint8   { return uint8(d.number(1)) }
