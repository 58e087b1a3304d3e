package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	must(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// get is the value of a store, which has to be in good order.
func get(t *testing.T, s *Store) string {
	t.Helper()
	payload, findings, err := s.Load()
	if err != nil || len(findings) > 0 {
		t.Fatalf("load %s: %q, %v", s.Dir(), findings, err)
	}
	return string(payload)
}

func put(t *testing.T, s *Store, value string) {
	t.Helper()
	get(t, s)
	must(t, s.Save([]byte(value)))
}

func TestValuesOfOneDirectoryKeepApart(t *testing.T) {
	d := openDir(t, t.TempDir())
	put(t, d.Store("sources/a"), "of a")
	put(t, d.Store("sources/b"), "of b")
	for name, want := range map[string]string{"sources/a": "of a", "sources/b": "of b", "sources/c": "", "": ""} {
		if got := get(t, d.Store(name)); got != want {
			t.Errorf("store %q: got %q, want %q", name, got, want)
		}
	}
	names, err := d.Names("sources")
	if err != nil || len(names) != 2 {
		t.Errorf("names: got %q, %v, want a and b", names, err)
	}
}

func TestDirectoryIsLockedAsAWhole(t *testing.T) {
	path := t.TempDir()
	openDir(t, path)
	_, err := OpenDir(path)
	var inUse *InUseError
	if !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("second: got %v, want that process %d has it", err, os.Getpid())
	}
}

// Wherever a move was cut off, the next one ends it and the value is the newest.
func TestMoveThatWasCutOffIsEnded(t *testing.T) {
	for name, cut := range map[string]func(d *Dir, old string) error{
		"before it began":       func(*Dir, string) error { return nil },
		"with one slot written": func(d *Dir, _ string) error { return save(d.Store("new"), "newest", 1) },
		"before the old one went": func(d *Dir, _ string) error {
			return save(d.Store("new"), "newest", 2)
		},
		"without the marker": func(d *Dir, old string) error {
			return errors.Join(save(d.Store("new"), "newest", 2), os.Remove(filepath.Join(old, "used")))
		},
		"with one slot gone": func(d *Dir, old string) error {
			return errors.Join(save(d.Store("new"), "newest", 2), os.Remove(filepath.Join(old, "used")), os.Remove(filepath.Join(old, "position.0")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := filled(t, "oldest", "older", "newest")
			d := openDir(t, old)
			must(t, cut(d, old))
			must(t, Move(d.Store(""), d.Store("new")))
			if got := get(t, d.Store("new")); got != "newest" {
				t.Errorf("moved: got %q", got)
			}
			if got := get(t, d.Store("")); got != "" {
				t.Errorf("left behind: %q", got)
			}
			must(t, Move(d.Store(""), d.Store("new")))
			if got := get(t, d.Store("new")); got != "newest" {
				t.Errorf("moved again: got %q", got)
			}
		})
	}
}

func save(s *Store, value string, times int) error {
	_, _, err := s.Load()
	for range times {
		err = errors.Join(err, s.Save([]byte(value)))
	}
	return err
}

func TestMoveOfWhatCannotBeReadIsRefused(t *testing.T) {
	old := filled(t, "a", "b")
	must(t, os.Truncate(filepath.Join(old, "position.0"), 0))
	must(t, os.Truncate(filepath.Join(old, "position.1"), 0))
	d := openDir(t, old)
	if err := Move(d.Store(""), d.Store("new")); err == nil {
		t.Error("move: got nil")
	}
}
