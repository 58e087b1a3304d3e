package torture

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Style is a way of rotating.
type Style string

// The styles. Where a writer reopens late it goes on writing to the renamed file.
const (
	NoRotation   Style = "none"
	Rename       Style = "rename"       // the writer itself renames, and creates at once
	Create       Style = "create"       // logrotate renames to .1, .2, …; the writer reopens late
	DateExt      Style = "dateext"      // the same with dates in the names
	OldDir       Style = "olddir"       // the same into another folder of the file system
	CopyTruncate Style = "copytruncate" // logrotate copies and truncates
	Delete       Style = "delete"       // deleted and created
	Truncate     Style = "truncate"     // truncated in place
	Mixed        Style = "mixed"        // any of these, at random
)

// Styles are all of them.
var Styles = []Style{NoRotation, Rename, Create, DateExt, OldDir, CopyTruncate, Delete, Truncate, Mixed}

const (
	// keep is how many rotated files are kept at least; the others are deleted
	// once they were read.
	keep = 4
	// leastCopy is the least size of what is copied and truncated: tail takes a
	// smaller copy for a file of its own.
	leastCopy = 512
	// straggle is the time between two lines of a writer that writes on.
	straggle = 100 * time.Microsecond
)

// rotated is a file that was the log, or a copy of it.
type rotated struct {
	path  string
	short bool // .1, .2, …: the number grows at each rotation
	inode *inode
	epoch *epoch // of a copy, where inode is nil
}

// rotator rotates the log that a writer writes.
type rotator struct {
	*folder
	style    Style
	without  Style         // left out of Mixed
	interval time.Duration // 0 for 5 ms to 5 s at random
	writer   *writer
	rng      *rand.Rand
	// whole is whether a second writer may write into the file, which takes whole
	// lines.
	whole bool
	// held tells whether the reader has a file open. It is asked, and the file
	// deleted, while the reader is not killed: inLife sees to that.
	held   func(path string) bool
	inLife func(do func() error) error

	files     []rotated  // newest first
	n         int        // rotations
	straggler chan error // holds one while no writer writes on
	straggled bool

	knowsOldDir bool // the reader does
}

// run rotates until stop is closed.
func (r *rotator) run(stop <-chan struct{}) (err error) {
	r.straggler = make(chan error, 1)
	r.straggler <- nil
	defer func() { err = errors.Join(err, <-r.straggler) }()
	for {
		wait := r.interval
		if wait == 0 { // as often around 10 ms as around 1 s
			wait = time.Duration(float64(5*time.Millisecond) * math.Pow(1000, r.rng.Float64()))
		}
		if !pause(stop, wait) {
			return nil
		}
		style := r.style
		for style == Mixed || style == r.without {
			style = Styles[1+r.rng.IntN(len(Styles)-2)]
		}
		// What is empty is not rotated, as by logrotate's notifempty.
		r.mu.Lock()
		size := int64(0)
		if r.live != nil {
			size = r.live.epoch.size
		}
		r.mu.Unlock()
		if size == 0 || style == CopyTruncate && size < leastCopy {
			continue
		}
		if err := r.rotate(style, wait, stop); err != nil {
			return fmt.Errorf("rotation %d, %s: %w", r.n, style, err)
		}
		if err := r.prune(); err != nil {
			return err
		}
	}
}

func (r *rotator) rotate(style Style, wait time.Duration, stop <-chan struct{}) error {
	if err := r.settle(stop); err != nil {
		return err
	}
	r.n++
	late := time.Duration(r.rng.Int64N(int64(min(wait, 200*time.Millisecond)))) / 2
	switch style {
	case Rename:
		return r.byWriter(stop, func(w *writer) error {
			if err := w.close(); err != nil {
				return err
			}
			if err := r.rename(r.dated()); err != nil {
				return err
			}
			h, err := w.open()
			if err == nil {
				h.buffered, w.handle = w.buffered, h
			}
			return err
		})
	case Create, DateExt, OldDir:
		to := r.dated()
		if style == Create {
			if err := r.shift(); err != nil {
				return err
			}
			to = rotated{path: r.path + ".1", short: true}
		} else if style == OldDir {
			to.path = filepath.Join(r.dir, "old", filepath.Base(to.path))
		}
		if style == OldDir && !r.knowsOldDir {
			return r.showOldDir(to, wait, late, stop)
		}
		if err := r.rename(to); err != nil {
			return err
		}
		return r.recreate(wait, late, stop)
	case Delete:
		if err := r.hide(r.delete); err != nil {
			return err
		}
		return r.recreate(wait, late, stop)
	case CopyTruncate:
		return r.copyTruncate()
	case Truncate:
		return r.truncateLive(0, truncated)
	}
	return errors.New("no such style")
}

// dated is a name with a date that grows with each rotation.
func (r *rotator) dated() rotated {
	return rotated{path: fmt.Sprintf("%s-20261122%06d", r.path, r.n)}
}

// shift makes room for a new .1.
func (r *rotator) shift() error {
	short := 0
	for _, f := range r.files {
		if f.short {
			short++
		}
	}
	for i := len(r.files) - 1; i >= 0; i-- {
		if f := &r.files[i]; f.short {
			to := fmt.Sprintf("%s.%d", r.path, short+1)
			if err := os.Rename(f.path, to); err != nil {
				return err
			}
			f.path = to
			short--
		}
	}
	return nil
}

func (r *rotator) rename(to rotated) error {
	n, err := r.unlink(func() error { return os.Rename(r.path, to.path) })
	to.inode = n
	r.files = slices.Insert(r.files, 0, to)
	return err
}

func (r *rotator) delete() error {
	_, err := r.unlink(func() error { return os.Remove(r.path) })
	return err
}

// hide takes the log away by what do does. What the reader has not opened by then
// is lost.
func (r *rotator) hide(do func() error) error {
	return r.inLife(func() error {
		held := r.held(r.path)
		r.mu.Lock()
		e := r.live.epoch
		r.mu.Unlock()
		if err := do(); err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		e.gone = true
		if !held {
			r.excuse(e, r.unread(e), deleted)
		}
		return nil
	})
}

// showOldDir moves the first file to the other folder under a reader's eyes, which
// is not killed until it has seen that: tail's DESIGN.md says that it does not know
// a folder that a file went to for the first time while nobody looked.
func (r *rotator) showOldDir(to rotated, wait, late time.Duration, stop <-chan struct{}) error {
	return r.inLife(func() error {
		if !r.held(r.path) {
			return nil // next time
		}
		e := r.live.epoch // only a rotator changes it
		if err := r.rename(to); err != nil {
			return err
		}
		if err := r.recreate(wait, late, stop); err != nil {
			return err
		}
		for i := 0; i < 60_000 && !r.knowsOldDir && pause(stop, time.Millisecond); i++ {
			r.mu.Lock()
			r.knowsOldDir = r.passed(e)
			r.mu.Unlock()
		}
		return nil
	})
}

// recreate creates the log, or leaves that to the writer, who reopens after some
// time. Another writer may go on in the old file a little longer.
func (r *rotator) recreate(wait, late time.Duration, stop <-chan struct{}) error {
	if r.rng.IntN(3) > 0 {
		r.mu.Lock()
		err := r.create()
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
	pause(stop, late)
	second := r.whole && r.rng.IntN(3) == 0
	return r.byWriter(stop, func(w *writer) error {
		if !second {
			return w.reopen()
		}
		old := w.handle
		h, err := r.open()
		if err != nil {
			return err
		}
		w.handle = h
		r.straggled = true
		go r.writeOn(old, r.rng.IntN(2+int(min(wait/4, 4*time.Millisecond)/straggle)), <-r.straggler)
		return nil
	})
}

// settle waits for the writer that writes on, and writes a line to the newer file
// after it: nothing but the time of last writing tells which of two files is the
// older one where both are found at once.
func (r *rotator) settle(stop <-chan struct{}) error {
	err := <-r.straggler
	r.straggler <- nil
	if err != nil || !r.straggled {
		return err
	}
	r.straggled = false
	return r.byWriter(stop, func(w *writer) error { return w.put() })
}

// writeOn writes some more lines to a file.
func (r *rotator) writeOn(h *handle, lines int, failed error) {
	err := failed
	for range lines {
		err = errors.Join(err, h.put())
		time.Sleep(straggle)
	}
	r.straggler <- errors.Join(err, h.close())
}

// copyTruncate copies as logrotate does: until there is no more, and then it
// truncates. What is written in between is lost.
func (r *rotator) copyTruncate() error {
	to := r.dated()
	if r.rng.IntN(2) == 0 {
		if err := r.shift(); err != nil {
			return err
		}
		to = rotated{path: r.path + ".1", short: true}
	}
	from, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	kept, err := io.Copy(struct{ io.Writer }{f}, struct{ io.Reader }{from})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	r.mu.Lock()
	to.epoch = r.live.epoch
	r.mu.Unlock()
	r.files = slices.Insert(r.files, 0, to)
	if r.rng.IntN(4) == 0 {
		time.Sleep(time.Duration(r.rng.Int64N(int64(2 * time.Millisecond))))
	}
	return r.truncateLive(kept, window)
}

// truncateLive truncates the log, of which the first bytes are kept in a copy.
func (r *rotator) truncateLive(kept int64, why cause) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Truncate(r.path, 0); err != nil {
		return err
	}
	r.truncate(r.live.epoch, kept, why)
	r.live.epoch = r.begin()
	return nil
}

// byWriter has the writer do something between two lines.
func (r *rotator) byWriter(stop <-chan struct{}, do func(w *writer) error) error {
	done := make(chan error, 1)
	select {
	case r.writer.tasks <- func() { done <- do(r.writer) }:
		return <-done
	case <-stop:
		return nil
	}
}

// prune deletes the oldest files that the reader is done with.
func (r *rotator) prune() error {
	for len(r.files) > keep {
		f := r.files[len(r.files)-1]
		e := f.epoch
		if e == nil {
			e = f.inode.epoch
		}
		r.mu.Lock()
		passed := r.passed(e)
		r.mu.Unlock()
		if !passed {
			return nil
		}
		if err := os.Remove(f.path); err != nil {
			return err
		}
		r.files = r.files[:len(r.files)-1]
	}
	return nil
}

// pause waits, and reports whether stop was not closed meanwhile.
func pause(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}
