package verify

import (
	"encoding/json"
	"math/big"
	"testing"
	"time"
	"unicode/utf8"

	"eventline/internal/truth"
)

func TestWhatIsAnEvent(t *testing.T) {
	const stamp = `"timestamp":"2026-11-22T10:00:00.000001Z"`
	for _, c := range []struct {
		name, line string
		valid      bool
	}{
		{"an event", `{"event_id":"a",` + stamp + `,"price":3}`, true},
		{"a carriage return is white space", `{"event_id":"a",` + stamp + `,"price":3}` + "\r", true},
		{"zero is a price", `{"event_id":"a",` + stamp + `,"price":0}`, true},
		{"an exponent is one too", `{"event_id":"a",` + stamp + `,"price":1e-3}`, true},
		{"a negative price", `{"event_id":"a",` + stamp + `,"price":-0.01}`, false},
		{"a price as text", `{"event_id":"a",` + stamp + `,"price":"3"}`, false},
		{"a price that is not a number", `{"event_id":"a",` + stamp + `,"price":NaN}`, false},
		{"no price", `{"event_id":"a",` + stamp + `}`, false},
		{"the name is compared exactly", `{"event_id":"a",` + stamp + `,"Price":3}`, false},
		{"a price with a GB of digits", `{"event_id":"a",` + stamp + `,"price":1e999999999}`, false},
		{"an id that is no string", `{"event_id":7,` + stamp + `,"price":3}`, false},
		{"no id", `{` + stamp + `,"price":3}`, false},
		{"no time", `{"event_id":"a","price":3}`, false},
		{"another time", `{"event_id":"a","timestamp":"yesterday","price":3}`, false},
		{"bytes that are not UTF-8", `{"event_id":"a` + "\xc3(" + `",` + stamp + `,"price":3}`, false},
		{"NUL in a string", `{"event_id":"a` + "\x00" + `",` + stamp + `,"price":3}`, false},
		{"no object", `[1]`, false},
		{"two objects", `{"event_id":"a",` + stamp + `,"price":3}{}`, false},
		{"nothing", ``, false},
	} {
		if got := parseEvent([]byte(c.line)).valid; got != c.valid {
			t.Errorf("%s: %s: valid %v, want %v", c.name, c.line, got, c.valid)
		}
	}
}

func TestMoneyIsExact(t *testing.T) {
	sum := money{}
	for _, text := range []string{"0.1", "0.2", "35.32", "1e2", "0.005", "1e20", "-0.005", "-100000000000000000000"} {
		m, ok := parseMoney(text)
		if !ok {
			t.Fatalf("parseMoney(%q) refuses it", text)
		}
		sum = sum.plus(m)
	}
	if want, _ := parseMoney("135.62"); sum.cmp(want) != 0 || sum.String() != "135.62" {
		t.Errorf("got %s, want 135.62", sum)
	}
	if m, _ := parseMoney("49.99999999999999999999"); m.bucket() != "low" {
		t.Errorf("just below 50 is %s, want low", m.bucket())
	}
	if m, _ := parseMoney("5.0e1"); m.bucket() != "medium" {
		t.Errorf("50 is %s, want medium", m.bucket())
	}
	if m, _ := parseMoney("1e300"); m.bucket() != "high" {
		t.Errorf("1e300 is %s, want high", m.bucket())
	}
	many := money{}
	for range 64 {
		big := money{cents: mostSum - 1}
		many = many.plus(big)
	}
	if want := new(big.Rat).Mul(big.NewRat(mostSum-1, 100), big.NewRat(64, 1)); many.rat().Cmp(want) != 0 {
		t.Errorf("64 sums: got %s, want %s", many, want)
	}
}

func TestWindowsBeginBefore1970Too(t *testing.T) {
	e := event{at: -1}
	if got := spotOf(e, time.Minute).window(); got != "1969-12-31T23:59:00Z" {
		t.Errorf("got %s, want 1969-12-31T23:59:00Z", got)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"event_id":"a","timestamp":"2026-11-22T10:00:00Z","price":3.5}`))
	f.Add([]byte(`{"event_id":"a","timestamp":"2026-11-22T10:00:00Z","price":1e400}`))
	f.Add([]byte(`{"event_id":`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e := parseEvent(line)
		_ = idOf(line)
		_, _ = shape(line)
		if !e.valid {
			return
		}
		if !utf8.Valid(line) || !json.Valid(line) || e.price.sign() < 0 {
			t.Errorf("%q is taken for an event", line)
		}
		if s := spotOf(e, time.Minute); order(s.bucket) == len(truth.Buckets) {
			t.Errorf("%q is in bucket %q", line, s.bucket)
		}
	})
}

func FuzzParseMoney(f *testing.F) {
	for _, text := range []string{"35.32", "-0", "1e-400", "0.001", "9007199254740993.99", "1E+5", "--1", "1_0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := parseMoney(text)
		if !json.Valid([]byte(text)) || !ok { // only numbers come that JSON has
			return
		}
		want, exact := new(big.Rat).SetString(text)
		if !exact || m.rat().Cmp(want) != 0 {
			t.Errorf("parseMoney(%q) = %s, want %s", text, m, want)
		}
	})
}

func FuzzResult(f *testing.F) {
	f.Add("2026-11-22T10:00:00Z/PT1M/low/0", []byte(`{"bucket":"low","window_start":"2026-11-22T10:00:00Z","window_end":"2026-11-22T10:01:00Z","partition":0,"revision":1,"final":true,"count":1,"sum":1,"min":1,"max":1,"p50":1,"p95":1,"p99":1}`))
	r := newResults(&Answers{Key: truth.NewRecorder(time.Minute, 0).Key()})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		_, _, rev, err := r.parse(key, value)
		if err == nil && !json.Valid(value) && rev.count > 0 {
			t.Errorf("%q is taken for a result", value)
		}
	})
}
