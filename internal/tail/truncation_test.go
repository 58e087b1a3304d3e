package tail

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// That a copy can't be opened does not say that there is none. Its lines come
// before those of the truncated file, so these wait.
func TestCopyThatCannotBeOpenedIsWaitedForWhenTheLogIsTruncated(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.write(numbered(100, 150))
	f.copyFile(".1")
	must(t, os.Chmod(f.path+".1", 0))
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(150, 160))
	unprivileged(t, func() {
		running.read()
		running.read()
	})
	same(t, split(running.text), split(numbered(0, 100)))
	if err := running.problem.err; err == nil {
		t.Error("nothing is said of what is waited for")
	}
	running.read() // with the right to
	same(t, split(running.text), split(numbered(0, 160)))
}

// What comes before it is read meanwhile.
func TestTruncatedLogThatWaitsForItsCopyHoldsUpNoOlderFile(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	f.rotate(".2")
	f.write(numbered(100, 200))
	cfg := config(t, f.path)
	cfg.buffer = 1024
	tail := looked(t, f, cfg)
	running := &byHand{Tail: tail, t: t}
	running.look(time.Now(), false)
	running.block()
	f.copyFile(".1")
	running.look(time.Now(), false) // so that the head of the log is known
	must(t, os.Chmod(f.path+".1", 0))
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(200, 210))
	unprivileged(t, running.read)
	same(t, split(running.text), split(numbered(0, 100)))
	running.read()
	same(t, split(running.text), split(numbered(0, 210)))
}

// One that was there long before the truncation is no copy of what was just read.
func TestOldFileThatCannotBeOpenedDoesNotHoldUpATruncatedLog(t *testing.T) {
	f := newFolder(t)
	f.append(f.path+".2", numbered(500, 1000))
	must(t, os.Chtimes(f.path+".2", time.Time{}, time.Now().Add(-time.Hour)))
	must(t, os.Chmod(f.path+".2", 0))
	f.write(numbered(0, 100))
	running := handReader(t, f)
	unprivileged(t, func() {
		running.read()
		running.read()
		must(t, os.Truncate(f.path, 0))
		f.write(numbered(150, 160))
		running.read()
	})
	same(t, split(running.text), split(numbered(0, 100)+numbered(150, 160)))
}

func TestCopytruncateAtTheDescriptorLimitLosesNothing(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.write(numbered(100, 150))
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(150, 160))
	var others []*os.File // the share of the logs is used up, others may still open files
	for range 32 {
		null, err := os.Open(os.DevNull)
		must(t, err)
		others = append(others, null)
	}
	limited(t, 48, running.read)
	for _, null := range others {
		must(t, null.Close())
	}
	running.read()
	same(t, split(running.text), split(numbered(0, 160)))
}

// A person's copy beside that of copytruncate: the longer one has all.
func TestRestIsReadFromTheLongestCopy(t *testing.T) {
	for _, names := range [][2]string{{".1", ".2"}, {".2", ".1"}, {".7", ".old"}, {".old", ".7"}} {
		t.Run(fmt.Sprintf("%s is longer than %s", names[1], names[0]), func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 100))
			running := handReader(t, f)
			running.read()
			f.write(numbered(100, 150))
			f.copyFile(names[0])
			running.look(time.Now(), false)
			f.write(numbered(150, 200))
			f.copyFile(names[1])
			must(t, os.Truncate(f.path, 0))
			f.write(numbered(200, 210))
			running.read()
			same(t, split(running.text), split(numbered(0, 210)))
		})
	}
}

// lateCopy is a log that was truncated with ten lines unread, and read on. The copy that
// has them was away, and is back.
func lateCopy(t *testing.T) (f *folder, running *byHand) {
	t.Helper()
	f = newFolder(t)
	f.write(numbered(0, 100))
	running = handReader(t, f)
	running.read()
	f.write(numbered(100, 110))
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(110, 120))
	must(t, os.Rename(f.path+".1", f.dir+"/elsewhere"))
	running.read()
	must(t, os.Rename(f.dir+"/elsewhere", f.path+".1"))
	return f, running
}

// The rest is only inside a compressed file, which is found to hold it when other
// lines were read already: late, but neither lost nor with all before it again.
func TestRestThatOnlyACompressedCopyHasIsRead(t *testing.T) {
	f, running := lateCopy(t)
	f.pack(".1", ".gz")
	eventually(t, "the rest", func() bool {
		running.read()
		return len(split(running.text)) >= 120
	})
	same(t, split(running.text), split(numbered(0, 100)+numbered(110, 120)+numbered(100, 110)))
}

func TestRestInACopyThatTurnsUpLateIsRead(t *testing.T) {
	f, running := lateCopy(t)
	running.read()
	same(t, split(running.text), split(numbered(0, 100)+numbered(110, 120)+numbered(100, 110)))
	state := running.State(running.last)
	f.nothing(&state)
}

// After a restart one file can have two generations that were not read, an older
// file's lines between them. Both go on in the copy, and the file begins anew once.
func TestTwoGenerationsInATruncatedFileAreReadOnce(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(10, 110))
	running := handReader(t, f)
	running.look(time.Now(), false)
	running.step(time.Now())
	begin := running.pending.Mark(0, nil)
	running.take()
	running.read()
	f.append(f.path+".5", numbered(0, 10)) // found late
	must(t, os.Chtimes(f.path+".5", time.Time{}, time.Now().Add(-time.Hour)))
	running.read()
	state := running.State(begin)
	again := handReader(t, f)
	again.cfg.State, again.nextNumber = &state, state.Next
	again.look(time.Now(), false)
	f.write(numbered(110, 120))
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(120, 130))
	again.read()
	same(t, split(again.text), split(numbered(10, 110)+numbered(0, 10)+numbered(110, 130)))
	if n := again.counts.truncated.Load(); n != 1 {
		t.Errorf("truncations: got %d, want 1", n)
	}
}

// fallocate --punch-hole gives the disk space of an open log back: all that is left
// of it was read.
func TestLogWhoseBeginningBecomesAHoleIsReadOn(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	running := handReader(t, f)
	running.read()
	w, err := os.OpenFile(f.path, os.O_RDWR, 0)
	must(t, err)
	must(t, unix.Fallocate(int(w.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096))
	must(t, w.Close())
	f.write(numbered(1000, 1010))
	running.read()
	same(t, split(running.text), split(numbered(0, 1010)))
	state := running.State(running.last)
	f.write(numbered(1010, 1020))
	f.read(&state, numbered(1010, 1020))
}

// A line that is not held in memory is read when it is needed. By then its bytes may
// be in the copy, and other lines where it was.
func TestTooLongLineOfATruncatedLogIsReadFromTheCopy(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.MaxLine = 4096, 4096
	f.write("a\n" + strings.Repeat("t", 10_000) + "\n")
	tail := looked(t, f, cfg)
	tail.look(time.Now(), false)
	for tail.pending == nil || tail.pending.TooLong == 0 {
		if tail.pending != nil {
			tail.pending.Release()
			tail.handedOver()
		}
		if !tail.step(time.Now()) {
			t.Fatal("want a line that is too long")
		}
	}
	b := tail.pending
	first := b.Long()
	if _, err := first.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(0, 400))
	for i, r := range []io.Reader{first, b.Long()} {
		if text, err := io.ReadAll(r); err == nil {
			t.Errorf("reader %d of a line whose log was truncated: got %d bytes and no error", i, len(text))
		}
	}
	tail.handedOver()
	tail.look(time.Now(), false)
	text, err := io.ReadAll(b.Long())
	if err != nil || string(text) != strings.Repeat("t", 10_000) {
		t.Errorf("once the copy is found: got %d bytes, %.20q…, %v; want the line", len(text), text, err)
	}
	b.Release()
}

// Files that begin with the same header, and of the log nothing else is known yet:
// what goes on is the copy that was known by it, not the one of another day.
func TestCopyOfALogOfWhichOnlyTheHeaderIsKnownIsReadOn(t *testing.T) {
	f := newFolder(t)
	f.write(banner + numbered(0, 200))
	running := handReader(t, f)
	running.read()
	f.copyFile("-20261120") // by a person, of this day
	running.read()
	f.rotate("-20261119")
	f.write(banner + numbered(200, 250))
	running.look(time.Now(), false)
	f.copyFile("-20261121")
	running.look(time.Now(), false) // known by the live file, of which nothing was read
	must(t, os.Truncate(f.path, 0))
	f.write(strings.Repeat("+", 299) + "\n" + numbered(250, 260))
	running.read()
	want := banner + numbered(0, 200) + banner + numbered(200, 250) + strings.Repeat("+", 299) + "\n" + numbered(250, 260)
	same(t, split(running.text), split(want))
}
