//go:build root

package eventgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// These tests mount small file systems and so need root: go test -tags root ./internal/eventgen

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
}

func TestAnswerKeyAgreesWithADiskThatWasFull(t *testing.T) {
	s := newStory(t, strings.Fields(pacedRun)...)
	dir := filepath.Dir(s.path)
	smallDisk(t, dir, "20m")
	ballast := filepath.Join(dir, "ballast")
	c := s.start(t, 2)
	f := openWhenWritten(t, s.path)
	fill(t, ballast)
	eventually(t, "the disk is full", func() bool { return strings.Contains(c.log(t), "no space left on device") })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if code := c.ended(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.stderr.String())
	}
	s.wantKeyOf(t, readAll(t, f))
}

// TestAnswerKeyOnAFullDiskIsSaid lets the run go on to its end, with 3.
func TestAnswerKeyOnAFullDiskIsSaid(t *testing.T) {
	s := newStory(t, strings.Fields("--rate=20k --count=20000 --start=2026-11-22T10:00:00Z")...)
	small := filepath.Join(s.dir, "small")
	smallDisk(t, small, "64k")
	fill(t, filepath.Join(small, "ballast"))
	c := s.start(t, 2, "--truth", filepath.Join(small, "truth.json"))
	if code := c.ended(t); code != 3 {
		t.Errorf("exit code %d, want 3: %s", code, c.stderr.String())
	}
	for _, want := range []string{"cannot write answer key, events go on", "write answer key", "no space left on device", `"events":20000`} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("nothing is said of %q: %s", want, c.stderr.String())
		}
	}
	want, _ := reference(t, strings.Fields("--rate=20k --count=20000 --start=2026-11-22T10:00:00Z")...)
	if got := s.text(t); string(got) != string(want) {
		t.Errorf("the log is not what it should be: %s", diff(got, want))
	}
}

// TestStateOnAFullDiskIsSaidAndHeals fills the disk of the state only.
func TestStateOnAFullDiskIsSaidAndHeals(t *testing.T) {
	s := newStory(t, strings.Fields("--rate=20k --start=2026-11-22T10:00:00Z")...)
	state := filepath.Join(s.dir, "state")
	smallDisk(t, state, "16m")
	c := s.start(t, 2, "--state-dir", state)
	openWhenWritten(t, s.path).Close()
	ballast := filepath.Join(state, "ballast")
	fill(t, ballast)
	for i := 1; !strings.Contains(c.log(t), "cannot remember the run, events go on"); i++ {
		if err := os.Rename(openedName(t, s.path), old(s.path, i)); err != nil { // a note for the journal
			t.Fatal(err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is remembered again", func() bool { return strings.Contains(c.log(t), "the run is remembered again") })
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.ended(t)
	n := len(s.text(t))
	c = s.start(t, 2, "--state-dir", state, "--count=200000", "--unpaced")
	if code := c.ended(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.stderr.String())
	}
	want, _ := reference(t, strings.Fields("--rate=20k --count=200000 --start=2026-11-22T10:00:00Z")...)
	if got := s.text(t); string(got) != string(want) {
		t.Errorf("killed after %d bytes and started again: %s", n, diff(got, want))
	}
}

// openedName waits until the log is written.
func openedName(t *testing.T, path string) string {
	t.Helper()
	openWhenWritten(t, path).Close()
	return path
}
