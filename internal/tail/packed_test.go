package tail

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// pack compresses a rotated file as logrotate has it done: written beside it under
// the new name, with the old one's time, then the old one is deleted.
func (f *folder) pack(suffix, how string) {
	f.t.Helper()
	must(f.t, os.WriteFile(f.path+suffix+how, packedText(f.t, f.path+suffix, how), 0o600))
	info, err := os.Stat(f.path + suffix)
	must(f.t, err)
	must(f.t, os.Chtimes(f.path+suffix+how, info.ModTime(), info.ModTime()))
	must(f.t, os.Remove(f.path+suffix))
}

func packedText(t testing.TB, path, how string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if how == ".zst" {
		w, err = zstd.NewWriter(&b)
		must(t, err)
	}
	_, err = w.Write(text)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

var packings = []string{".gz", ".zst"}

func TestRestOfAFileThatWasCompressedWhileDownIsReadFromInside(t *testing.T) {
	for _, how := range packings {
		t.Run(how, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 1000))
			s := f.read(nil, numbered(0, 1000))
			f.write(numbered(1000, 100_000) + "unfinished")
			f.rotate("-20261122")
			f.pack("-20261122", how)
			f.write(numbered(100_000, 100_100))
			s = f.read(s, numbered(1000, 100_000)+"unfinished\n"+numbered(100_000, 100_100))
			f.nothing(s)
		})
	}
}

func TestFilesThatWereRotatedAndCompressedWhileDownAreReadInOrder(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	at := 10
	for i := range 6 {
		f.write(numbered(at, at+1000))
		at += 1000
		suffix := fmt.Sprintf("-2026112%d", i)
		f.rotate(suffix)
		old := time.Now().Add(time.Duration(i-10) * time.Minute)
		must(t, os.Chtimes(f.path+suffix, old, old))
		if i != 3 {
			f.pack(suffix, packings[i%2])
		}
	}
	f.write(numbered(at, at+10))
	s = f.read(s, numbered(10, at+10))
	f.nothing(s)
}

func TestCrashInsideACompressedFileGoesOnThere(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	f.write(numbered(10, 2000))
	f.rotate(".1")
	f.pack(".1", ".gz")
	cfg := config(t, f.path)
	cfg.State, cfg.buffer = s, 4096
	r := start(t, cfg)
	r.wants(numbered(10, 2000))
	r.stop()
	f.rename(".1.gz", ".2.gz")
	for i := range r.settled {
		again := f.resume(r.stateAt(i))
		again.wants(numbered(10+r.settled[i].lines, 2000))
		again.stop()
	}
}

func TestCompressionOfWhatWasReadBringsNothingAgain(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	at := 0
	for i := range 5 {
		f.write(numbered(at, at+500))
		at += 500
		r.wants(numbered(0, at))
		suffix := fmt.Sprintf("-2026112%d", i)
		f.rotate(suffix)
		f.write(numbered(at, at+1))
		at++
		r.wants(numbered(0, at))
		f.pack(suffix, packings[i%2])
		eventually(t, "the compressed file is known", func() bool {
			r.tail.mu.Lock()
			defer r.tail.mu.Unlock()
			g := r.tail.gens[len(r.tail.gens)-1]
			return g.copied && strings.HasPrefix(g.name, f.path+suffix)
		})
	}
	s := r.state()
	same(t, r.got(), split(numbered(0, at)))
	f.rename("-20261120.gz", "-20261110.gz") // the same file
	f.write(numbered(at, at+10))
	f.read(s, numbered(at, at+10))
}

// While we are down a file that was read to its end is compressed: it is known by
// its length and its ends.
func TestCompressionWhileDownOfWhatWasReadBringsNothingAgain(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 500))
	f.rotate(".1")
	f.write(numbered(500, 600))
	s := f.read(nil, numbered(0, 600))
	f.pack(".1", ".gz")
	f.rename(".1.gz", ".2.gz")
	f.write(numbered(600, 610))
	s = f.read(s, numbered(600, 610))
	f.nothing(s)
}

func TestLateLinesAfterTheCompressionAreReadOnce(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 500))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 500))
	w := f.writer(f.path)
	f.rotate(".1")
	f.pack(".1", ".gz") // while a writer has it open
	_, err := w.WriteString(numbered(500, 510))
	must(t, err)
	must(t, w.Close())
	f.write(numbered(510, 520))
	r.wants(numbered(0, 520))
	eventually(t, "the compressed file is known", func() bool {
		r.tail.mu.Lock()
		defer r.tail.mu.Unlock()
		return slices.ContainsFunc(r.tail.gens, func(g *generation) bool { return g.copied })
	})
	same(t, r.got(), split(numbered(0, 520)))
}

func TestCompressedFilesFromBeforeTheFirstStartAreLeftOut(t *testing.T) {
	for _, from := range []From{Beginning, End} {
		f := newFolder(t)
		f.write(numbered(0, 100))
		f.rotate(".1")
		f.pack(".1", ".gz")
		f.write(numbered(100, 200))
		cfg := config(t, f.path)
		cfg.From = from
		r := start(t, cfg)
		if from == Beginning {
			r.wants(numbered(100, 200))
		}
		eventually(t, "a position", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.settled) > 0
		})
		s := r.state()
		f.write(numbered(200, 210))
		f.read(s, numbered(200, 210))
	}
}

func TestHalfCompressedFileIsWaitedFor(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	f.write(numbered(100, 200))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 200))
	f.rotate(".1")
	f.write(numbered(200, 210))
	text := packedText(t, f.path+".1", ".gz")
	w := f.writer(f.path + ".1.gz")
	_, err := w.Write(text[:len(text)/2])
	must(t, err)
	r.wants(numbered(0, 210))
	f.append(f.path+".2", numbered(210, 220)) // found by a look at the folder with the half file in it
	r.wants(numbered(0, 220))
	_, err = w.Write(text[len(text)/2:])
	must(t, err)
	must(t, w.Close())
	must(t, os.Remove(f.path+".1"))
	eventually(t, "the compressed file is known", func() bool {
		r.tail.mu.Lock()
		defer r.tail.mu.Unlock()
		return r.tail.gens[len(r.tail.gens)-1].copied
	})
	same(t, r.got(), split(numbered(0, 220)))
}

func TestDamagedCompressedFileIsLeftOut(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	f.rotate(".1")
	f.pack(".1", ".gz")
	text, err := os.ReadFile(f.path + ".1.gz")
	must(t, err)
	text[len(text)/2] ^= 0xff
	must(t, os.WriteFile(f.path+".1.gz", text[:len(text)-4], 0o600))
	must(t, os.WriteFile(f.path+".2.zst", []byte("no such thing"), 0o600))
	f.write(numbered(100, 110))
	s = f.read(s, numbered(100, 110))
	f.write(numbered(110, 120))
	f.read(s, numbered(110, 120))
}

func TestTwoCompressedFilesOfTheSameFewBytesAreTwo(t *testing.T) {
	f := newFolder(t)
	f.write("x\n")
	f.rotate("-1")
	s := f.read(nil, "x\n")
	f.pack("-1", ".gz")
	f.write("x\n")
	f.rotate("-2")
	f.pack("-2", ".gz")
	f.write("y\n")
	s = f.read(s, "x\ny\n")
	f.nothing(s)
}

// copies waits until n files are known not to be read, and reads meanwhile.
func (h *byHand) copies(n int) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%d copies", n), func() bool {
		h.read()
		known := 0
		for _, g := range h.gens {
			if g.copied {
				known++
			}
		}
		return known == n
	})
}

// logrotate's ifempty, delaycompress and compress: nothing is the beginning of
// every file, and must not stand for one.
func TestCompressedFileWithNothingInItIsNoCopy(t *testing.T) {
	f := newFolder(t)
	must(t, os.WriteFile(f.path+".1", nil, 0o600))
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.pack(".1", ".gz")
	f.rename(".1.gz", ".2.gz")
	running.copies(1)
	f.rotate(".1")
	f.write(numbered(100, 200))
	running.read()
	f.pack(".1", ".gz") // the next time
	f.rename(".2.gz", ".3.gz")
	f.rename(".1.gz", ".2.gz")
	f.rotate(".1")
	f.write(numbered(200, 300))
	running.copies(2)
	same(t, split(running.text), split(numbered(0, 300)))
}

func TestCompressedFileThatIsTheShortBeginningOfAnotherOneIsRead(t *testing.T) {
	f := newFolder(t)
	f.write("service started\n")
	s := f.read(nil, "service started\n")
	f.write(numbered(0, 10))
	f.rotate(".2")
	must(t, os.Chtimes(f.path+".2", time.Time{}, time.Now().Add(-2*time.Minute)))
	f.write("service started\n") // a run that ended at once
	f.rotate(".1")
	must(t, os.Chtimes(f.path+".1", time.Time{}, time.Now().Add(-time.Minute)))
	f.pack(".1", ".gz")
	f.write(numbered(10, 20))
	f.nothing(f.read(s, numbered(0, 10)+"service started\n"+numbered(10, 20)))
}

// What is being looked into goes away: the files that are kept open for its sake are
// let go all the same.
func TestLookIntoAFileThatHasGoneKeepsNothingOpen(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.rotate(".1")
	f.write(numbered(100, 110))
	running.read()
	f.pack(".1", ".gz")
	running.look(time.Now(), false) // begins to look into it
	must(t, os.Rename(f.path+".1.gz", filepath.Join(t.TempDir(), "archive.gz")))
	for i := range 30 {
		f.rotate(fmt.Sprintf(".a%d", i))
		f.write(numbered(110+10*i, 120+10*i))
		running.read()
		must(t, os.Remove(f.path+fmt.Sprintf(".a%d", i)))
	}
	later := time.Now()
	eventually(t, "all files that were read are closed", func() bool {
		later = later.Add(time.Hour)
		running.look(later, false)
		return !slices.ContainsFunc(running.gens, func(g *generation) bool { return g.ended && g.file != nil })
	})
	if len(running.inspected) > 0 {
		t.Errorf("%d files that have gone are remembered as looked into", len(running.inspected))
	}
	same(t, split(running.text), split(numbered(0, 410)))
}

// A State must not wait for gigabytes to be unpacked, nor the reading.
func TestUnreadCompressedFileIsUnpackedBesideTheReading(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	running := handReader(t, f)
	running.read()
	f.append(f.path+".1", numbered(500, 600))
	f.pack(".1", ".gz")
	eventually(t, "the look into it", func() bool {
		running.read()
		return len(running.inspected) == 1
	})
	if running.inspection == nil || len(running.gens) != 1 {
		t.Errorf("got %d generations right after the look into a file, and its unpacking under way: %v; want 1 and true",
			len(running.gens), running.inspection != nil)
	}
	f.write(numbered(10, 20))
	eventually(t, "its lines", func() bool {
		running.read()
		return len(split(running.text)) == 120
	})
	same(t, split(running.text), split(numbered(0, 20)+numbered(500, 600)))
}

// A full disk: it is not written again and again.
func TestFileThatCannotBeUnpackedIsLeftAloneForAWhile(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	running := handReader(t, f)
	running.cfg.Folder = filepath.Join(f.dir, "missing")
	running.read()
	f.append(f.path+".1", numbered(500, 600))
	f.pack(".1", ".gz")
	failed := func() *inspection {
		for _, in := range running.inspected {
			if in.err != nil {
				return in
			}
		}
		return nil
	}
	eventually(t, "a try", func() bool {
		running.read()
		return failed() != nil
	})
	must(t, os.Mkdir(running.cfg.Folder, 0o700))
	first := failed()
	running.look(first.at.Add(unpackAgain-time.Second), false)
	if running.inspection != nil || running.restErr == nil {
		t.Errorf("tried again at once; it is said: %v", running.restErr)
	}
	running.look(first.at.Add(unpackAgain), false)
	eventually(t, "its lines", func() bool {
		running.read()
		return len(split(running.text)) == 110
	})
}

// The position's file has gone, and what may be in its place can't be opened: each
// look comes to nothing, and does not unpack all there is to come to that.
func TestCompressedFilesAreLookedIntoOnceWhileAPositionIsMissing(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	must(t, os.Remove(f.path))
	f.append(f.path+".2", numbered(500, 600))
	f.pack(".2", ".gz")
	f.append(f.path+".1", "not ours\n")
	must(t, os.Chmod(f.path+".1", 0))
	f.write(numbered(20, 30))
	running := handReader(t, f)
	running.cfg.State, running.nextNumber = s, s.Next
	var looked []*inspection
	unprivileged(t, func() {
		for range 4 {
			running.read()
			for _, in := range running.inspected {
				looked = append(looked, in)
			}
		}
	})
	if running.started || len(looked) != 4 || len(slices.Compact(looked)) != 1 {
		t.Errorf("looks at the inside in 4 looks at the folder: got %d (started: %v), want one that is kept", len(slices.Compact(looked)), running.started)
	}
}

// As for plain files: the same header, footer and length make none a copy.
func TestCompressedFilesOfTheSameHeaderAndFooterAreAllRead(t *testing.T) {
	job := func(i int) string {
		return banner + numbered(i*100, i*100+100) + strings.Repeat("-", 599) + "\n"
	}
	f := newFolder(t)
	f.write("x\n")
	s := f.read(nil, "x\n")
	want := ""
	for i := range 3 {
		f.rotate(fmt.Sprintf("-2026010%d", i))
		if i == 2 {
			f.pack("-20260102", ".gz")
		}
		f.write(job(i))
		want += job(i)
	}
	f.rotate("-20260103")
	f.pack("-20260103", ".gz")
	f.write("y\n")
	f.nothing(f.read(s, want+"y\n"))
}
