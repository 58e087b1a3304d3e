package event

import (
	"bytes"
	"math"
	"strconv"
)

// maxIntegerDigits is how long an integer may be. Python 3.11 and later refuse
// to convert longer ones (sys.int_info.default_max_str_digits), so the old
// consumer has no line for them; it also bounds what printing can cost.
const maxIntegerDigits = 4300

// A Price is a JSON number that is finite and not negative.
//
// It keeps the number's text, which is exact and which sums must use, and the
// nearest float64, which is what the old consumer compared and printed. Its text
// points into the decoded line.
type Price struct {
	text    []byte
	float   float64 // +Inf for an integer above the largest float64
	integer bool    // neither fraction nor exponent: an int in Python
}

// Text returns the number exactly as the line has it, for instance 35.32, 50 or
// 1e-05. It is valid as long as the line is.
func (p Price) Text() []byte { return p.text }

// Float returns the nearest float64, or +Inf for an integer beyond all of them.
//
// It decides the bucket. That is exact wherever it can matter: a price of up to
// 15 significant digits, on whichever side of a threshold, lies on the same side
// after rounding, because rounding never reverses an order and such numbers stay
// apart as float64. A longer text that rounds onto a threshold (49.99999999999999999
// onto 50) belongs to the bucket above it, as it always did for the old consumer,
// and prints as the number that it was compared as.
func (p Price) Float() float64 { return p.float }

// AppendPython appends the price as Python 3 prints the value that json.loads
// makes of it: an integer in full, anything else as repr(float).
func (p Price) AppendPython(dst []byte) []byte {
	if !p.integer {
		return appendRepr(dst, p.float)
	}
	if len(p.text) == 2 && p.text[0] == '-' { // only -0 gets here; int("-0") is 0
		return append(dst, '0')
	}
	return append(dst, p.text...)
}

// appendRepr appends a finite f as Python 3's repr does: the fewest digits that
// read back as f, with an exponent below 1e-4 and from 1e16 on, and always with
// a sign that it is a float. See float_repr_style and format code r in
// CPython's Python/pystrtod.c.
func appendRepr(dst []byte, f float64) []byte {
	at := len(dst)
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if bytes.IndexByte(dst[at:], '.') < 0 {
		dst = append(dst, '.', '0')
	}
	return dst
}

// parsePrice judges the text of a valid JSON number.
func parsePrice(text []byte) (Price, Reason) {
	p, ok := parseNumber(text)
	if text[0] == '-' && !isZero(text) {
		return p, PriceNegative
	}
	if !ok {
		return p, PriceRange
	}
	return p, Accepted
}

// parseNumber reports false for a number that Python cannot hold: a float
// beyond the largest, which becomes inf, or an integer that is too long.
func parseNumber(text []byte) (Price, bool) {
	p := Price{text: text, integer: !bytes.ContainsAny(text, ".eE")}
	// The text is a valid number, so the only error is a range error, and then
	// the value is an infinity.
	p.float, _ = strconv.ParseFloat(string(text), 64)
	if !p.integer {
		return p, !math.IsInf(p.float, 0)
	}
	digits := len(text)
	if text[0] == '-' {
		digits--
	}
	return p, digits <= maxIntegerDigits
}

// isZero says whether a valid JSON number is zero, whatever its exponent. It
// looks at the digits, for a float could have become zero by underflow.
func isZero(text []byte) bool {
	for _, c := range text {
		switch {
		case c >= '1' && c <= '9':
			return false
		case c == 'e' || c == 'E':
			return true
		}
	}
	return true
}
