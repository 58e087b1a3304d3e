//go:build root

package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests give a file to another user and mount a file system, and so need root:
// go test -tags root ./internal/tail

// Without CAP_LEASE and as another user than the file's, nobody can tell whether
// a writer has it open.
func TestQuietHasToDoWhereLeasesAreNotAllowed(t *testing.T) {
	f := newFolder(t)
	f.write("one\ntw")
	cfg := config(t, f.path)
	cfg.quiet = time.Minute
	tail := looked(t, f, cfg)
	now := time.Now()
	tail.look(now, false)
	if got := text(tail, now); got != "one\n" {
		t.Fatalf("read %q", got)
	}
	f.rotate(".1")
	f.write("three\n")
	must(t, os.Chown(f.path+".1", 65534, -1))
	unprivileged(t, func() {
		tail.look(now, false)
		if got := text(tail, now.Add(59*time.Second)); got != "" {
			t.Errorf("read %q a second too early", got)
		}
		if got := text(tail, now.Add(61*time.Second)); got != "twthree\n" {
			t.Errorf("read %q, want the unfinished line and the next file", got)
		}
	})
}

// An overlay has no handles, and gives an inode away at once.
func TestLogWithAnInodeThatAnotherFileHadIsReadOnAnOverlay(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(base, dir), 0o700))
	}
	merged := filepath.Join(base, "merged")
	must(t, unix.Mount("overlay", merged, "overlay", 0, fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base)))
	defer func() { must(t, unix.Unmount(merged, 0)) }()
	for name, other := range map[string]string{
		"a copy": numbered(0, 100), "a rotated file": numbered(500, 510), "one of the new log's size": numbered(500, 520),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(merged, name)
			must(t, os.Mkdir(dir, 0o700))
			f := &folder{t: t, dir: dir, path: filepath.Join(dir, "events.log")}
			f.append(f.path+".1", other)
			f.write(numbered(0, 100))
			if name == "a copy" {
				other = ""
			}
			s := f.read(nil, other+numbered(0, 100))
			was, _, err := identifyPath(f.path + ".1")
			must(t, err)
			must(t, os.Remove(f.path))
			must(t, os.Remove(f.path+".1"))
			f.write(numbered(110, 130))
			if id, _, err := identifyPath(f.path); err != nil || id.Handle != "" || id.key() != was.key() {
				t.Logf("the new log is %v, the old file was %v (%v): no inode was used again", id, was, err)
			}
			f.read(s, numbered(110, 130))
		})
	}
}
