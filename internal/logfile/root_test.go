//go:build root

package logfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// These tests mount a small file system and so need root: go test -tags root ./internal/logfile

// smallDisk mounts a file system of one megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=700"))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// writing writes numbered batches until one can't be written, and then goes on.
func writing(t *testing.T, path string) (stuck <-chan error, stop func() (written int)) {
	t.Helper()
	told := make(chan error, 10)
	w := New(path, Options{Changed: func(err error) { told <- err }})
	quit, result := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { result <- n }()
		for {
			select {
			case <-quit:
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				return
			default:
			}
			if err := w.Write(t.Context(), lines(n, 1001)); err != nil {
				t.Error(err)
				return
			}
			n += 1001
		}
	}()
	return told, func() int { close(quit); return <-result }
}

func TestRealFullDiskThatIsGivenRoom(t *testing.T) {
	dir := smallDisk(t)
	path, ballast := filepath.Join(dir, "events.log"), filepath.Join(dir, "ballast")
	writeFile(t, ballast, string(make([]byte, 700<<10)))
	stuck, stop := writing(t, path)
	if err := <-stuck; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("stuck with %v, want ENOSPC", err)
	}
	full, err := os.ReadFile(path)
	must(t, err)
	if bytes.HasSuffix(full, []byte("\n")) && len(full)%lineLen != 0 {
		t.Errorf("the full disk was not met in the middle of a line: the test proves nothing")
	}
	must(t, os.Remove(ballast))
	if err := <-stuck; err != nil {
		t.Fatalf("told %v after room was made, want nil", err)
	}
	// It goes on until the disk is full again; then copytruncate makes room.
	if err := <-stuck; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("stuck with %v, want ENOSPC", err)
	}
	copied, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Truncate(path, 0))
	<-stuck
	n := stop()
	rest, err := os.ReadFile(path)
	must(t, err)
	// The copy may end in half a line, which then is whole at the head of the rest.
	whole := copied[:len(copied)-len(copied)%lineLen]
	if got := string(whole) + string(rest); got != string(lines(0, n)) {
		t.Errorf("%d lines written, but the files hold %d bytes in another order or shape", n, len(got))
	}
}

func TestRealFullDiskWhoseLogIsDeleted(t *testing.T) {
	path := filepath.Join(smallDisk(t), "events.log")
	stuck, stop := writing(t, path)
	if err := <-stuck; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("stuck with %v, want ENOSPC", err)
	}
	old, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(path)) // makes no room as long as the writer has it open
	if err := <-stuck; err != nil {
		t.Fatalf("told %v after the log was deleted, want nil", err)
	}
	n := stop()
	rest, err := os.ReadFile(path)
	must(t, err)
	whole := old[:len(old)-len(old)%lineLen]
	if got := string(whole) + string(rest); got != string(lines(0, n)) {
		t.Errorf("%d lines written, but the files hold %d bytes in another order or shape", n, len(got))
	}
}

func TestReadOnlyFileSystemIsPermanent(t *testing.T) {
	dir := smallDisk(t)
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if err := atPath(filepath.Join(dir, "events.log")).Open(t.Context()); !errors.Is(err, unix.EROFS) || !Permanent(err) {
		t.Errorf("Open = %v, want a permanent %v", err, unix.EROFS)
	}
}
