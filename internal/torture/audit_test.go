package torture

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// written is a log of three files: one that was copied and truncated with lines
// in the window and a line cut by the copy's end, one truncated in place, one
// plain. Each has lines of its own.
func written() (*ledger, [][]byte) {
	l := newLedger(newText(7))
	var lines [][]byte
	write := func(e *epoch, n int) {
		for range n {
			seq := l.number()
			l.add(e, piece{seq, 0, uint16(l.text.length(seq))})
			lines = append(lines, l.text.line(nil, seq))
		}
	}
	first := l.begin()
	write(first, 100)
	kept := first.size + 10
	write(first, 20)
	l.truncate(first, kept, window)
	second := l.begin()
	write(second, 50)
	l.truncate(second, 0, truncated)
	write(l.begin(), 50)
	return l, lines
}

func TestTheAuditFindsWhatIsPlanted(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(lines [][]byte) [][]byte
		want  Count
	}{
		{"all lines, none too much", func(l [][]byte) [][]byte { return l }, Count{}},
		{"a line is missing", func(l [][]byte) [][]byte { return slices.Delete(l, 40, 41) }, Count{Missing: 1}},
		{"the first and the last line are missing", func(l [][]byte) [][]byte { return l[1 : len(l)-1] }, Count{Missing: 2}},
		{"a line comes twice", func(l [][]byte) [][]byte { return slices.Insert(l, 50, l[49]) }, Count{Duplicate: 1}},
		{"a whole file comes twice", func(l [][]byte) [][]byte { return append(l, l[170:]...) }, Count{Duplicate: 50}},
		{"a line in two halves", func(l [][]byte) [][]byte {
			half := len(l[30]) / 2
			return slices.Concat(l[:30], [][]byte{l[30][:half], l[30][half:]}, l[31:])
		}, Count{Torn: 2, Missing: 1}},
		{"two lines in one", func(l [][]byte) [][]byte {
			return slices.Concat(l[:30], [][]byte{append(bytes.TrimSuffix(l[30], []byte("\n")), l[31]...)}, l[32:])
		}, Count{Torn: 1, Missing: 2}},
		{"a byte is another one", func(l [][]byte) [][]byte {
			l[30] = bytes.Clone(l[30])
			l[30][len(l[30])-3] ^= 1
			return l
		}, Count{Torn: 1, Missing: 1}},
		{"a line of another log", func(l [][]byte) [][]byte { return slices.Insert(l, 3, newText(8).line(nil, 3)) }, Count{Torn: 1}},
		{"a line that nobody wrote yet", func(l [][]byte) [][]byte { return append(l, newText(7).line(nil, 220)) }, Count{Torn: 1}},
		{"two lines are swapped", func(l [][]byte) [][]byte { l[10], l[11] = l[11], l[10]; return l }, Count{Disorder: 1}},
		{"two files are swapped", func(l [][]byte) [][]byte {
			return slices.Concat(l[:120], l[170:], l[120:170])
		}, Count{Disorder: 1}},
		{"the window is not read, its first line is cut", func(l [][]byte) [][]byte {
			return slices.Concat(l[:100], [][]byte{l[100][:10]}, l[120:])
		}, Count{Window: 19}},
		{"the copy's last line is missing", func(l [][]byte) [][]byte {
			return slices.Concat(l[:100], l[120:])
		}, Count{Window: 19, Missing: 1}},
		{"the cut line comes whole and cut", func(l [][]byte) [][]byte {
			return slices.Concat(l[:101], [][]byte{l[100][:10]}, l[120:])
		}, Count{Window: 19, Duplicate: 1}},
		{"a hole before a line of the window", func(l [][]byte) [][]byte {
			return slices.Concat(l[:105], l[110:])
		}, Count{Missing: 5}},
		{"nothing of what was truncated is read", func(l [][]byte) [][]byte {
			return slices.Concat(l[:120], l[170:])
		}, Count{Truncated: 50}},
		{"nothing is read", func([][]byte) [][]byte { return nil }, Count{Missing: 101 + 50, Window: 19, Truncated: 50}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, lines := written()
			read := c.plant(lines)
			for _, line := range read {
				l.take(record{data: line}) // what has no newline is at the end of a block
			}
			got, examples := l.verdict()
			c.want.Read = len(read)
			if got != c.want {
				t.Errorf("got %+v, want %+v\n%q", got, c.want, examples)
			}
			if wantClean := c.want.Missing+c.want.Duplicate+c.want.Torn+c.want.Disorder == 0; got.Clean() != wantClean || wantClean != (len(examples) == 0) {
				t.Errorf("clean: got %t with %d examples, want %t", got.Clean(), len(examples), wantClean)
			}
			if c.want.Missing == 0 && !l.complete() {
				t.Error("complete: got false with nothing missing")
			}
		})
	}
}

// A buffered writer's line that a truncation has cut is two parts, one at the end
// of what was before and one at the beginning of what comes after.
func TestALineThatATruncationCutIsTwoParts(t *testing.T) {
	d := newFolder(t.TempDir(), newLedger(newText(3)))
	h, err := d.open()
	if err != nil {
		t.Fatal(err)
	}
	h.buffered = true
	for d.live.epoch.size == 0 {
		if err := h.put(); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	r := &rotator{folder: d}
	if err := r.truncateLive(int64(len(before)), window); err != nil {
		t.Fatal(err)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if before[len(before)-1] == '\n' {
		t.Fatalf("the buffer of %d bytes ends with a line: choose another seed", len(before))
	}
	d.take(record{data: before})
	d.take(record{data: after})
	if c, examples := d.verdict(); !c.Clean() || !d.complete() || c.Window != 0 {
		t.Errorf("got %+v, want nothing wrong\n%q", c, examples)
	}
}

// Two files that end with the same part of a line, of which the first need not be
// read.
func TestEqualPartsAreToldByTheirPlace(t *testing.T) {
	l := newLedger(newText(7))
	var read []byte
	for range 2 {
		e := l.begin()
		seq := l.number()
		n := l.text.length(seq)
		l.add(e, piece{seq, 0, uint16(n)})
		read = l.text.line(read, seq)
		l.add(e, piece{l.number(), 0, 2})
		l.truncate(e, int64(n), window)
	}
	l.take(record{data: read[:l.text.length(0)]})
	l.take(record{data: append(read[l.text.length(0):], "00"...)})
	if got, examples := l.verdict(); got != (Count{Read: 3, Window: 1}) {
		t.Errorf("got %+v, want one part of the window that was not read\n%q", got, examples)
	}
}

// What is not read of a deleted file is excused from the reader's death on, and
// only that.
func TestADeletedFileMustBeReadByAReaderThatHasIt(t *testing.T) {
	for _, kill := range []bool{false, true} {
		l, lines := written()
		l.take(record{data: bytes.Join(lines[:200], nil)})
		l.epochs[2].gone = true
		if kill {
			l.killed()
		}
		l.take(record{data: lines[200]})
		want := Count{Read: 201, Missing: 19}
		if kill {
			want = Count{Read: 201, Deleted: 19}
		}
		if got, examples := l.verdict(); got != want {
			t.Errorf("killed %t: got %+v, want %+v\n%q", kill, got, want, examples)
		}
	}
}

func TestWhatAKilledReaderHasHalfRecordedIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	out, err := OpenOutput(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := out.Append(int64(i), 10, []byte("some\nlines\n")); err != nil {
			t.Fatal(err)
		}
	}
	out.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := len(whole) / 3
	for cut := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		out, err := openOutput(path, 0, func(r record) error {
			if r.generation != int64(n) || r.offset != 10 || string(r.data) != "some\nlines\n" {
				t.Errorf("cut at %d: got %+v", cut, r)
			}
			n++
			return nil
		})
		if err != nil || n != cut/size || out.end != int64(cut/size*size) {
			t.Fatalf("cut at %d: got %d records up to %d, %v; want %d", cut, n, out.end, err, cut/size)
		}
		out.Close()
	}
}

func FuzzScan(f *testing.F) {
	path := filepath.Join(f.TempDir(), "lines")
	out, err := OpenOutput(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := out.Append(1, 2, []byte("a line\n")); err != nil {
		f.Fatal(err)
	}
	out.Close()
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(append(seed, seed...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var records int64
		end, err := scan(bytes.NewReader(data), 0, func(r record) error {
			records += headerSize + int64(len(r.data))
			return nil
		})
		if end != records || end > int64(len(data)) {
			t.Errorf("got an end of %d (%v), but records of %d bytes in %d", end, err, records, len(data))
		}
	})
}
