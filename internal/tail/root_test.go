//go:build root

package tail

import (
	"os"
	"testing"
	"time"
)

// This test gives a file to another user and so needs root: go test -tags root
// ./internal/tail

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
