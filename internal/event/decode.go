package event

import (
	"bytes"
	"unicode/utf8"
)

// A Reason says why a line is not an event. The set is closed, so that it can
// label a metric.
type Reason uint8

// The reasons. A line gets the first that applies, in the order of these
// constants.
const (
	Accepted      Reason = iota // it is an event
	Empty                       // nothing but white space
	InvalidUTF8                 // some byte, anywhere, is not UTF-8
	NotJSON                     // not one JSON value, as encoding/json and RFC 8259 see it
	NotObject                   // JSON, but not an object
	NoID                        // no field for the id
	IDType                      // the id is neither a string nor a number
	NoPrice                     // no field for the price
	PriceType                   // the price is not a number: a string, true, null and so on
	PriceNegative               // below zero; -0 and -0.0 are zero
	PriceRange                  // a float that Python reads as inf (1e400), or an integer of more than 4300 digits
	reasons                     // how many there are
)

var reasonNames = [reasons]string{
	Accepted: "accepted", Empty: "empty", InvalidUTF8: "invalid_utf8", NotJSON: "not_json", NotObject: "not_object",
	NoID: "no_id", IDType: "id_type", NoPrice: "no_price", PriceType: "price_type",
	PriceNegative: "price_negative", PriceRange: "price_range",
}

// String returns the reason as a metric label, for instance price_range.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Rejections lists every reason but Accepted, in order.
func Rejections() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := Accepted + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}

// Names says which fields of the object to read. They are compared byte for
// byte with the unescaped keys.
type Names struct {
	ID    string
	Price string
}

// DefaultNames are the names in an eventline event.
func DefaultNames() Names { return Names{ID: "event_id", Price: "price"} }

// Fields is what a [Decoder] found in a line. Its slices point into the line or
// into the decoder, and are valid until the next Decode.
type Fields struct {
	ID    []byte // a string's text, or a number as Python prints it
	Price Price
}

// A Decoder reads lines. It holds scratch space and so is for one goroutine at a
// time; decoders share nothing.
type Decoder struct {
	names   Names
	scanner scanner
	scratch []byte // the id, where it is not a part of the line
}

// NewDecoder returns a decoder for the fields that names says.
func NewDecoder(names Names) *Decoder {
	return &Decoder{names: names}
}

// Decode reads one line, with or without its newline. For an event of usual shape
// it does not allocate. When the reason is not Accepted, the fields mean nothing.
func (d *Decoder) Decode(line []byte) (Fields, Reason) {
	i := skipSpace(line, 0)
	if i == len(line) {
		return Fields{}, Empty
	}
	s := &d.scanner
	s.reset(d.names)
	object := line[i] == '{'
	i = s.value(line, i, 0)
	valid := i >= 0 && skipSpace(line, i) == len(line)
	// Valid JSON has bytes above 0x7F only inside strings, and the scanner
	// collects those, so that plain lines need no second look.
	if (!valid || s.high >= utf8.RuneSelf) && !utf8.Valid(line) {
		return Fields{}, InvalidUTF8
	}
	if !valid {
		return Fields{}, NotJSON
	}
	if !object {
		return Fields{}, NotObject
	}
	return d.fields(s.id, s.price)
}

// fields judges the raw values of the two fields, nil where there is none.
func (d *Decoder) fields(id, price []byte) (f Fields, r Reason) {
	if id == nil {
		return f, NoID
	}
	if f.ID, r = d.text(id); r != Accepted {
		return f, r
	}
	if price == nil {
		return f, NoPrice
	}
	if !startsNumber(price[0]) {
		return f, PriceType
	}
	f.Price, r = parsePrice(price)
	return f, r
}

// text returns the id as it is printed.
func (d *Decoder) text(value []byte) ([]byte, Reason) {
	switch {
	case value[0] == '"':
		value = value[1 : len(value)-1]
		if bytes.IndexByte(value, '\\') < 0 {
			return value, Accepted
		}
		d.scratch = appendUnescaped(d.scratch[:0], value)
		return d.scratch, Accepted
	case startsNumber(value[0]):
		number, ok := parseNumber(value)
		if !ok {
			return nil, IDType
		}
		d.scratch = number.AppendPython(d.scratch[:0])
		return d.scratch, Accepted
	}
	return nil, IDType
}
