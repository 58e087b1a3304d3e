package logfile

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// inHalves writes two lines, the second in two halves, does something between them, and returns what the log
// and the file that was there before have in the end.
func inHalves(t *testing.T, between func(w *Writer, path string)) (marks []Mark, log, before []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.log")
	w := New(path, Options{Opened: func(m Mark) { marks = append(marks, m) }})
	if err := w.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	const text = "first line\nsecond line\n"
	go func() { done <- w.WriteInTwo(t.Context(), []byte(text), 15, 300*time.Millisecond) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		got, err := os.ReadFile(path)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the first half does not come: %q, %v", got, err)
		}
		if string(got) == text[:15] {
			break
		}
	}
	if between != nil {
		between(w, path)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), []byte("third line\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	log, _ = os.ReadFile(path)
	before, _ = os.ReadFile(path + ".1")
	return marks, log, before
}

func TestLineInTwoHalvesIsWholeInTheEnd(t *testing.T) {
	if _, log, _ := inHalves(t, nil); string(log) != "first line\nsecond line\nthird line\n" {
		t.Errorf("the log is %q", log)
	}
}

func TestHalfIsFinishedInTheFileThatWasRotated(t *testing.T) {
	marks, log, before := inHalves(t, func(w *Writer, path string) {
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		w.Reopen()
	})
	if string(before) != "first line\nsecond line\n" || string(log) != "third line\n" {
		t.Errorf("the rotated file is %q, the log %q", before, log)
	}
	if n := len(marks); n != 2 || marks[1].Written != int64(len(before)) || marks[1].Offset != 0 {
		t.Errorf("marks %+v, want a second one that says that the new file begins with byte %d", marks, len(before))
	}
}

func TestLineWhoseHalfWasTruncatedAwayIsWrittenAnew(t *testing.T) {
	_, log, _ := inHalves(t, func(_ *Writer, path string) {
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
	})
	if string(log) != "second line\nthird line\n" {
		t.Errorf("the log is %q, want the line whole", log)
	}
}

func TestPauseEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	w := New(path, Options{})
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.WriteInTwo(ctx, []byte("a line\n"), 3, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "a line\n" {
		t.Errorf("the log is %q", got)
	}
}

// TestTruncationIsMarked knows which byte of the run a truncated file begins with.
func TestTruncationIsMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	var marks []Mark
	w := New(path, Options{Opened: func(m Mark) { marks = append(marks, m) }})
	defer w.Close()
	w.Continue(1000)
	write := func(text string) {
		t.Helper()
		if err := w.Write(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("0123456\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write("abc\n") // may come before the truncation is seen
	w.Reopen()
	write("def\n")
	if n := len(marks); n < 2 || marks[0].Written != 1000 {
		t.Fatalf("marks %+v, want one for the file and one for the truncation", marks)
	}
	got, _ := os.ReadFile(path)
	m := marks[len(marks)-1]
	// Byte Written of the run is byte Offset of the file.
	run := append(bytes.Repeat([]byte{'x'}, 1000), "0123456\nabc\ndef\n"...)
	if !bytes.Equal(got[m.Offset:], run[m.Written:]) {
		t.Errorf("the file is %q, and its mark %+v says %q", got, m, run[m.Written:])
	}
}

func TestFindKnowsAFileByWhatItIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.log")
	var mark Mark
	w := New(path, Options{Opened: func(m Mark) { mark = m }})
	if err := w.Write(t.Context(), []byte("a\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	find := func(want string) {
		t.Helper()
		if got, err := Find(path, mark); got != want || err != nil {
			t.Errorf("Find = %q, %v; want %q", got, err, want)
		}
	}
	find(path)
	moved := path + "-20261122"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	find(moved)
	if err := os.WriteFile(path, []byte("b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	find(moved)
	if err := os.Rename(moved, filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	find("")
}

func TestWholeTellsLinesFromTheHalfBehindThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for text, want := range map[string]struct {
		size, half int64
		tail       string
	}{
		"":                 {0, 0, ""},
		"half":             {0, 4, ""},
		"one\n":            {4, 0, "one\n"},
		"one\ntwo\nha":     {8, 2, "one\ntwo\n"},
		"0123456789\nab\n": {14, 0, "ab\n"}, // ten bytes from the end on
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		size, half, tail, err := Whole(file, 10)
		if size != want.size || half != want.half || string(tail) != want.tail || err != nil {
			t.Errorf("Whole of %q = %d, %d, %q, %v; want %+v", text, size, half, tail, err, want)
		}
		if err := CutHalf(file); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); int64(len(got)) != want.size {
			t.Errorf("CutHalf leaves %q of %q", got, text)
		}
	}
	if _, _, _, err := Whole(file+".none", 10); err == nil {
		t.Error("a file that is not there is read")
	}
}
