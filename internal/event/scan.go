package event

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest, as in encoding/json.
const maxDepth = 10000

// scanner walks over JSON values by the grammar of RFC 8259. Each method takes
// the index at which its value starts, which may be the end of the line, and
// returns the index after it, or -1 if there is no such value there.
//
// On its way it notes the values of the wanted fields of the outermost object;
// a later field of the same name replaces an earlier one.
type scanner struct {
	names     Names
	id, price []byte // raw values, nil if not seen
	high      byte   // every byte seen inside strings, or-ed together
	key       []byte // scratch: an unescaped key
}

func (s *scanner) reset(names Names) {
	s.names, s.id, s.price, s.high = names, nil, nil, 0
}

// field notes the value of a field of the outermost object.
func (s *scanner) field(key, value []byte) {
	if bytes.IndexByte(key, '\\') >= 0 {
		s.key = appendUnescaped(s.key[:0], key)
		key = s.key
	}
	// Two ifs: one field may serve as both, odd as that is.
	if string(key) == s.names.ID {
		s.id = value
	}
	if string(key) == s.names.Price {
		s.price = value
	}
}

// value skips any value. depth is how many objects and arrays are open around
// it. Recursion is bounded by maxDepth, which Go's stacks bear.
func (s *scanner) value(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		return s.str(b, i)
	case startsNumber(c):
		return number(b, i)
	case c == '{':
		return s.object(b, i, depth+1)
	case c == '[':
		return s.array(b, i, depth+1)
	case c == 't':
		return literal(b, i, "true")
	case c == 'f':
		return literal(b, i, "false")
	case c == 'n':
		return literal(b, i, "null")
	}
	return -1
}

func (s *scanner) object(b []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		from := i
		if i = s.str(b, i); i < 0 {
			return -1
		}
		key := b[from+1 : i-1]
		if i = skipSpace(b, i); i == len(b) || b[i] != ':' {
			return -1
		}
		from = skipSpace(b, i+1)
		if i = s.value(b, from, depth); i < 0 {
			return -1
		}
		if depth == 1 {
			s.field(key, b[from:i])
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == '}':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

func (s *scanner) array(b []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(b, i, depth); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i == len(b):
			return -1
		case b[i] == ']':
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

// str skips a string, quotes included.
func (s *scanner) str(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	high := byte(0)
	for i++; i < len(b); i++ {
		c := b[i]
		high |= c
		switch {
		case c == '"':
			s.high |= high
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			i++
			if i == len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(b) || hex4(b[i+1:]) < 0 {
					return -1
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

func startsNumber(c byte) bool { return c == '-' || c-'0' <= 9 }

// number skips a number whose first byte startsNumber has approved.
func number(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	from := i
	i = digits(b, i)
	if i == from || b[from] == '0' && i > from+1 {
		return -1 // nothing, or a leading zero
	}
	if i < len(b) && b[i] == '.' {
		from = i + 1
		if i = digits(b, from); i == from {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		from = i + 1
		if from < len(b) && (b[from] == '+' || b[from] == '-') {
			from++
		}
		if i = digits(b, from); i == from {
			return -1
		}
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func literal(b []byte, i int, word string) int {
	end := i + len(word)
	if end > len(b) || string(b[i:end]) != word {
		return -1
	}
	return end
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// hex4 returns the value of the first four bytes as hexadecimal digits, or -1.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendUnescaped appends the text of a string that str has approved, given
// without its quotes. A surrogate escape without its other half becomes U+FFFD.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		c = s[i+1]
		i += 2
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				var low rune = -1
				if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
					low = hex4(s[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default: // a quote, a backslash or a slash stands for itself
			dst = append(dst, c)
		}
	}
	return dst
}
