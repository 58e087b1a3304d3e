package tail

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
