package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Rotation by rename while a writer writes at full speed, every few
// milliseconds: nothing is lost, nothing comes twice, all in order.
func TestRotationAtSpeedLosesNothing(t *testing.T) {
	for _, style := range []struct {
		name   string
		rotate func(f *folder, i int)
	}{
		{"to the next free name", func(f *folder, i int) { f.rotate(fmt.Sprintf(".%d", i+1)) }},
		{"to shifted numbers", func(f *folder, i int) {
			// All are kept: on a busy machine the reader may not see a file that is
			// overwritten ten rotations later.
			for n := i; n > 0; n-- {
				f.rename(fmt.Sprintf(".%d", n), fmt.Sprintf(".%d", n+1))
			}
			f.rotate(".1")
		}},
		{"to dates", func(f *folder, i int) { f.rotate(fmt.Sprintf("-20261122-%05d", i)) }},
		{"by deleting", func(f *folder, _ int) { must(f.t, os.Remove(f.path)) }},
	} {
		t.Run(style.name, func(t *testing.T) {
			f := newFolder(t)
			cfg := config(t, f.path)
			cfg.rescan = 0 // as in production
			r := start(t, cfg)
			const files, lines = 60, 2000
			for i := range files {
				w := f.writer(f.path)
				for at := i * lines; at < (i+1)*lines; at += 50 {
					_, err := w.WriteString(numbered(at, at+50))
					must(t, err)
				}
				if style.name == "by deleting" {
					// A deleted file can only be read if it was opened before.
					eventually(t, "the file is open", func() bool { return len(r.got()) > i*lines })
				}
				style.rotate(f, i)
				must(t, w.Close())
				// Files that were rotated within one step of the kernel's clock can
				// only be told apart by their names, whose order is a guess.
				time.Sleep(5 * time.Millisecond)
			}
			r.wants(numbered(0, files*lines))
		})
	}
}

func TestWriterThatReopensLateLosesNothing(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	w := f.writer(f.path)
	at := 0
	write := func() {
		_, err := w.WriteString(numbered(at, at+10))
		must(t, err)
		at += 10
	}
	for i := range 5 {
		write()
		f.rotate(fmt.Sprintf(".%d", i))
		must(t, os.WriteFile(f.path, nil, 0o600)) // as logrotate's create
		for range 5 {
			write() // into the renamed file
			r.wants(numbered(0, at))
		}
		must(t, w.Close())
		w = f.writer(f.path)
	}
	write()
	must(t, w.Close())
	r.wants(numbered(0, at))
}

func TestUnfinishedLastLineIsALineOnceItsWriterIsGone(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	w := f.writer(f.path)
	_, err := w.WriteString("one\ntw")
	must(t, err)
	r.wants("one\n")
	f.rotate(".1")
	f.write("three\n")
	_, err = w.WriteString("o") // still the same line
	must(t, err)
	must(t, w.Close())
	r.wants("one\ntwo\nthree\n")
}

// Where leases can't be had, or the writer never closes, quiet has to do, and
// what comes after it is read all the same.
func TestWriterThatNeverClosesDoesNotHoldUpTheLog(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	w := f.writer(f.path)
	defer w.Close()
	_, err := w.WriteString("one\n")
	must(t, err)
	r.wants("one\n")
	f.rotate(".1")
	f.write("two\n")
	r.wants("one\ntwo\n")
	_, err = w.WriteString("late\n")
	must(t, err)
	r.wants("one\ntwo\nlate\n")
	f.write("three\n")
	r.wants("one\ntwo\nlate\nthree\n")
}

func TestRotationsWhileNobodyTakesBlocksLoseNothing(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.Budget = 4096, 2*(4096+frontierSize)
	r := start(t, cfg)
	r.mu.Lock()
	r.hold = true
	r.mu.Unlock()
	for i := range 10 {
		f.write(numbered(i*1000, i*1000+1000))
		eventually(t, "the file is open", func() bool { return r.tail.Generations() > i })
		f.rotate(".1") // over the one before, which is gone from the directory then
	}
	r.mu.Lock()
	for _, b := range r.held {
		b.Release()
	}
	r.held, r.hold = nil, false
	r.mu.Unlock()
	r.wants(numbered(0, 10_000))
}

func TestFilesThatTurnUpLateAreRead(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	w := f.writer(f.path)
	defer w.Close()
	_, err := w.WriteString("one\n")
	must(t, err)
	r.wants("one\n")
	must(t, os.WriteFile(filepath.Join(f.dir, "other"), []byte("from elsewhere\n"), 0o600))
	must(t, os.Rename(filepath.Join(f.dir, "other"), f.path+".7"))
	r.wants("one\nfrom elsewhere\n")
	_, err = w.WriteString("two\n")
	must(t, err)
	r.wants("one\nfrom elsewhere\ntwo\n")
	// The live file was left in between; a restart goes on behind both.
	state := r.state()
	_, err = w.WriteString("three\n")
	must(t, err)
	cfg := config(t, f.path)
	cfg.State = state
	start(t, cfg).wants("three\n")
}

func TestTruncatedFileIsReadFromItsBeginning(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	f.write(numbered(0, 100))
	r.wants(numbered(0, 100))
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(100, 110))
	r.wants(numbered(0, 110))
}

func TestTruncatedAndRefilledFileIsNoticed(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	f.write(numbered(0, 100))
	r.wants(numbered(0, 100))
	w := f.writer(f.path)
	must(t, w.Truncate(0))
	_, err := w.WriteString(numbered(100, 300)) // larger than before at once
	must(t, err)
	must(t, w.Close())
	r.wants(numbered(0, 300))
}

func TestCopytruncateSendsNothingTwice(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	for i := range 10 {
		f.write(numbered(i*100, i*100+100))
		r.wants(numbered(0, i*100+100))
		f.copyFile(fmt.Sprintf(".%d", i))
		if i%2 == 0 {
			eventually(t, "the copy is known", func() bool { return slices.Contains(r.copies(), fmt.Sprintf("%s.%d", f.path, i)) })
		}
		must(t, os.Truncate(f.path, 0))
	}
	f.write(numbered(1000, 1010))
	r.wants(numbered(0, 1010))
}

func (r *reader) copies() []string {
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	var names []string
	for _, g := range r.tail.gens {
		if g.copied {
			names = append(names, g.name)
		}
	}
	return names
}

func TestWhatCopytruncateLeftOnlyInTheCopyIsRead(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.Budget = 4096, 4096+frontierSize
	f.write(numbered(0, 1000))
	r := start(t, cfg)
	r.mu.Lock()
	r.hold = true
	r.mu.Unlock()
	eventually(t, "a block is held", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.held) > 0 })
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(1000, 1010))
	r.mu.Lock()
	for _, b := range r.held {
		b.Release()
	}
	r.held, r.hold = nil, false
	r.mu.Unlock()
	r.wants(numbered(0, 1010))
}

func TestCopyOfALogIsNotReadAndALogWithTheSameHeadIs(t *testing.T) {
	f := newFolder(t)
	header := numbered(0, 10) // larger than what is remembered of a head
	f.write(header + numbered(10, 100))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	f.copyFile(".copy1")
	eventually(t, "the copy is known", func() bool { return len(r.copies()) == 1 })
	must(t, os.WriteFile(f.path+".5", []byte(header+"another\n"), 0o600))
	r.wants(numbered(0, 100) + header + "another\n")
}

func TestFolderThatIsReplacedIsFollowed(t *testing.T) {
	dir := t.TempDir()
	f := &folder{t: t, dir: filepath.Join(dir, "logs")}
	f.path = filepath.Join(f.dir, "events.log")
	must(t, os.Mkdir(f.dir, 0o700))
	cfg := config(t, f.path)
	r := start(t, cfg)
	f.write("one\n")
	r.wants("one\n")
	must(t, os.Rename(f.dir, filepath.Join(dir, "old")))
	must(t, os.Mkdir(f.dir, 0o700))
	f.write("two\n")
	r.wants("one\ntwo\n")
	eventually(t, "the new folder is watched", func() bool {
		f.write("more\n")
		return len(r.got()) > 2
	})
}

func TestSymlinkThatIsSwitchedIsFollowed(t *testing.T) {
	f := newFolder(t)
	a, b := filepath.Join(f.dir, "a"), filepath.Join(f.dir, "b")
	f.append(a, "one\n")
	f.append(b, "two\n")
	must(t, os.Symlink(a, f.path))
	r := start(t, config(t, f.path))
	r.wants("one\n")
	must(t, os.Symlink(b, f.path+".new"))
	must(t, os.Rename(f.path+".new", f.path))
	r.wants("one\ntwo\n")
}

func TestPollingDoesWhereTheKernelSaysNothing(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.poll, cfg.rescan = true, 0
	r := start(t, cfg)
	f.write(numbered(0, 10))
	r.wants(numbered(0, 10))
	f.rotate(".1")
	f.write(numbered(10, 20))
	r.wants(numbered(0, 20))
}
