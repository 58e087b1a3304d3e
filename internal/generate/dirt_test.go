package generate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"eventline/internal/event"
)

// smallProfile is a shop that is made quickly.
func smallProfile() Profile {
	p := DefaultProfile()
	p.Products, p.Users = 50, 100
	return p
}

// dirtyProfile has a tenth of one kind of dirt.
func dirtyProfile(k Kind) Profile {
	p := smallProfile()
	for kind, share := range map[Kind]*float64{
		Late: &p.Dirt.Late, OutOfOrder: &p.Dirt.OutOfOrder, Future: &p.Dirt.Future, Duplicate: &p.Dirt.Duplicate,
		InvalidJSON: &p.Dirt.InvalidJSON, PriceMissing: &p.Dirt.PriceMissing, PriceNegative: &p.Dirt.PriceNegative,
		PriceNaN: &p.Dirt.PriceNaN, PriceString: &p.Dirt.PriceString, Oversized: &p.Dirt.Oversized,
		Halves: &p.Dirt.Halves, CRLF: &p.Dirt.CRLF, BrokenUTF8: &p.Dirt.BrokenUTF8, NUL: &p.Dirt.NUL,
	} {
		if kind == k {
			*share = 0.1
		}
	}
	if k == Breaking {
		p.Schema.V2At, p.Schema.BreakingAt = 1001, 3001
	}
	return p
}

// TestEachKindOfDirtIsWhatItSays makes each kind alone, and judges the lines with the decoder that bucketer
// has and with encoding/json.
func TestEachKindOfDirtIsWhatItSays(t *testing.T) {
	const n = 4000
	clean, _ := write(New(5, smallProfile()).NewShop(), n)
	for _, kind := range Kinds() {
		text, told := write(New(5, dirtyProfile(kind)).NewShop(), n)
		dirty, d := 0, event.NewDecoder(event.DefaultNames())
		seen := make(map[string]bool)
		for _, l := range told {
			line := text[:l.Len]
			text = text[l.Len:]
			if bytes.Count(line, []byte("\n")) != 1 || line[l.Len-1] != '\n' {
				t.Fatalf("%s: %q is not one line", kind, line)
			}
			fields, reason := d.Decode(line)
			if (reason == event.Accepted) != l.Valid {
				t.Fatalf("%s: the decoder says %s, told valid=%v of %q", kind, reason, l.Valid, line)
			}
			if l.Valid && int64(fields.Price.Float()*100+0.5) != l.Cents {
				t.Fatalf("%s: told %d cents of %q", kind, l.Cents, line)
			}
			if l.Kind == Clean {
				if !l.Valid || !json.Valid(line) || l.Half != 0 {
					t.Fatalf("%s: a clean line is %q, told %+v", kind, line, l)
				}
				if kind == Duplicate {
					seen[string(line)] = true
				}
				continue
			}
			if dirty++; l.Kind != kind {
				t.Fatalf("%s: told kind %s", kind, l.Kind)
			}
			if problem := asItSays(kind, line, l, seen); problem != "" {
				t.Fatalf("%s: %s: %q, told %+v", kind, problem, line, l)
			}
		}
		if kind != Breaking && (dirty < n/10-80 || dirty > n/10+80) {
			t.Errorf("%s: %d of %d events, want about a tenth", kind, dirty, n)
		}
		if kind == Breaking && dirty != 1000 {
			t.Errorf("%s: %d lines, want those of the last 1000 events", kind, dirty)
		}
	}
	if got, _ := write(New(5, smallProfile()).NewShop(), n); !bytes.Equal(got, clean) {
		t.Error("dirt in one shop changes another one")
	}
}

// asItSays says what is wrong with a line that should have a defect.
func asItSays(kind Kind, line []byte, l Line, seen map[string]bool) string {
	due := start.Add(time.Duration(l.Event) * gap)
	behind := due.Sub(time.UnixMicro(l.At))
	p := DefaultProfile()
	text := string(line)
	ok := true
	switch kind {
	case Late:
		ok = l.Valid && behind >= p.Dirt.LateBy/10 && behind <= p.Dirt.LateBy
	case OutOfOrder:
		ok = l.Valid && behind >= 0 && behind <= p.Dirt.OutOfOrderBy
	case Future:
		ok = l.Valid && -behind >= p.Dirt.FutureBy/10 && -behind <= p.Dirt.FutureBy
	case Duplicate:
		ok = l.Valid && seen[text]
	case InvalidJSON:
		ok = !json.Valid(line)
	case PriceMissing:
		ok = json.Valid(line) && !strings.Contains(text, `"price"`)
	case PriceNegative:
		ok = strings.Contains(text, `"price":-`)
	case PriceNaN:
		ok = strings.Contains(text, `"price":NaN`)
	case PriceString:
		ok = json.Valid(line) && strings.Contains(text, `"price":"`)
	case Oversized:
		ok = l.Valid && l.Len > p.Dirt.OversizedBy && l.Len < p.Dirt.OversizedBy+600
	case Halves:
		ok = l.Valid && l.Half > 0 && l.Half < l.Len-1
	case CRLF:
		ok = l.Valid && strings.HasSuffix(text, "}\r\n")
	case BrokenUTF8:
		ok = !utf8.Valid(line)
	case NUL:
		ok = strings.Contains(text, "\x00")
	case Breaking:
		ok = json.Valid(line) && strings.Contains(text, `"amount":`) && strings.Contains(text, `"schema":3`) && l.Event >= 3000
	}
	if !ok {
		return "the line does not have the defect"
	}
	return ""
}

func TestSchemaChangesAtTheEventsThatWereAskedFor(t *testing.T) {
	text, told := write(New(5, dirtyProfile(Breaking)).NewShop(), 4000)
	for _, l := range told {
		line := string(text[:l.Len])
		text = text[l.Len:]
		v2 := strings.Contains(line, `"schema":2,"channel":"`)
		if want := l.Event >= 1000 && l.Event < 3000; v2 != want || l.Valid != (l.Event < 3000) {
			t.Fatalf("event %d is %s", l.Event, line)
		}
	}
}

// TestShopGoesOnFromItsState takes shops up in the middle, dirty and full ones too.
func TestShopGoesOnFromItsState(t *testing.T) {
	p := dirtyProfile(Duplicate)
	p.Sessions.Open = 300
	w := New(9, p)
	whole, _ := write(w.NewShop(), 5000)
	for _, cut := range []int{0, 1, 15, 16, 17, 400, 4999, 5000} {
		s := w.NewShop()
		head, _ := write(s, cut)
		again, err := w.Restore(s.AppendState(nil))
		if err != nil {
			t.Fatalf("after %d events: %v", cut, err)
		}
		if tail, _ := write(again, 5000-cut); !bytes.Equal(append(head, tail...), whole) {
			t.Errorf("a shop that is taken up after %d events writes something else", cut)
		}
		if again.Lines() != 0 && again.Event() != 5000 {
			t.Errorf("after %d events it counts %d", cut, again.Event())
		}
	}
}

func FuzzRestore(f *testing.F) {
	p := dirtyProfile(Duplicate)
	w := New(9, p)
	s := w.NewShop()
	f.Add(s.AppendState(nil))
	write(s, 300)
	f.Add(s.AppendState(nil))
	f.Fuzz(func(t *testing.T, state []byte) {
		s, err := w.Restore(state)
		if err != nil {
			return
		}
		if got := s.AppendState(nil); !bytes.Equal(got, state) && len(got) != len(state) {
			t.Fatalf("state of %d bytes was taken and comes back with %d", len(state), len(got))
		}
		var lines []Line
		text := []byte{}
		for range 50 {
			text, lines = s.Append(text, time.Hour, start, lines)
		}
		for _, l := range lines {
			if l.Len > len(text) {
				t.Fatal("lines are longer than the text")
			}
			text = text[l.Len:]
		}
	})
}
