package eventline

import (
	"bytes"
	"strings"
	"testing"
)

// terminal is enough of one to show what a person sees: it knows line breaks,
// CUU and ED.
func terminal(t *testing.T, stream string) string {
	t.Helper()
	lines := []string{""}
	for len(stream) > 0 {
		switch {
		case strings.HasPrefix(stream, "\r\x1b["):
			up := int(stream[3] - '0')
			if !strings.HasPrefix(stream[4:], "A\x1b[J") {
				t.Fatalf("unknown control sequence in %q", stream[:10])
			}
			lines = lines[:len(lines)-up]
			lines[len(lines)-1] = ""
			stream = stream[len("\r\x1b[nA\x1b[J"):]
		case stream[0] == '\n':
			lines = append(lines, "")
			stream = stream[1:]
		default:
			lines[len(lines)-1] += stream[:1]
			stream = stream[1:]
		}
	}
	return strings.Join(lines, "\n")
}

func TestRowsStayBelowTheLines(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, size: func() (int, int) { return 20, 10 }}
	s.setRows([]string{"row one", "a row that is wider than the screen"})
	for _, text := range []string{"line 1\nli", "ne 2", "\nline 3\n"} {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("write %q: got %d, %v", text, n, err)
		}
	}
	want := "line 1\nline 2\nline 3\nrow one\na row that is wider\n"
	if got := terminal(t, out.String()); got != want {
		t.Errorf("screen: got\n%s\nwant\n%s", got, want)
	}
	s.clear()
	if got := terminal(t, out.String()); got != "line 1\nline 2\nline 3\n" {
		t.Errorf("cleared screen: got\n%s", got)
	}
}

func TestLinesPassUnchangedWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	s.setRows([]string{"row"})
	_, _ = s.Write([]byte("line\n"))
	if out.String() != "line\n" {
		t.Errorf("piped: got %q, want the line alone", out.String())
	}
}
