package event

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func kettle() Event {
	return Event{
		ID: "a89e1e3d-4905-4fe9-aa26-053b505efd8d", Time: time.Date(2026, 11, 22, 11, 0, 0, 250_999, time.FixedZone("CET", 3600)),
		Product: "Stainless Kettle 1.7 l", Category: "kitchen", Currency: "EUR", UserID: "u-104729", Type: "purchase", Cents: 3532, Quantity: 2,
	}
}

func TestAnEventIsWrittenAsTheContractSays(t *testing.T) {
	e := kettle()
	if got := string(e.AppendJSON(nil)); got != usual {
		t.Errorf("AppendJSON\n got %s\nwant %s", got, usual)
	}
}

func TestCents(t *testing.T) {
	for _, c := range []struct {
		knows string
		cents int64
		want  string
	}{
		{"two decimals are always there", 5000, "50.00"},
		{"a leading zero is kept behind the point", 3505, "35.05"},
		{"below one unit there is a zero before it", 7, "0.07"},
		{"zero is zero", 0, "0.00"},
		{"the sign of a small negative is kept", -7, "-0.07"},
		{"the smallest number has no positive twin", math.MinInt64, "-92233720368547758.08"},
		{"no digit is lost to a float", math.MaxInt64, "92233720368547758.07"},
	} {
		t.Run(c.knows, func(t *testing.T) {
			if got := string(AppendCents(nil, c.cents)); got != c.want {
				t.Errorf("AppendCents(%d) = %s, want %s", c.cents, got, c.want)
			}
		})
	}
}

func TestWritingDoesNotAllocate(t *testing.T) {
	e := kettle()
	out := make([]byte, 0, 512)
	if got := testing.AllocsPerRun(100, func() { out = e.AppendJSON(out[:0]) }); got != 0 {
		t.Errorf("AppendJSON allocates %v times, want never", got)
	}
}

// FuzzAppendJSON knows that whatever is in an event, its line is one line of
// JSON that reads back as the same event.
func FuzzAppendJSON(f *testing.F) {
	f.Add("a89e1e3d", "Kettle", int64(3532), int64(2), int64(1_795_000_000_000_250))
	f.Add("\x00\n\r\t\"\\/\x7f", "<&>\u2028\u2029", int64(-1), int64(0), int64(0))
	f.Add("\xff\xc3(\xed\xa0\x80", "\U0001F600\uFFFD", int64(math.MinInt64), int64(math.MaxInt64), int64(-1))
	f.Fuzz(func(t *testing.T, id, text string, cents, quantity, micros int64) {
		when := time.UnixMicro(micros).UTC()
		if when.Year() < 0 || when.Year() > 9999 {
			return // no RFC 3339 form
		}
		e := Event{ID: id, Product: text, Category: text, Currency: text, UserID: text, Type: text, Time: when, Cents: cents, Quantity: quantity}
		line := e.AppendJSON(nil)
		var got struct {
			ID                                        string `json:"event_id"`
			Timestamp                                 time.Time
			Product, Category, Currency, UserID, Type string
			Price                                     json.Number
			Quantity                                  int64
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("AppendJSON wrote %q: %v", line, err)
		}
		// encoding/json's own writer says what becomes of text that is not UTF-8.
		clean := func(s string) (c string) {
			b, _ := json.Marshal(s)
			_ = json.Unmarshal(b, &c)
			return c
		}
		if got.ID != clean(id) || got.Product != clean(text) || got.Type != clean(text) {
			t.Errorf("AppendJSON wrote %q, which reads back as id %q, product %q", line, got.ID, got.Product)
		}
		if !got.Timestamp.Equal(when) || got.Quantity != quantity || got.Price.String() != string(AppendCents(nil, cents)) {
			t.Errorf("AppendJSON wrote %q: time %v, quantity %d, price %s", line, got.Timestamp, got.Quantity, got.Price)
		}
		if want := when.Format("2006-01-02T15:04:05.000000Z"); !strings.Contains(string(line), want) {
			t.Errorf("AppendJSON wrote %q, want the time as %s", line, want)
		}
		fields, reason := NewDecoder(DefaultNames()).Decode(line)
		if cents < 0 && reason == PriceNegative {
			return
		}
		if reason != Accepted || string(fields.ID) != clean(id) {
			t.Errorf("Decode(%q) = id %q, %v", line, fields.ID, reason)
		}
	})
}

// FuzzAppendKey knows that a key prints as UTF-8 and, where it is UTF-8, unaltered.
func FuzzAppendKey(f *testing.F) {
	for _, g := range readGolden(f) {
		if g.Key != nil {
			f.Add(*g.Key)
		}
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		if key == nil {
			key = []byte{} // nil is None
		}
		l := Line{Key: key}
		got := string(l.AppendKey(nil))
		// Python's replacement and Go's differ in the number of U+FFFD, not in the rest.
		fold := func(s string) string { return strings.ReplaceAll(s, "\uFFFD", "") }
		if fold(got) != fold(strings.ToValidUTF8(string(key), "\uFFFD")) {
			t.Errorf("AppendKey(%q) = %q", key, got)
		}
	})
}
