// Package event knows one event: its fields, how it is written as a line of
// JSON, how a line is read back, and the classic line that the old Python
// consumer printed for it.
//
// # Reading
//
// A [Decoder] reads a line in one strict pass of its own, rather than with
// fastjson or jsonparser. Both of those are lax in ways that a caller cannot
// see from outside: fastjson takes numbers such as 01 or 1-2, control
// characters inside strings and the first of two equal keys; jsonparser stops
// at the key it looks for and never sees that the rest is broken. Closing those
// gaps costs a second pass over the line, and bucketer needs two fields out of
// nine. The pass here is small, allocates nothing, and is held against
// encoding/json by a differential fuzz: it accepts exactly the lines for which
// json.Valid and utf8.Valid both hold, and finds the same values in them.
//
// Where the three parties differ, this package decides so:
//
//   - NaN, Infinity and -Infinity: Python reads them, JSON has no such numbers;
//     refused as not JSON.
//   - Invalid UTF-8: encoding/json replaces it, RFC 8259 section 8.1 forbids it
//     and Python raises; refused. A byte order mark is refused too, and so is
//     UTF-16, which json.loads would guess.
//   - A lone surrogate escape such as \ud800: valid for all three. Python can
//     read but not print it; the text holds U+FFFD, as with encoding/json.
//   - Two equal keys: the last one counts, as in encoding/json and Python.
//   - Key names are compared exactly, after unescaping (encoding/json would
//     ignore case for a struct field; Python does not).
//   - A document nested more than 10,000 deep is refused, as by encoding/json.
//     Python gives up at about 1,000.
package event

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// An Event is what eventgen writes: one JSON object a line.
type Event struct {
	ID       string    // event_id, a UUID
	Time     time.Time // timestamp, the event time; written in UTC with microseconds
	Product  string
	Category string
	Currency string
	UserID   string // user_id
	Type     string // view, cart, checkout, purchase or abandon
	Cents    int64  // price in hundredths, so that no price ever is a float
	Quantity int64
}

// AppendJSON appends the event as one JSON object, without a newline, and
// returns the longer slice. It allocates only to grow dst. The output is always
// one line of valid JSON: text that is not UTF-8 is written with U+FFFD in place
// of each bad byte, as encoding/json does.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"event_id":`...)
	dst = appendString(dst, e.ID)
	dst = append(dst, `,"timestamp":"`...)
	dst = AppendTime(dst, e.Time)
	dst = append(dst, `","product":`...)
	dst = appendString(dst, e.Product)
	dst = append(dst, `,"category":`...)
	dst = appendString(dst, e.Category)
	dst = append(dst, `,"currency":`...)
	dst = appendString(dst, e.Currency)
	dst = append(dst, `,"user_id":`...)
	dst = appendString(dst, e.UserID)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `,"price":`...)
	dst = AppendCents(dst, e.Cents)
	dst = append(dst, `,"quantity":`...)
	dst = strconv.AppendInt(dst, e.Quantity, 10)
	return append(dst, '}')
}

// AppendTime appends t as RFC 3339 in UTC with exactly six digits of a second
// and a Z, for instance 2026-11-22T10:00:00.000250Z. Years outside 0 to 9999
// have no RFC 3339 form.
func AppendTime(dst []byte, t time.Time) []byte {
	// Written by hand because AppendFormat interprets its layout anew for each
	// event, which is a third of what writing an event costs.
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendPadded(dst, year, 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendPadded(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendPadded(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, second, 2)
	dst = append(dst, '.')
	dst = appendPadded(dst, t.Nanosecond()/1000, 6)
	return append(dst, 'Z')
}

// AppendCents appends an amount given in hundredths as a decimal with exactly
// two decimals, for instance 3532 as 35.32 and -5 as -0.05.
func AppendCents(dst []byte, cents int64) []byte {
	n := uint64(cents)
	if cents < 0 {
		dst = append(dst, '-')
		n = -n // also right for the smallest int64
	}
	dst = strconv.AppendUint(dst, n/100, 10)
	dst = append(dst, '.')
	return appendPadded(dst, int(n%100), 2)
}

// appendPadded appends n, which is not negative and has at most width digits,
// with leading zeros.
func appendPadded(dst []byte, n, width int) []byte {
	at := len(dst)
	for range width {
		dst = append(dst, '0')
	}
	for i := at + width - 1; i >= at; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// appendString appends s as a JSON string. Unlike encoding/json it leaves
// <, > and & alone: lines are for readers and programs, not for HTML pages.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0 // start of the run that needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[plain:i]...)
				dst = append(dst, "\uFFFD"...)
				plain = i + 1
			}
			i += size
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[plain:i-1]...)
		plain = i
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
		}
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}
