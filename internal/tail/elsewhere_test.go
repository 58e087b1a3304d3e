package tail

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// logrotate's olddir: the first rotation is seen, and shows where the others of
// the time that we are down are to be found.
func TestRotatedFilesInAnotherFolderAreFoundAfterARestart(t *testing.T) {
	f := newFolder(t)
	old := filepath.Join(f.dir, "old")
	must(t, os.Mkdir(old, 0o700))
	move := func(to string) { t.Helper(); must(t, os.Rename(f.path, filepath.Join(old, to))) }
	w := f.writer(f.path)
	_, err := w.WriteString(numbered(0, 100))
	must(t, err)
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	move("events.log.1")
	_, err = w.WriteString(numbered(100, 110)) // still open: it has to be found where it went
	must(t, err)
	f.write(numbered(110, 120))
	eventually(t, "the other folder is known", func() bool {
		r.tail.mu.Lock()
		defer r.tail.mu.Unlock()
		return len(r.tail.folders) == 1
	})
	must(t, w.Close())
	r.wants(numbered(0, 120))
	s := r.state()
	// Down: the rest of this file, a whole one, and a new one.
	f.write(numbered(120, 130))
	must(t, os.Rename(filepath.Join(old, "events.log.1"), filepath.Join(old, "events.log.2")))
	move("events.log.1")
	f.write(numbered(130, 140))
	s = f.read(s, numbered(120, 140))
	f.nothing(s)
}

func TestFileOfTheSameNameInAnotherFolderIsNotTheLog(t *testing.T) {
	f := newFolder(t)
	old := filepath.Join(f.dir, "old")
	must(t, os.Mkdir(old, 0o700))
	f.write(numbered(0, 100))
	w := f.writer(f.path)
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	must(t, os.Rename(f.path, filepath.Join(old, "events.log")))
	f.write(numbered(100, 110))
	_, err := w.WriteString("late\n")
	must(t, err)
	must(t, w.Close())
	r.wants(numbered(0, 100) + "late\n" + numbered(100, 110))
}

func TestSymlinkSwitchedToANewFile(t *testing.T) {
	f := newFolder(t)
	target := func(name string) string { return filepath.Join(f.dir, name) }
	link := func(name string) {
		t.Helper()
		must(t, os.Symlink(name, target("next")))
		must(t, os.Rename(target("next"), f.path))
	}
	f.append(target("a"), numbered(0, 100))
	link("a")
	w := f.writer(target("a"))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	f.append(target("b"), numbered(110, 120))
	link("b")
	_, err := w.WriteString(numbered(100, 110)) // a writer that learns of it late
	must(t, err)
	must(t, w.Close())
	r.wants(numbered(0, 120))
	s := r.state()
	// And while down: the rest of the old one comes first.
	f.append(target("b"), numbered(120, 130))
	f.append(target("c"), numbered(130, 140))
	link("c")
	s = f.read(s, numbered(120, 140))
	f.nothing(s)
}

func TestWhatWasDeletedWhileDownIsSaidWithItsSize(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	s := r.state()
	s.Generations[0].Size += 3200 // seen, and not read before the end
	must(t, os.Remove(f.path))
	f.write(numbered(200, 210))
	var log bytes.Buffer
	cfg := config(t, f.path)
	cfg.State, cfg.Log = s, zerolog.New(&log)
	again := start(t, cfg)
	again.wants(numbered(200, 210))
	again.stop()
	if !strings.Contains(log.String(), `"level":"error"`) || !strings.Contains(log.String(), `"bytes":3200`) {
		t.Errorf("a deleted rest of 3200 bytes: the log says\n%s", &log)
	}
	if got := again.tail.counts.abandoned.Load(); got != 3200 {
		t.Errorf("abandoned bytes: got %d, want 3200", got)
	}
}

// What an administrator or a logrotate of another user does with a file must not
// keep us from the log, which is in a folder of ours.
func TestFolderThatCannotBeListedDoesNotStopTheLog(t *testing.T) {
	f := newFolder(t)
	old := filepath.Join(f.dir, "old")
	must(t, os.Mkdir(old, 0o700))
	f.write(numbered(0, 10))
	tail := looked(t, f, config(t, f.path))
	now := time.Now()
	got := ""
	unprivileged(t, func() {
		tail.look(now, false)
		got = text(tail, now)
		must(t, os.Rename(f.path, filepath.Join(old, "events.log.1")))
		must(t, os.Chmod(old, 0o300)) // may be entered, not listed
		tail.look(now, false)
		f.write(numbered(10, 20))
		tail.look(now, false)
		got += text(tail, now)
		must(t, os.Chmod(old, 0o700))
	})
	same(t, split(got), split(numbered(0, 20)))
}

// A folder that was listed before, and can't be any more: what is not seen in it is
// not taken for gone, else it would come again.
func TestFolderThatCannotBeListedAnyMoreIsWaitedForAside(t *testing.T) {
	f := newFolder(t)
	old := filepath.Join(f.dir, "old")
	must(t, os.Mkdir(old, 0o700))
	f.write(numbered(0, 10))
	running := handReader(t, f)
	running.read()
	must(t, os.Rename(f.path, filepath.Join(old, "events.log.1")))
	f.write(numbered(10, 20))
	running.read()
	if len(running.folders) != 1 {
		t.Fatalf("folders: got %v, want the one that a rotated file went to", running.folders)
	}
	running.State(running.last)
	must(t, os.Chmod(old, 0))
	unprivileged(t, func() {
		f.write(numbered(20, 30))
		for i := range 10 {
			running.look(time.Now().Add(time.Duration(i)*time.Hour), false)
			for running.step(time.Now()) {
				running.take()
			}
		}
	})
	same(t, split(running.text), split(numbered(0, 30)))
	must(t, os.Chmod(old, 0o700))
	running.read()
	same(t, split(running.text), split(numbered(0, 30)))
}

func TestFolderThatHasGoneIsForgotten(t *testing.T) {
	f := newFolder(t)
	old := filepath.Join(f.dir, "old")
	must(t, os.Mkdir(old, 0o700))
	f.write(numbered(0, 10))
	running := handReader(t, f)
	running.read()
	must(t, os.Rename(f.path, filepath.Join(old, "events.log.1")))
	f.write(numbered(10, 20))
	running.read()
	state := running.State(running.last)
	must(t, os.RemoveAll(old))
	must(t, os.WriteFile(old, nil, 0o600)) // a file in its place
	f.write(numbered(20, 30))
	again := handReader(t, f)
	again.cfg.State, again.nextNumber, again.folders = &state, state.Next, state.Folders
	again.read()
	same(t, split(again.text), split(numbered(20, 30)))
	again.look(time.Now().Add(time.Hour), false)
	if len(again.folders) > 0 {
		t.Errorf("folders: got %v, want none: it went an hour ago", again.folders)
	}
}

func TestArchivesInTheFolderThatRotatedFilesGoToAreLeftOut(t *testing.T) {
	for _, from := range []From{Beginning, End} {
		t.Run(string(from), func(t *testing.T) {
			f := newFolder(t)
			old := filepath.Join(f.dir, "old")
			must(t, os.Mkdir(old, 0o700))
			archive := &folder{t: t, dir: old, path: filepath.Join(old, "events.log")}
			for i, suffix := range []string{"-20250101", "-20250102"} {
				archive.append(archive.path+suffix, numbered(5000+100*i, 5100+100*i))
				must(t, os.Chtimes(archive.path+suffix, time.Time{}, time.Now().Add(-300*24*time.Hour)))
			}
			archive.pack("-20250102", ".gz")
			f.write(numbered(0, 100))
			running := handReader(t, f)
			running.cfg.From = from
			running.read()
			f.write(numbered(100, 110))
			must(t, os.Rename(f.path, archive.path+"-20261122"))
			f.write(numbered(110, 120))
			running.read()
			archive.append(archive.path+"-20261123", numbered(120, 130)) // two rotations between two looks
			running.read()
			running.copies(2)
			begin := 0
			if from == End {
				begin = 100
			}
			same(t, split(running.text), split(numbered(begin, 130)))
			state := running.State(running.last)
			f.nothing(&state)
		})
	}
}

func TestLogMovedIntoTheFolderOfAnotherLogOfItsName(t *testing.T) {
	f := newFolder(t)
	logs := make(map[string]*folder)
	for _, name := range []string{"a", "b"} {
		dir := filepath.Join(f.dir, name)
		must(t, os.Mkdir(dir, 0o700))
		logs[name] = &folder{t: t, dir: dir, path: filepath.Join(dir, "access.log")}
	}
	a, b := logs["a"], logs["b"]
	a.write(numbered(0, 10))
	b.write(numbered(5000, 5010))
	running := handReader(t, a)
	running.read()
	must(t, os.Rename(a.path, b.path+".saved1"))
	a.write(numbered(10, 20))
	running.read()
	b.write(numbered(5010, 5020))
	b.rotate(".1")
	b.write(numbered(5020, 5030))
	a.write(numbered(20, 30))
	running.read()
	same(t, split(running.text), split(numbered(0, 30)))
}
