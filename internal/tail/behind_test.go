package tail

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How a file ends to be the live one is told by what became of it.
func TestRotationsAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		rotate func(f *folder)
		how    rotation
	}{
		"renamed": {func(f *folder) { f.rotate(".1") }, renamed},
		"moved to another folder": {func(f *folder) {
			must(t, os.Mkdir(filepath.Join(f.dir, "old"), 0o700))
			must(t, os.Rename(f.path, filepath.Join(f.dir, "old", "events.log.1")))
		}, moved},
		"deleted": {func(f *folder) { must(t, os.Remove(f.path)) }, deleted},
		"copied and truncated": {func(f *folder) {
			f.write(numbered(10, 20)) // not read yet
			f.copyFile(".1")
			must(t, os.Truncate(f.path, 0))
		}, copied},
		"truncated": {func(f *folder) { must(t, os.Truncate(f.path, 0)) }, truncated},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 10))
			cfg := config(t, f.path)
			cfg.Metrics = NewMetrics(prometheus.NewRegistry())
			tail := looked(t, f, cfg)
			now := time.Now()
			tail.look(now, false)
			text(tail, now)
			c.rotate(f)
			f.write(numbered(20, 30))
			tail.look(now, false)
			text(tail, now)
			tail.look(now, false)
			for how := range rotations {
				want := int64(0)
				if rotation(how) == c.how {
					want = 1
				}
				if got := cfg.Metrics.rotated[how].Load(); got != want {
					t.Errorf("%s: got %d, want %d", rotations[how], got, want)
				}
			}
		})
	}
}

func TestBehindIsSinceAllWasRead(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	tail := looked(t, f, config(t, f.path))
	now := time.Now()
	tail.look(now, false)
	text(tail, now)
	if got := tail.Behind(now.Add(time.Minute)); got != 0 {
		t.Errorf("with all read: behind for %s, want 0", got)
	}
	f.write(numbered(10, 20))
	if got := tail.Behind(now.Add(time.Minute)); got != time.Minute {
		t.Errorf("a minute after all was read: behind for %s, want a minute", got)
	}
	text(tail, now.Add(time.Minute))
	if got := tail.Behind(now.Add(2 * time.Minute)); got != 0 {
		t.Errorf("with all read again: behind for %s, want 0", got)
	}
}
