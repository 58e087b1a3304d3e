// Package checkpoint keeps one small value in a directory so that it survives
// kill -9 and power loss: after a crash at any moment the directory holds the
// last saved value or the one before it, never a mixture and never nothing.
//
// Two slots are written in turn, each as a temporary file that is synced,
// renamed over the slot, and made durable by syncing the directory. What was
// damaged since is found by a checksum and reported; what can't be decided is
// refused. Nothing here starts again from zero by itself: a directory that was
// used before and holds no readable slot is an error for a person.
package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var slotNames = [2]string{"position.0", "position.1"}

// markerName is a file that says that a slot was saved here once. It tells a
// first start from a directory whose slots were lost.
const (
	markerName = "used"
	markerText = "A position was kept in this directory. Without its files it is not begun anew by itself.\n"
)

// Store is a directory that holds one value. Load comes first, then any number of
// Saves. It is not safe for concurrent use.
type Store struct {
	dir    string
	lock   io.Closer // nil if the lock is another's
	last   uint64    // sequence of the newest slot
	next   int       // index of the slot to write next
	loaded bool
	marked bool
	now    func() time.Time
	saved  time.Time // the value that was loaded
}

// Open makes the directory if it is not there and locks it until Close. If
// another process has it the error is an *InUseError.
func Open(dir string) (*Store, error) {
	d, err := OpenDir(dir)
	if err != nil {
		return nil, err
	}
	s := d.Store("")
	s.lock = d
	return s, nil
}

// Close gives the directory free, if Open made the Store.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// Dir is the directory's path.
func (s *Store) Dir() string { return s.dir }

// found is what reading one slot gave.
type found struct {
	slot
	modified time.Time
	err      error
}

// Load returns the newest value that is intact; nil at a first start. findings
// says in words what was wrong with a slot that was passed over, for the log. An
// error means that the directory can't be trusted, and that a person has to
// decide: starting from zero would send everything again.
func (s *Store) Load() (payload []byte, findings []string, err error) {
	var slots [2]found
	for i := range slots {
		slots[i] = s.read(i)
		var newer *VersionError
		if errors.As(slots[i].err, &newer) {
			return nil, nil, fmt.Errorf("read checkpoint %q: %w", s.path(i), newer)
		}
	}
	s.marked, err = s.isMarked()
	if err != nil {
		return nil, nil, fmt.Errorf("read state directory: %w", err)
	}
	best := -1
	for i, f := range slots {
		if f.err == nil && (best < 0 || f.sequence > slots[best].sequence) {
			best = i
		}
	}
	if best < 0 {
		if err := s.nothing(slots); err != nil {
			return nil, nil, err
		}
		s.loaded = true
		return nil, nil, nil
	}
	good, other := slots[best], slots[1-best]
	// The very first save leaves the other slot empty in good order.
	if other.err != nil && (good.sequence > 1 || !errors.Is(other.err, fs.ErrNotExist)) {
		findings = append(findings, fmt.Sprintf("read checkpoint %q: %s; using %q%s",
			slotNames[1-best], words(other.err), slotNames[best], older(good, other)))
	}
	s.last, s.next, s.loaded, s.saved = good.sequence, 1-best, true, good.modified
	return good.payload, findings, nil
}

// Saved is when the value that Load returned was stored.
func (s *Store) Saved() time.Time { return s.saved }

// nothing decides what it means that no slot is good: nil for a first start.
func (s *Store) nothing(slots [2]found) error {
	missing := errors.Is(slots[0].err, fs.ErrNotExist) && errors.Is(slots[1].err, fs.ErrNotExist)
	if missing && !s.marked {
		return nil
	}
	remedy := fmt.Sprintf("restore one of them from a backup, or empty %s to begin anew (sends again what was sent already)", s.dir)
	if missing {
		return fmt.Errorf("read checkpoint: %s was in use before, but its files %q and %q are gone; %s", s.dir, slotNames[0], slotNames[1], remedy)
	}
	return fmt.Errorf("read checkpoint: no usable file in %s: %q: %s; %q: %s; %s", s.dir,
		slotNames[0], words(slots[0].err), slotNames[1], words(slots[1].err), remedy)
}

// words shortens an error whose file the message names anyway.
func words(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// older says how much older the good slot is than the one passed over, going by
// the time that file was last written.
func older(good, bad found) string {
	age := bad.modified.Sub(good.saved)
	if bad.modified.IsZero() || age <= 0 {
		return ""
	}
	if age >= time.Second {
		age = age.Round(time.Second)
	} else {
		age = age.Round(time.Millisecond)
	}
	return fmt.Sprintf(" (%s older)", age)
}

func (s *Store) read(i int) found {
	f, err := os.Open(s.path(i))
	if err != nil {
		return found{err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return found{err: err}
	}
	data, err := io.ReadAll(io.LimitReader(f, headerSize+maxPayload+1))
	if err != nil {
		return found{modified: info.ModTime(), err: err}
	}
	sl, err := decode(data)
	return found{slot: sl, modified: info.ModTime(), err: err}
}

// Save makes payload the value that the next Load returns. It blocks until the
// value is on the disk. After an error the value saved before is still there,
// and Save may be tried again.
func (s *Store) Save(payload []byte) error {
	if !s.loaded {
		return errors.New("save checkpoint: not loaded yet")
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("save checkpoint: %d bytes are more than %d", len(payload), maxPayload)
	}
	if err := MakeDir(s.dir); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	data := slot{sequence: s.last + 1, saved: s.now(), payload: payload}.encode()
	if _, err := Replace(s.path(s.next), bytes.NewReader(data)); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	s.last++
	s.next = 1 - s.next
	if !s.marked {
		// Only now: a marker without a slot would refuse an honest first start.
		if _, err := Replace(filepath.Join(s.dir, markerName), strings.NewReader(markerText)); err != nil {
			return fmt.Errorf("save checkpoint: %w", err)
		}
		s.marked = true
	}
	return nil
}

// SaveBoth is Save into both slots: after it, no earlier value is ever gone back to,
// whichever slot is damaged. After an error it is not known how far it came, and it
// has to be tried again before anything rests on it.
func (s *Store) SaveBoth(payload []byte) error {
	if err := s.Save(payload); err != nil {
		return err
	}
	return s.Save(payload)
}

func (s *Store) isMarked() (bool, error) {
	_, err := os.Stat(filepath.Join(s.dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) path(i int) string { return filepath.Join(s.dir, slotNames[i]) }
