package ship

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventline/internal/tail"
)

// keeps puts a file into a rig's quarantine.
func (r *rig) keeps(name, text string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, "quarantine")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// wantKept wants a rig's quarantine to hold that, by name, and nothing else.
func (r *rig) wantKept(want map[string]string) {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.dir, "quarantine"))
	if err != nil || len(entries) != len(want) {
		r.t.Errorf("quarantine: got %v, %v, want %d files", entries, err, len(want))
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(r.dir, "quarantine", name)); err != nil || string(got) != text {
			r.t.Errorf("quarantine: %s is %q, %v, want %q: it was the only copy", name, got, err, text)
		}
	}
}

// A log of the same path was here before, and its position is forgotten: what lies in the
// quarantine under the name of a line's position is another line.
func TestLineOfAnotherLogStaysInTheQuarantine(t *testing.T) {
	const other = "the only copy of another line"
	for name, text := range map[string]string{"another": other, "longer": "line 000010 and more", "shorter": "line 0000"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newCluster(1))
			r.keeps("0-120", text)
			r.write(numbered(0, 100))
			r.once()
			r.wantKept(map[string]string{"0-120": text})
		})
	}
	t.Run("one that is refused", func(t *testing.T) {
		r := newRig(t, newCluster(1))
		r.keeps("0-120", other)
		r.topic.fault = refuses(func(line string) bool { return line == "line 000010" })
		r.write(numbered(0, 100))
		r.once()
		r.wantKept(map[string]string{"0-120": other, "0-120.2": "line 000010"})
	})
	t.Run("and leaves with the line that it was kept beside", func(t *testing.T) {
		r := newRig(t, newCluster(1))
		r.keeps("0-120", other)
		r.keeps("0-120.2", "line 000010")
		r.keeps("0-120.3", "and another one")
		r.write(numbered(0, 100))
		r.once()
		r.wantKept(map[string]string{"0-120": other, "0-120.3": "and another one"})
	})
}

// A line that was too long for the topic as a whole may be sent in pieces.
func TestLongLineThatIsSentInPiecesLeavesTheQuarantine(t *testing.T) {
	c := newCluster(1)
	c.maxBytes = 3000
	r := newRig(t, c)
	r.rules.Long = Split
	long := strings.Repeat("x", 5000)
	r.keeps("0-120", long)
	r.write(numbered(0, 10) + long + "\n" + numbered(10, 20))
	r.once()
	r.wantKept(nil)
}

func TestKeepingALineAgainChangesNothing(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		for i, text := range []string{"one", strings.Repeat("two", 50_000), "", strings.Repeat("two", 50_000) + "!"} {
			path, size, err := quarantine(dir, refusal{at: tail.Position{Generation: 3, Offset: 14}, content: bytesOf([]byte(text))})
			if want := nameOf(tail.Position{Generation: 3, Offset: 14}, i+1); filepath.Base(path) != want || size != int64(len(text)) || err != nil {
				t.Errorf("line %d: kept as %s, %d bytes, %v, want %s", i, path, size, err, want)
			}
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 4 {
		t.Errorf("quarantine has %d files, want 4", len(files))
	}
}

func TestNamesInTheQuarantineArePositions(t *testing.T) {
	for name, want := range map[string]bool{
		"0-120": true, "12-0": true, "0-120.2": true, "0-120.13": true,
		"0-120.tmp": false, "0-120.2.tmp": false, "0-120.1": false, "0-120.0": false, "0-120.-2": false, "0-0120": false, "0": false, "0-1x": false, ".2": false,
	} {
		if p, ok := positionIn(name); ok != want {
			t.Errorf("%s: got %v, %v, want %v", name, p, ok, want)
		}
	}
}
