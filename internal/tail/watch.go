package tail

import (
	"context"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// watch wakes the reader: at once by inotify where that works, in any case
// after pollEvery, because inotify says nothing of what other hosts do and drops
// events when it overflows.
type watch struct {
	dir     string
	log     zerolog.Logger
	notify  *fsnotify.Watcher // nil where it does not work
	watched os.FileInfo       // the directory that is watched; nil if none
	renamed bool              // something was created, renamed or removed
	timer   *time.Timer
}

func newWatch(dir string, log zerolog.Logger) *watch {
	w := &watch{dir: dir, log: log, timer: time.NewTimer(pollEvery)}
	n, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn().Err(err).Stringer("every", pollEvery).Msg("no inotify, looking for new lines by polling")
		return w
	}
	w.notify = n
	w.follow()
	return w
}

func (w *watch) close() {
	w.timer.Stop()
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

// follow watches the directory, and another one that has taken its place.
func (w *watch) follow() {
	if w.notify == nil {
		return
	}
	info, err := os.Stat(w.dir)
	if err != nil || w.watched != nil && os.SameFile(info, w.watched) {
		return
	}
	if w.watched != nil {
		_ = w.notify.Remove(w.dir)
	}
	w.watched = nil
	if w.notify.Add(w.dir) == nil {
		w.watched = info
		w.renamed = true
	}
}

// structural tells whether files came, went or changed their names since it was
// asked last.
func (w *watch) structural() bool {
	w.drain()
	r := w.renamed
	w.renamed = false
	return r
}

func (w *watch) drain() {
	if w.notify == nil {
		return
	}
	for {
		select {
		case e := <-w.notify.Events:
			w.note(e)
		case <-w.notify.Errors: // an overflow; the scan after each wait makes up for it
			w.renamed = true
		default:
			return
		}
	}
}

func (w *watch) note(e fsnotify.Event) {
	if e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		w.renamed = true
	}
}

// wait blocks until there may be something new; false if ctx ended.
func (w *watch) wait(ctx context.Context) bool {
	w.follow()
	w.timer.Reset(pollEvery)
	var events chan fsnotify.Event
	var errs chan error
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.timer.C:
		return true
	case e := <-events:
		w.note(e)
	case <-errs:
		w.renamed = true
	}
	// Writers write in bursts: read once for all of one.
	w.timer.Reset(coalesce)
	select {
	case <-ctx.Done():
		return false
	case <-w.timer.C:
	}
	w.drain()
	return true
}
