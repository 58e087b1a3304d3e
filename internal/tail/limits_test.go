package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limited runs fn with at most n descriptors in the process, three quarters of them
// for logs. Those that are open count.
func limited(t *testing.T, n uint64, fn func()) {
	t.Helper()
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: was.Max}))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }()
	fn()
}

// backlog makes rotated files of ten lines each, a minute apart, and a live one.
func (f *folder) backlog(at, files int) (next int) {
	f.t.Helper()
	for i := range files {
		f.write(numbered(at, at+10))
		at += 10
		suffix := fmt.Sprintf("-%08d", 20260101+i)
		f.rotate(suffix)
		must(f.t, os.Chtimes(f.path+suffix, time.Time{}, time.Now().Add(time.Duration(i-files)*time.Minute)))
	}
	f.write(numbered(at, at+10))
	return at + 10
}

func TestMoreFilesThanDescriptorsAreReadInOrder(t *testing.T) {
	for name, before := range map[string]int{"at a first start": 0, "behind a position": 10} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			running := handReader(t, f)
			if before > 0 {
				f.write(numbered(0, before))
				running.cfg.State = f.read(nil, numbered(0, before))
				running.nextNumber = running.cfg.State.Next
			}
			next := f.backlog(before, 80)
			limited(t, 64, func() {
				for range 80 {
					running.read()
				}
			})
			same(t, split(running.text), split(numbered(before, next)))
		})
	}
}

func TestFirstStartAtTheEndNeedsNoDescriptorForOldFiles(t *testing.T) {
	f := newFolder(t)
	next := f.backlog(0, 80)
	running := handReader(t, f)
	running.cfg.From = End
	limited(t, 64, func() {
		running.read()
		f.write(numbered(next, next+10))
		running.read()
	})
	running.read()
	same(t, split(running.text), split(numbered(next, next+10)))
}

// A step that has come to nothing must not say that it got on, else the next one
// follows at once, for as long as the folder can't be looked at.
func TestTruncatedLogInAFolderThatCannotBeListedIsWaitedFor(t *testing.T) {
	for name, hide := range map[string]func(t *testing.T, dir string, then func()){
		"gone": func(t *testing.T, dir string, then func()) {
			must(t, os.RemoveAll(dir))
			then()
		},
		"no descriptor left": func(t *testing.T, _ string, then func()) { limited(t, 4, then) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.dir = filepath.Join(f.dir, "logs")
			f.path = filepath.Join(f.dir, "events.log")
			must(t, os.Mkdir(f.dir, 0o700))
			f.write(numbered(0, 100))
			running := handReader(t, f)
			running.read()
			w := f.writer(f.path)
			defer w.Close()
			must(t, w.Truncate(0))
			_, err := w.WriteString(numbered(100, 110))
			must(t, err)
			steps := 0
			hide(t, f.dir, func() {
				for running.step(time.Now()) && steps < 1000 {
					running.take()
					steps++
				}
			})
			if steps > 2 {
				t.Errorf("%d steps got on, want none: %v", steps, running.problem.err)
			}
			if name == "gone" {
				return
			}
			running.read()
			same(t, split(running.text), split(numbered(0, 110)))
		})
	}
}
