package tail

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unprivileged runs fn on a thread without the rights of root to read anything,
// which then ends.
func unprivileged(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			done <- err
			return
		}
		fn()
		done <- nil
	}()
	must(t, <-done)
}

// looked is a Tail that a test steps by hand.
func looked(t *testing.T, f *folder, cfg Config) *Tail {
	t.Helper()
	cfg.poll = true
	tail, err := New(cfg)
	must(t, err)
	tail.watch = newWatch(f.dir, tail.log, true)
	t.Cleanup(func() { tail.cleanup() })
	return tail
}

// text steps the Tail to the end and returns what it read.
func text(tail *Tail, now time.Time) string {
	got := ""
	for tail.step(now) {
		if b := tail.pending; b != nil {
			got += string(b.Data)
			b.Release()
			tail.handedOver()
		}
	}
	tail.near()
	return got
}

func TestUnreadableLogIsSaidAndHeals(t *testing.T) {
	f := newFolder(t)
	f.write("one\n")
	must(t, os.Chmod(f.path, 0))
	cfg := config(t, f.path)
	var said []error
	cfg.Changed = func(err error) { said = append(said, err) }
	tail := looked(t, f, cfg)
	now := time.Now()
	unprivileged(t, func() {
		tail.look(now, false)
		if len(said) != 1 || !errors.Is(said[0], unix.EACCES) {
			t.Errorf("said %v, want that the log can't be opened", said)
		}
		if got := text(tail, now); got != "" {
			t.Errorf("read %q of a file that can't be opened", got)
		}
		must(t, os.Chmod(f.path, 0o600))
		tail.look(now, false)
		if got := text(tail, now); got != "one\n" {
			t.Errorf("after chmod: read %q, want the line", got)
		}
	})
	if len(said) != 2 || said[1] != nil {
		t.Errorf("said %v, want that it is readable again", said)
	}
}

// A folder that can't be listed for a while says nothing of what became of the
// files in it: nothing may be taken for rotated, truncated or gone.
func TestFolderThatCannotBeListedChangesNothing(t *testing.T) {
	f := newFolder(t)
	f.write("one\ntw")
	tail := looked(t, f, config(t, f.path))
	now := time.Now()
	unprivileged(t, func() {
		tail.look(now, false)
		if got := text(tail, now); got != "one\n" {
			t.Errorf("read %q", got)
		}
		w := f.writer(f.path)
		defer w.Close()
		for i, mode := range []os.FileMode{0, 0o400, 0o100} {
			must(t, os.Chmod(f.dir, mode))
			later := now.Add(time.Duration(i+1) * time.Hour)
			tail.look(later, false)
			if got := text(tail, later); got != "" {
				t.Errorf("folder of mode %o: read %q, want nothing: the line may still be finished", mode, got)
			}
			must(t, os.Chmod(f.dir, 0o700))
		}
		_, err := w.WriteString("o\n")
		must(t, err)
		tail.look(now, false)
		if got := text(tail, now); got != "two\n" {
			t.Errorf("read %q, want the whole line", got)
		}
	})
}

func TestPositionInAFileThatCannotBeOpenedIsNotLost(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	f.write(numbered(10, 20))
	f.rotate(".1")
	f.write(numbered(20, 30))
	must(t, os.Chmod(f.path+".1", 0))
	cfg := config(t, f.path)
	cfg.State = s
	tail := looked(t, f, cfg)
	now := time.Now()
	unprivileged(t, func() {
		tail.look(now, false)
		if got := text(tail, now); got != "" {
			t.Errorf("read %q, want nothing before the file of the position can be opened", got)
		}
		must(t, os.Chmod(f.path+".1", 0o600))
		tail.look(now, false)
		if got := text(tail, now); got != numbered(10, 30) {
			t.Errorf("read %q, want lines 10 to 29", got)
		}
	})
}
