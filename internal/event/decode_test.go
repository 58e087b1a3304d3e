package event

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

const usual = `{"event_id":"a89e1e3d-4905-4fe9-aa26-053b505efd8d","timestamp":"2026-11-22T10:00:00.000250Z",` +
	`"product":"Stainless Kettle 1.7 l","category":"kitchen","currency":"EUR","user_id":"u-104729","type":"purchase","price":35.32,"quantity":2}`

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		knows string
		line  string
		want  Reason
	}{
		{"an event is an event", usual, Accepted},
		{"a newline may follow", usual + "\n", Accepted},
		{"zero is a price", `{"event_id":"x","price":0}`, Accepted},
		{"minus zero is zero", `{"event_id":"x","price":-0.0}`, Accepted},
		{"an integer may be larger than any float", `{"event_id":"x","price":1` + strings.Repeat("0", 400) + `}`, Accepted},
		{"a tiny float is a small price", `{"event_id":"x","price":1e-400}`, Accepted},

		{"no bytes are no event", "", Empty},
		{"white space is no event", " \t\r\n", Empty},

		{"text is not JSON", "hello", NotJSON},
		{"half a line is not JSON", usual[:100], NotJSON},
		{"two objects are not one", `{"event_id":"x","price":1}{}`, NotJSON},
		{"a trailing comma is not JSON", `{"event_id":"x","price":1,}`, NotJSON},
		{"NaN is Python, not JSON", `{"event_id":"x","price":NaN}`, NotJSON},
		{"Infinity is Python, not JSON", `{"event_id":"x","price":Infinity}`, NotJSON},
		{"-Infinity is Python, not JSON", `{"event_id":"x","price":-Infinity}`, NotJSON},
		{"a leading zero is not JSON", `{"event_id":"x","price":01}`, NotJSON},
		{"a leading plus is not JSON", `{"event_id":"x","price":+1}`, NotJSON},
		{"a bare point is not JSON", `{"event_id":"x","price":1.}`, NotJSON},
		{"a bare exponent is not JSON", `{"event_id":"x","price":1e}`, NotJSON},
		{"a bare minus is not JSON", `{"event_id":"x","price":-}`, NotJSON},
		{"a NUL byte in a string is not JSON", "{\"event_id\":\"x\x00\",\"price\":1}", NotJSON},
		{"NUL bytes alone are not JSON", "\x00\x00\x00", NotJSON},
		{"a raw newline in a string is not JSON", "{\"event_id\":\"x\n\",\"price\":1}", NotJSON},
		{"an unknown escape is not JSON", `{"event_id":"\x41","price":1}`, NotJSON},
		{"a short escape is not JSON", `{"event_id":"\u12","price":1}`, NotJSON},
		{"a byte order mark is not JSON", "\uFEFF" + usual, NotJSON},
		{"garbage behind the wanted fields is seen", `{"event_id":"x","price":1,"z":tru}`, NotJSON},
		{"garbage deep inside is seen", `{"event_id":"x","price":1,"z":[{"a":[1,2,}]}`, NotJSON},
		{"more nesting than encoding/json bears", `{"event_id":"x","price":1,"z":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, NotJSON},

		{"a bad byte in a string", "{\"event_id\":\"\xff\",\"price\":1}", InvalidUTF8},
		{"a bad byte in another field", "{\"event_id\":\"x\",\"price\":1,\"z\":\"\xc3\"}", InvalidUTF8},
		{"a bad byte in a key", "{\"event_id\":\"x\",\"price\":1,\"\xc3\":1}", InvalidUTF8},
		{"a surrogate written as UTF-8", "{\"event_id\":\"\xed\xa0\x80\",\"price\":1}", InvalidUTF8},
		{"a bad byte where JSON is broken too", "\xff{", InvalidUTF8},
		{"UTF-16 is not UTF-8", "\xff\xfe{\x00}\x00", InvalidUTF8},

		{"a number is no object", "35.32", NotObject},
		{"an array is no object", "[" + usual + "]", NotObject},
		{"null is no object", "null", NotObject},

		{"no id", `{"price":35.32}`, NoID},
		{"an id further in is no id", `{"a":{"event_id":"x"},"price":1}`, NoID},
		{"neither id nor price is no id", `{}`, NoID},
		{"a null id", `{"event_id":null,"price":1}`, IDType},
		{"an object as id", `{"event_id":{},"price":1}`, IDType},
		{"an id that Python cannot print", `{"event_id":1e400,"price":1}`, IDType},

		{"no price", `{"event_id":"x"}`, NoPrice},
		{"a string as price", `{"event_id":"x","price":"35.32"}`, PriceType},
		{"true as price, which Python counts as 1", `{"event_id":"x","price":true}`, PriceType},
		{"null as price", `{"event_id":"x","price":null}`, PriceType},
		{"an array as price", `{"event_id":"x","price":[35.32]}`, PriceType},
		{"the last price counts, even if it is none", `{"event_id":"x","price":1,"price":"2"}`, PriceType},
		{"below zero", `{"event_id":"x","price":-0.01}`, PriceNegative},
		{"below zero, however little", `{"event_id":"x","price":-1e-400}`, PriceNegative},
		{"below zero, however much", `{"event_id":"x","price":-1e400}`, PriceNegative},
		{"more than a float holds", `{"event_id":"x","price":1e400}`, PriceRange},
		{"an integer of more digits than Python converts", `{"event_id":"x","price":` + strings.Repeat("7", 4301) + `}`, PriceRange},
	} {
		t.Run(c.knows, func(t *testing.T) {
			if _, got := NewDecoder(DefaultNames()).Decode([]byte(c.line)); got != c.want {
				t.Errorf("Decode(%.120q) = %v, want %v", c.line, got, c.want)
			}
		})
	}
}

func TestReasonsAreNamedAndCounted(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range append(Rejections(), Accepted) {
		if name := r.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("reason %d is called %q, which is no label of its own", r, name)
		}
		seen[r.String()] = true
	}
	if got := reasons.String(); got != "unknown" {
		t.Errorf("a reason out of range is called %q, want unknown", got)
	}
}

func TestFieldNamesAreSettings(t *testing.T) {
	d := NewDecoder(Names{ID: "sensor", Price: "reading"})
	f, reason := d.Decode([]byte(`{"event_id":"no","price":1,"sensor":"s-7","reading":21.50}`))
	if reason != Accepted || string(f.ID) != "s-7" || string(f.Price.Text()) != "21.50" {
		t.Errorf("Decode = %q, %q, %v, want s-7, 21.50, accepted", f.ID, f.Price.Text(), reason)
	}
	if _, reason = d.Decode([]byte(usual)); reason != NoID {
		t.Errorf("Decode of an event without these fields = %v, want no_id", reason)
	}
}

func TestALineOfOneMebibyteIsOneEvent(t *testing.T) {
	line := `{"blob":"` + strings.Repeat("x", 1<<20) + `","event_id":"x","price":1}`
	if f, reason := NewDecoder(DefaultNames()).Decode([]byte(line)); reason != Accepted || string(f.ID) != "x" {
		t.Errorf("Decode of 1 MiB = %q, %v, want x, accepted", f.ID, reason)
	}
	garbage := bytes.Repeat([]byte("x"), 1<<20)
	if _, reason := NewDecoder(DefaultNames()).Decode(garbage); reason != NotJSON {
		t.Errorf("Decode of 1 MiB of garbage = %v, want not_json", reason)
	}
}

func TestALoneSurrogateIsReplaced(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{`\ud83d`, "\uFFFD"},
		{`\ude00`, "\uFFFD"},
		{`\ud83dx`, "\uFFFDx"},
		{`\ud83d\u0041`, "\uFFFDA"},
		{`\ud83d\ud83d\ude00`, "\uFFFD\U0001F600"},
		{`\ud83d\n`, "\uFFFD\n"},
	} {
		f, reason := NewDecoder(DefaultNames()).Decode([]byte(`{"event_id":"` + c.id + `","price":1}`))
		if reason != Accepted || string(f.ID) != c.want {
			t.Errorf("id %s reads as %q, %v, want %q as encoding/json reads it", c.id, f.ID, reason, c.want)
		}
	}
}

func TestDecodingAndPrintingDoNotAllocate(t *testing.T) {
	d := NewDecoder(DefaultNames())
	var out []byte
	for _, text := range []string{usual, strings.Replace(usual, "Kettle", "K\u00e4ttle", 1), `{"event_id":"\u0061","pric\u0065":1e16}`} {
		line := []byte(text)
		got := testing.AllocsPerRun(100, func() {
			f, _ := d.Decode(line)
			l := Line{Offset: 1, Bucket: "low", ID: f.ID, Price: f.Price}
			out = l.AppendClassic(out[:0])
		})
		if got != 0 {
			t.Errorf("Decode and AppendClassic of %.60q allocate %v times, want never", text, got)
		}
	}
}

// FuzzDecode holds the decoder against encoding/json: the same lines are valid,
// the same values are in them.
func FuzzDecode(f *testing.F) {
	for _, g := range readGolden(f) {
		if len(g.Value) < 1000 {
			f.Add(g.Value)
		}
	}
	for _, s := range []string{
		"", " ", "{", "}", "{}", "[]", "null", `"x"`, "1", "tru", usual, usual[:60], usual + "\n", usual + "x", "\uFEFF{}", "{\"\xff\":1}",
		`{"event_id":"\ud800","price":1}`, `{"event_id":"\ud800\udc00","price":1E+2}`, `{"event_id":"x","price":NaN}`, `{"event_id":"x","price":-Infinity}`,
		`{"event_id":1e400,"price":1e400}`, `{"event_id":"x","price":-1e-400}`, `{"event_id":"x","price":01}`, `{"event_id":"x","price":1.e1}`,
		`{"a":{"b":[1,{"c":null}],"d":[]},"price":1,"event_id":true}`, `{"event_id":"x","price":1,"price":"2"}`, `{"event\u005fid":"x","price":-0}`,
		"{\"event_id\":\"\x00\",\"price\":1}", "{\"event_id\":\"\x7f\",\"price\":1}", `{"event_id":"x","price":1,}`, `{,"price":1}`, `{"a" 1}`, `[1 2]`, `[,]`,
	} {
		f.Add([]byte(s))
	}
	d := NewDecoder(DefaultNames()) // shared on purpose: no line may leave a trace for the next
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		got, reason := d.Decode(line)
		if !bytes.Equal(line, before) {
			t.Fatalf("Decode(%q) altered the line to %q", before, line)
		}
		id, price, want := judge(line)
		if reason != want {
			t.Fatalf("Decode(%q) = %v, encoding/json says %v", line, reason, want)
		}
		if reason != Accepted {
			return
		}
		if string(got.ID) != id {
			t.Errorf("Decode(%q): id %q, encoding/json says %q", line, got.ID, id)
		}
		if string(got.Price.Text()) != price {
			t.Errorf("Decode(%q): price %s, encoding/json says %s", line, got.Price.Text(), price)
		}
		l := Line{ID: got.ID, Price: got.Price}
		if text := l.AppendClassic(nil); !utf8.Valid(text) {
			t.Errorf("AppendClassic(%q) = %q, which is not UTF-8", line, text)
		}
	})
}

// judge is what the decoder promises, written with encoding/json.
func judge(line []byte) (id, price string, r Reason) {
	var object map[string]json.RawMessage
	switch {
	case len(bytes.Trim(line, " \t\r\n")) == 0:
		return "", "", Empty
	case !utf8.Valid(line):
		return "", "", InvalidUTF8
	case !json.Valid(line):
		return "", "", NotJSON
	case json.Unmarshal(line, &object) != nil || object == nil:
		return "", "", NotObject
	}
	rawID, ok := object["event_id"]
	if !ok {
		return "", "", NoID
	}
	var number json.Number
	var float float64
	switch first := rawID[0]; {
	case first == '"':
		if err := json.Unmarshal(rawID, &id); err != nil {
			panic(err)
		}
	case json.Unmarshal(rawID, &number) == nil && number != "":
		p, ok := parseNumber(rawID)
		if !ok {
			return "", "", IDType
		}
		id = string(p.AppendPython(nil)) // held against Python by the golden file
	default:
		return "", "", IDType
	}
	rawPrice, ok := object["price"]
	if !ok {
		return "", "", NoPrice
	}
	number = ""
	if rawPrice[0] == '"' || json.Unmarshal(rawPrice, &number) != nil || number == "" {
		return "", "", PriceType
	}
	price = number.String()
	mantissa, _, _ := strings.Cut(strings.ToLower(price), "e")
	integer := !strings.ContainsAny(price, ".eE")
	switch {
	case price[0] == '-' && strings.ContainsAny(mantissa, "123456789"):
		return "", "", PriceNegative
	case !integer && json.Unmarshal(rawPrice, &float) != nil, integer && len(strings.TrimPrefix(price, "-")) > 4300:
		return "", "", PriceRange
	}
	return id, price, Accepted
}
