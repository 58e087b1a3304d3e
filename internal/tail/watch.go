package tail

import (
	"errors"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// watch is the kernel's word that something in the directory changed. It only
// ever saves time: everything is found by looking, too.
type watch struct {
	dir     string
	log     zerolog.Logger
	watcher *fsnotify.Watcher // nil if the kernel gives none
	id      string            // of the directory that is watched, "" if none
	told    bool
	poll    bool  // never ask the kernel
	word    *Word // where a Watcher listens for this Tail and others; nil if not
}

// newWatch returns a watch of no directory yet.
func newWatch(dir string, log zerolog.Logger, poll bool) *watch {
	w := &watch{dir: dir, log: log, poll: poll}
	w.open()
	return w
}

func (w *watch) open() {
	if w.poll {
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.complain(err)
		return
	}
	w.watcher = watcher
}

// complain says once that looking has to do.
func (w *watch) complain(err error) {
	if !w.told {
		w.told = true
		w.log.Warn().Err(err).Dur("rescan", pollEvery).Msg("kernel does not report file changes here, looking for them instead")
	}
}

// ensure watches the directory that the path names now, which may be another one
// than before.
func (w *watch) ensure() {
	if w.word != nil {
		w.word.Ensure()
		return
	}
	id, _, err := identifyPath(w.dir)
	if err != nil {
		w.id = ""
		return // looking at it says what is wrong
	}
	if w.id == id.key() {
		return
	}
	if w.watcher == nil {
		if w.open(); w.watcher == nil {
			return
		}
	}
	_ = w.watcher.Remove(w.dir) // of an old directory; it is an error if there was none
	if err := w.watcher.Add(w.dir); err != nil {
		w.id = ""
		w.complain(err)
		return
	}
	w.id = id.key()
}

// works tells whether changes are reported.
func (w *watch) works() bool {
	if w.word != nil {
		return w.word.works()
	}
	return w.id != ""
}

// failed takes an error of the watcher. After an overflow events are missing,
// which the look that follows makes good; anything else ends the watch.
func (w *watch) failed(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		return
	}
	w.complain(err)
	w.close()
	w.watcher, w.id = nil, ""
}

func (w *watch) close() {
	if w.word != nil {
		w.word.Leave()
	}
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

func (w *watch) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}

// heard is ready when a Watcher has something for us.
func (w *watch) heard() <-chan struct{} {
	if w.word == nil {
		return nil
	}
	return w.word.c
}

// hear takes what a Watcher has told.
func (t *Tail) hear() {
	t.idle = 0
	t.atRest.Store(-1)
	if t.watch.word.names.Swap(false) {
		t.rescan = true
		t.unfollow("folder changed", 0)
	}
	if t.watch.word.late.Swap(false) && !t.rescan {
		t.rescan = t.lateLines()
	}
}

// lateLines tells whether a finished file may have got more lines.
func (t *Tail) lateLines() bool {
	for _, g := range t.gens {
		if !g.ended || isPacked(g.name) || !g.missing.IsZero() || t.byFile[g.id.key()] != g {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(g.name, &st) == nil && (st.Size < g.offset || st.Size > g.offset && !g.copied) {
			return true
		}
	}
	return t.empty
}

// event takes one event. Only a change of names asks for a look; a write is
// found by reading on.
func (t *Tail) event(e fsnotify.Event) {
	name := filepath.Base(e.Name)
	if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Remove) && !e.Has(fsnotify.Rename) {
		t.late = t.late || e.Has(fsnotify.Write) && name != t.base && isRotated(t.base, name)
		return
	}
	if filepath.Clean(e.Name) == t.dir {
		t.watch.id = "" // it has ended, though the folder may be back
	}
	if name == t.base || isRotated(t.base, name) || filepath.Clean(e.Name) == t.dir {
		t.rescan = true
		t.unfollow("folder changed", 0)
	}
}

// drainEvents takes the events that are there, at most some: a busy directory
// must not keep us from reading.
func (t *Tail) drainEvents() {
	for range 64 {
		select {
		case e := <-t.watch.events():
			t.event(e)
		case <-t.watch.heard():
			t.hear()
		case err := <-t.watch.errors():
			t.watch.failed(err)
			t.rescan = true
		default:
			return
		}
	}
}
