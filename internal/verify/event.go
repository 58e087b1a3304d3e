package verify

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"eventline/internal/truth"
)

// event is what a line says, as encoding/json reads it.
type event struct {
	id    string // empty if there is none
	at    int64  // in microseconds since 1970
	price money
	// valid says that the line is an event that belongs into a window: a JSON object in UTF-8 with a
	// string event_id, a number price that is not negative, and a timestamp of RFC 3339.
	valid bool
}

func parseEvent(line []byte) (e event) {
	var fields map[string]json.RawMessage // values stay text, so that numbers stay exact
	if !utf8.Valid(line) || json.Unmarshal(line, &fields) != nil {
		return e
	}
	text := func(name string) (s string, ok bool) {
		raw := fields[name]
		return s, len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil
	}
	id, isText := text("event_id")
	e.id = id
	stamp, hasTime := text("timestamp")
	at, err := time.Parse(time.RFC3339, stamp)
	if !isText || !hasTime || err != nil {
		return e
	}
	e.at = at.UnixMicro()
	e.price, e.valid = parseMoney(string(fields["price"]))
	if e.price.sign() < 0 {
		e.valid = false
	}
	return e
}

// idOf returns the event id of a line, or what looks like one in a line that is no JSON.
func idOf(line []byte) string {
	if e := parseEvent(line); e.id != "" {
		return e.id
	}
	_, rest, found := bytes.Cut(line, []byte(`"event_id":"`))
	id, _, ended := bytes.Cut(rest, []byte{'"'})
	if !found || !ended || len(id) > 64 || !utf8.Valid(id) {
		return ""
	}
	return string(id)
}

// money is an exact amount: hundredths, and beside them what can't be counted in hundredths.
type money struct {
	cents int64
	more  *big.Rat // nil for nothing; never changed in place
}

// Bounds within which sums of hundredths can't overflow.
const (
	mostCents = int64(1) << 53
	mostSum   = int64(1) << 61
)

// mostExponent is what a number's exponent may be. JSON sets no bound, and 1e999999999 has a GB of digits;
// the largest float64 is below 1e309.
const mostExponent = 400

// parseMoney reads the text of a JSON number, exactly.
func parseMoney(text string) (money, bool) {
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') || len(text) > 5000 {
		return money{}, false
	}
	if a, err := truth.ParseAmount(text); err == nil && int64(a) < mostCents && int64(a) > -mostCents {
		return money{cents: int64(a)}, true
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if n, err := strconv.Atoi(text[i+1:]); err != nil || n > mostExponent || n < -mostExponent {
			return money{}, false
		}
	}
	r, ok := new(big.Rat).SetString(text)
	return money{more: r}, ok
}

func amount(a truth.Amount) money { return money{}.plus(money{cents: int64(a)}) }

func (m money) rat() *big.Rat {
	r := big.NewRat(m.cents, 100)
	if m.more != nil {
		r.Add(r, m.more)
	}
	return r
}

func (m money) plus(o money) money {
	if m.more == nil && o.more == nil {
		if sum := m.cents + o.cents; sum < mostSum && sum > -mostSum {
			return money{cents: sum}
		}
	}
	return money{more: new(big.Rat).Add(m.rat(), o.rat())}
}

func (m money) cmp(o money) int {
	if m.more == nil && o.more == nil {
		switch {
		case m.cents < o.cents:
			return -1
		case m.cents > o.cents:
			return 1
		}
		return 0
	}
	return m.rat().Cmp(o.rat())
}

func (m money) sign() int { return m.cmp(money{}) }

// near says whether m is within a hundredth of what is wanted.
func (m money) near(want money) bool {
	w := want.rat()
	off := new(big.Rat).Sub(m.rat(), w)
	off.Abs(off).Mul(off, big.NewRat(100, 1))
	return off.Cmp(w.Abs(w)) <= 0
}

// bucket names the bucket of a price. Thresholds are whole, so what is below a hundredth does not matter.
func (m money) bucket() string {
	if m.more == nil {
		return truth.Bucket(truth.Amount(m.cents))
	}
	cents := m.rat()
	cents.Mul(cents, big.NewRat(100, 1))
	floor := new(big.Int).Div(cents.Num(), cents.Denom())
	if !floor.IsInt64() {
		return truth.Bucket(truth.Amount(mostSum))
	}
	return truth.Bucket(truth.Amount(floor.Int64()))
}

// String writes two decimals, or as many as there are.
func (m money) String() string {
	if m.more == nil {
		return truth.Amount(m.cents).String()
	}
	r := m.rat()
	digits, exact := r.FloatPrec()
	if !exact {
		return r.RatString()
	}
	return r.FloatString(max(2, digits))
}
