package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFileIsMadeForItsGroupToRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	w := atPath(path)
	if err := w.Write(t.Context(), lines(0, 2)); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("mode %v (%v), want 0640 less the umask", info.Mode(), err)
	}
}

func TestLinesAreAppendedToWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	writeFile(t, path, string(lines(0, 2)))
	w := atPath(path)
	if err := w.Write(t.Context(), lines(2, 1)); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	wantFile(t, path, string(lines(0, 3)))
	if w.warnings() != 0 {
		t.Errorf("warnings:\n%s", w.logs)
	}
}

func TestUnterminatedEndIsCutOffAndTold(t *testing.T) {
	for _, half := range []int{1, 100, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_000} {
		for _, whole := range []int{0, 1, 10_000} {
			path := filepath.Join(t.TempDir(), "events.log")
			writeFile(t, path, string(lines(0, whole))+strings.Repeat("x", half))
			w := atPath(path)
			if err := w.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantFile(t, path, string(lines(0, whole)))
			if want := fmt.Sprintf(`"bytes":%d,`, half); w.warnings() != 1 || !strings.Contains(w.logs.String(), want) {
				t.Errorf("after %d lines and half a line of %d bytes: logs\n%s\nwant one warning with %s", whole, half, w.logs, want)
			}
			w.Close()
		}
	}
}

func TestFileThatIsNoLogIsNotCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxHalf+100_000); err != nil {
		t.Fatal(err)
	}
	err := atPath(path).Open(t.Context())
	if !errors.Is(err, errNoLines) || !Permanent(err) {
		t.Errorf("Open = %v, want a permanent %v", err, errNoLines)
	}
	if info, _ := os.Stat(path); info.Size() != maxHalf+100_000 {
		t.Errorf("the file was cut to %d bytes", info.Size())
	}
}

func TestOpenSaysWhatWaitingCannotHeal(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "")
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for _, c := range []struct {
		name, path, err string
	}{
		{"a directory", dir, "is a directory"},
		{"a path through a file", filepath.Join(dir, "file", "events.log"), "not a directory"},
		{"a symlink to itself", filepath.Join(dir, "loop"), "too many levels of symbolic links"},
		{"a name too long", filepath.Join(dir, strings.Repeat("x", 300)), "file name too long"},
		{"a FIFO nobody reads", filepath.Join(dir, "fifo"), "is neither a file nor a character device"},
	} {
		err := atPath(c.path).Open(t.Context())
		if err == nil || !Permanent(err) || err.Error() != fmt.Sprintf("open %q: %s", c.path, strings.SplitN(err.Error(), ": ", 2)[1]) || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: Open = %v (permanent %v), want a permanent error with path and %q", c.name, err, Permanent(err), c.err)
		}
	}
	if err := (realDisk{}); Permanent(errAt(err, filepath.Join(dir, "no", "events.log"))) {
		t.Error("a missing folder is called permanent, but it may be made later")
	}
}

func errAt(d disk, path string) error {
	_, err := d.open(path)
	return err
}

func TestMissingPermissionIsPermanent(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	var err error
	asNobody(t, func() { err = errAt(realDisk{}, filepath.Join(dir, "events.log")) })
	if !errors.Is(err, unix.EACCES) || !Permanent(err) {
		t.Errorf("open in a folder without permission = %v, want a permanent %v", err, unix.EACCES)
	}
}

// asNobody runs f without root's right to open everything. Other users lack that right anyway.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	var failed error
	var done sync.WaitGroup
	done.Go(func() {
		// The raw system call changes this thread only. It stays locked, so that it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			failed = errno
			return
		}
		f()
	})
	done.Wait()
	must(t, failed)
}

func TestMissingFolderIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "eventline")
	path := filepath.Join(dir, "events.log")
	told := make(chan error, 10)
	w := New(path, Options{Changed: func(err error) { told <- err }})
	result := make(chan error, 1)
	go func() { result <- w.Write(t.Context(), lines(0, 1)) }()
	if err := <-told; !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Changed was told %v, want that the folder is missing", err)
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, <-result)
	if err := <-told; err != nil {
		t.Errorf("Changed was told %v at the end, want nil", err)
	}
	wantFile(t, path, string(lines(0, 1)))
	must(t, w.Close())
}

func TestSecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	first := atPath(path)
	must(t, first.Open(t.Context()))
	writeFile(t, path, "half a li") // as if the first were just writing
	second := atPath(path)
	if err := second.Open(t.Context()); !errors.Is(err, errInUse) || !Permanent(err) {
		t.Errorf("Open of a file that is being written = %v, want a permanent %v", err, errInUse)
	}
	wantFile(t, path, "half a li")
	must(t, first.Close())
	must(t, second.Open(t.Context()))
	must(t, second.Close())
}

// A reader that wants to know whether anyone still writes a file takes a lease on it for a moment.
func TestLeaseOfAReaderDelaysOpenWithoutBlockingIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	writeFile(t, path, "")
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	lease := func(kind int) {
		t.Helper()
		_, err := unix.FcntlInt(reader.Fd(), unix.F_SETLEASE, kind)
		must(t, err)
	}
	lease(unix.F_RDLCK)
	told := make(chan error, 10)
	w := New(path, Options{Changed: func(err error) { told <- err }})
	result := make(chan error, 1)
	go func() { result <- w.Open(t.Context()) }()
	if err := <-told; !errors.Is(err, unix.EAGAIN) {
		t.Errorf("told %v, want EAGAIN", err)
	}
	lease(unix.F_UNLCK)
	must(t, <-result)
	must(t, w.Close())
}

func TestCharacterDeviceIsWritten(t *testing.T) {
	w := atPath("/dev/null")
	must(t, w.Open(t.Context()))
	must(t, w.Write(t.Context(), lines(0, 2)))
	must(t, w.Close())
}

func TestFullDeviceIsRetriedAndGivenUpCleanly(t *testing.T) {
	w := atPath("/dev/full")
	must(t, w.Open(t.Context()))
	var u *Unwritten
	if err := w.Write(cancelled(t), lines(0, 7)); !errors.As(err, &u) || u.Lines != 7 || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Write = %v, want 7 lines unwritten because of ENOSPC", err)
	}
	if n := w.errorCount("ENOSPC"); n != 1 {
		t.Errorf("%v errors counted, want 1", n)
	}
	must(t, w.Close())
}

func TestRenamedFileIsLeftForANewOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.log")
	w := atPath(path)
	must(t, w.Write(t.Context(), lines(0, 1)))
	must(t, os.Rename(path, path+".1"))
	w.checked = time.Now().Add(-checkEvery)
	must(t, w.Write(t.Context(), lines(1, 1)))
	wantFile(t, path+".1", string(lines(0, 1)))
	wantFile(t, path, string(lines(1, 1)))
	must(t, w.Close())
}

func TestPathIsNotLookedAtForEveryBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	w := atPath(path)
	must(t, w.Write(t.Context(), lines(0, 1)))
	must(t, os.Rename(path, path+".1"))
	w.checked = time.Now().Add(time.Hour)
	must(t, w.Write(t.Context(), lines(1, 1)))
	wantFile(t, path+".1", string(lines(0, 2)))
	must(t, w.Close())
}

func TestReopenActsWithoutAnyWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	w := atPath(path)
	must(t, w.Write(t.Context(), lines(0, 1)))
	w.checked = time.Now().Add(time.Hour)
	w.Reopen()
	wantFile(t, path, string(lines(0, 1))) // still at its path: nothing to do
	must(t, os.Rename(path, path+".1"))
	w.Reopen()
	wantFile(t, path, "")
	must(t, w.Write(t.Context(), lines(1, 1)))
	wantFile(t, path, string(lines(1, 1)))
	must(t, w.Close())
}

func TestDeletedFolderIsWaitedForWithoutLosingALine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "eventline")
	path := filepath.Join(dir, "events.log")
	must(t, os.Mkdir(dir, 0o700))
	told := make(chan error, 10)
	w := New(path, Options{Changed: func(err error) { told <- err }})
	must(t, w.Write(t.Context(), lines(0, 1)))
	must(t, os.RemoveAll(dir))
	w.Reopen()
	result := make(chan error, 1)
	go func() { result <- w.Write(t.Context(), lines(1, 2)) }()
	<-told
	must(t, os.Mkdir(dir, 0o700))
	must(t, <-result)
	wantFile(t, path, string(lines(1, 2)))
	must(t, w.Close())
}

func TestCopytruncateLeavesNoHole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	w := atPath(path)
	must(t, w.Write(t.Context(), lines(0, 100)))
	must(t, os.Truncate(path, 0))
	must(t, w.Write(t.Context(), lines(100, 1)))
	wantFile(t, path, string(lines(100, 1)))
	must(t, w.Close())
}

// TestRotationAndDeletionUnderLoad rotates in every way that a descriptor survives, as fast as it can.
func TestRotationAndDeletionUnderLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.log")
	w := New(path, Options{})
	const rotations = 30
	stop := make(chan struct{})
	var kept []*os.File // every generation, also deleted ones
	go func() {
		defer close(stop)
		for i := range rotations {
			waitForBytes(t, path)
			f, err := os.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			kept = append(kept, f)
			switch i % 3 {
			case 0: // logrotate, nocreate
				err = os.Rename(path, fmt.Sprintf("%s.%d", path, i))
			case 1: // logrotate, create, and a signal
				err = errors.Join(os.Rename(path, fmt.Sprintf("%s.%d", path, i)), createNew(path))
				w.Reopen()
			case 2:
				err = os.Remove(path)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	n := 0
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		must(t, w.Write(context.Background(), lines(n, 50)))
		n += 50
		time.Sleep(50 * time.Microsecond) // else the test would be about comparing gigabytes
	}
	must(t, w.Close())
	last, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the last rotation came after the last line
	} else {
		kept = append(kept, last)
	}
	must(t, err)
	var all bytes.Buffer
	for _, f := range kept {
		_, err := all.ReadFrom(f)
		must(t, errors.Join(err, f.Close()))
	}
	if all.String() != string(lines(0, n)) {
		t.Errorf("%d lines went into %d generations, which hold %d bytes in another order or shape", n, len(kept), all.Len())
	}
}

// createNew creates the file if the Writer has not.
func createNew(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, f.Close())
}

// waitForBytes waits until the file is there and not empty.
func waitForBytes(t *testing.T, path string) {
	deadline := time.Now().Add(time.Minute)
	for {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: nothing written for a minute", path)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func FuzzUnterminated(f *testing.F) {
	f.Add([]byte("a\nb"))
	f.Add([]byte("a\n"))
	f.Add([]byte("a"))
	f.Add([]byte(""))
	f.Add(append([]byte("\n"), make([]byte, 70_000)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		half, err := unterminated(bytes.NewReader(data), int64(len(data)))
		if want := len(data) - 1 - bytes.LastIndexByte(data, '\n'); err != nil || half != int64(want) {
			t.Fatalf("unterminated(%d bytes) = %d, %v; want %d", len(data), half, err, want)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 50, 500} {
		b.Run(fmt.Sprintf("%dlines", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "events.log")
			w := New(path, Options{})
			defer w.Close()
			line := append(bytes.Repeat([]byte("x"), 239), '\n')
			batch := bytes.Repeat(line, n)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				if err := w.Write(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				if written += len(batch); written > 256<<20 {
					written = 0
					if err := os.Truncate(path, 0); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %d bytes (%v), want %d: %.200q", path, len(got), err, len(want), got)
	}
}
