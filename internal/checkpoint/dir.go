package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Dir is a state directory, locked for this process, in which any number of values
// lie in folders of their own.
type Dir struct {
	path string
	lock *os.File
}

// OpenDir makes the directory if it is not there and locks it until Close. If
// another process has it the error is an *InUseError.
func OpenDir(path string) (*Dir, error) {
	if err := MakeDir(path); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, lock: f}, nil
}

// Unlocked is a state directory to look into, beside the process that has it. What it
// stores is there as a whole or not at all; nothing may be saved.
func Unlocked(path string) *Dir { return &Dir{path: path} }

// Close gives the directory free.
func (d *Dir) Close() error { return d.lock.Close() }

// Store returns the value in the folder of that name, which the first Save makes;
// "" is the one in the directory itself.
func (d *Dir) Store(name string) *Store {
	return &Store{dir: filepath.Join(d.path, name), now: time.Now}
}

// Names lists the folders in one of the directory's, none if it is not there.
func (d *Dir) Names(in string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.path, in))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Move puts the value of one Store in the place of another's, which has none, and
// leaves nothing behind. It blocks until that is on the disk. After a crash at any
// moment doing it again ends it: the value is there in one of the two places, or
// in both.
func Move(from, to *Store) error {
	here, _, err := from.Load()
	if err != nil {
		return err
	}
	there, _, err := to.Load()
	if err != nil {
		return err
	}
	if here != nil && there == nil {
		if err := to.SaveBoth(here); err != nil {
			return err
		}
	}
	return from.Remove()
}

// Remove deletes the value. Load then finds a first start.
func (s *Store) Remove() error {
	// The marker first: slots without it are found again, a marker without slots
	// would be an error.
	for _, names := range [][]string{{markerName}, slotNames[:]} {
		for _, name := range names {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove checkpoint: %w", err)
			}
		}
		if err := syncDir(s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove checkpoint: %w", err)
		}
	}
	s.last, s.next, s.loaded, s.marked = 0, 0, false, false
	return nil
}
