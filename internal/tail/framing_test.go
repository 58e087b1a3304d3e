package tail

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"a line ends at its newline", "a\nb\n", []string{"a", "b"}},
		{"nothing is no line", "", nil},
		{"an empty line is a line", "a\n\nb\n", []string{"a", "", "b"}},
		{"a last line may lack its newline", "a\nb", []string{"a", "b"}},
		{"a carriage return is a byte of the line", "a\r\nb\r\n", []string{"a\r", "b\r"}},
		{"NUL is a byte like any other", "a\x00b\n\x00\n", []string{"a\x00b", "\x00"}},
		{"invalid UTF-8 stays as it is", "\xff\xfe\n\xc3\n", []string{"\xff\xfe", "\xc3"}},
		{"a byte order mark stays as it is", "\xef\xbb\xbfa\n", []string{"\xef\xbb\xbfa"}},
		{"a unicode line separator ends no line", "a\u2028b\u0085c\n", []string{"a\u2028b\u0085c"}},
	} {
		var got []string
		Lines([]byte(c.data), func(line []byte, _ int) bool {
			got = append(got, string(line))
			return true
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: Lines(%q) = %q, want %q", c.name, c.data, got, c.want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n"))
	f.Add([]byte("\n\na\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var back []byte
		n := 0
		Lines(data, func(line []byte, end int) bool {
			if bytes.IndexByte(line, '\n') >= 0 {
				t.Errorf("line %q has a newline in it", line)
			}
			back = append(append(back, line...), '\n')
			n++
			if want := min(len(back), len(data)); end != want {
				t.Errorf("line %d ends at %d, want %d", n, end, want)
			}
			return true
		})
		if want := bytes.TrimSuffix(back, newline); !bytes.Equal(bytes.TrimSuffix(data, newline), want) {
			t.Errorf("lines of %q make %q: bytes were lost or made", data, back)
		}
		if got := countLines(data); got != n {
			t.Errorf("countLines(%q) = %d, want %d", data, got, n)
		}
	})
}

func TestRotatedNames(t *testing.T) {
	for name, want := range map[string]bool{
		"events.log.1":                   true,
		"events.log.20":                  true,
		"events.log-20261122":            true,
		"events.log-20261122-1763850000": true,
		"events.log.2026-11-22T10.00":    true,
		"events.log.old":                 true,
		"events.log":                     false, // the log itself
		"events.log.":                    false,
		"events.log.err":                 false, // another log
		"events.log1":                    false,
		"events.log.1.gz":                true,
		"events.log-20261122.zst":        true,
		"events.log.gz":                  false, // not rotated
		"events.log.1.tmp":               false,
		".events.log.1.swp":              false,
		"other.log.1":                    false,
		"":                               false,
	} {
		if got := isRotated("events.log", name); got != want {
			t.Errorf("isRotated(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzRotatedNames(f *testing.F) {
	f.Add("events.log", "events.log.1")
	f.Add("a", "a-1.gz")
	f.Fuzz(func(t *testing.T, base, name string) {
		if isRotated(base, name) && (name == base || !strings.HasPrefix(name, base)) {
			t.Errorf("isRotated(%q, %q): it is not a name made from the log's", base, name)
		}
		if a, b := compareNames(base, name), compareNames(name, base); a != -b {
			t.Errorf("compareNames(%q, %q) = %d, and %d the other way round", base, name, a, b)
		}
	})
}
