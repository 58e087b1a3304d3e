package tail

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

const (
	// mostRoutes bounds the names of a folder for which it is remembered whom they
	// concern.
	mostRoutes = 4096
	// reopenEvery is how often the kernel is asked again for what it refused.
	reopenEvery = 5 * time.Second
)

// Watcher is one inotify for many Tails and for whoever waits for files to appear:
// one watch a folder, each event told to those it concerns, by its name. Like a
// Tail's own it only ever saves time.
type Watcher struct {
	log zerolog.Logger

	adding sync.Mutex // held while the kernel is asked for a watch

	mu      sync.Mutex
	inotify *fsnotify.Watcher // nil if the kernel gives none, or Run does not run
	folders map[string]*folderWatch
	told    bool
}

// folderWatch is one folder and who listens to it.
type folderWatch struct {
	id     string // of the folder that is watched, "" if none
	asked  time.Time
	words  []*Word
	routes map[string][]*Word // by the name in the event

	// inotify has one watch for a folder, whatever its names. It tells by one of
	// them, to which the others belong.
	shares  *folderWatch
	sharers []*folderWatch
}

// alone ends that a watch is shared. Those who shared it have to ask for their own.
func (f *folderWatch) alone() {
	if of := f.shares; of != nil {
		of.sharers = slices.DeleteFunc(of.sharers, func(o *folderWatch) bool { return o == f })
		f.shares = nil
	}
	for _, o := range f.sharers {
		o.shares = nil
		o.reset()
	}
	f.sharers = nil
}

// reset makes everybody look at a folder, and ask for its watch.
func (f *folderWatch) reset() {
	f.id, f.asked = "", time.Time{}
	for _, x := range f.words {
		x.tell(true)
	}
}

// share lets a folder have the watch of another name of it, if there is one.
func (w *Watcher) share(f *folderWatch, id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	f.alone()
	for _, o := range w.folders {
		if o != f && o.shares == nil && id != "" && o.id == id {
			f.shares, f.id = o, id
			o.sharers = append(o.sharers, f)
			return true
		}
	}
	return false
}

// Word is what one listener hears of a folder.
type Word struct {
	watcher *Watcher
	dir     string
	base    string // "" hears of names only
	c       chan struct{}
	names   atomic.Bool // a name came, went or changed
	late    atomic.Bool // a rotated file was written
}

// NewWatcher returns a Watcher; it asks the kernel for nothing before Run.
func NewWatcher(log zerolog.Logger) *Watcher {
	return &Watcher{log: log, folders: make(map[string]*folderWatch)}
}

// Run hands events out until ctx ends, which is no error.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.close()
	for ctx.Err() == nil {
		in := w.open()
		if in == nil {
			sleep(ctx, reopenEvery)
			continue
		}
		w.serve(ctx, in)
	}
	return nil
}

func (w *Watcher) open() *fsnotify.Watcher {
	in, err := fsnotify.NewWatcher()
	if err != nil {
		w.complain(err)
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inotify = in
	w.everyone()
	return in
}

// close ends all watches.
func (w *Watcher) close() {
	w.mu.Lock()
	in := w.inotify
	w.inotify = nil
	for _, f := range w.folders {
		f.shares, f.sharers = nil, nil
		f.reset()
	}
	w.mu.Unlock()
	if in != nil {
		_ = in.Close()
	}
}

// serve hands out the events of one inotify until it fails.
func (w *Watcher) serve(ctx context.Context, in *fsnotify.Watcher) {
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-in.Errors:
			if !w.overflowed(err) {
				return
			}
		case e := <-in.Events:
			w.route(e)
			if w.drain(in) > burst {
				sleep(ctx, coalesce) // events pile up as one in the kernel meanwhile
			}
		}
	}
}

// drain hands out the events that are there and returns how many there were.
func (w *Watcher) drain(in *fsnotify.Watcher) int {
	n := 0
	for idle := 0; idle < 2 && n < mostRoutes; {
		select {
		case e := <-in.Events:
			w.route(e)
			n, idle = n+1, 0
		default:
			runtime.Gosched() // it may be about to hand out the next one
			idle++
		}
	}
	return n
}

// overflowed tells whether err only means that events are missing. Then everybody
// has to look.
func (w *Watcher) overflowed(err error) bool {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		w.complain(err)
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.everyone()
	return true
}

// complain says once that looking has to do.
func (w *Watcher) complain(err error) {
	w.mu.Lock()
	told := w.told
	w.told = true
	w.mu.Unlock()
	if !told {
		w.log.Warn().Err(err).Dur("rescan", pollEvery).Msg("kernel does not report file changes here, looking for them instead")
	}
}

// everyone has to look. The caller holds mu.
func (w *Watcher) everyone() {
	for _, f := range w.folders {
		for _, x := range f.words {
			x.tell(true)
		}
	}
}

// route tells an event to those it concerns.
func (w *Watcher) route(e fsnotify.Event) {
	names := e.Has(fsnotify.Create) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.folders[e.Name]; f != nil && names { // the folder itself
		f.alone()
		f.reset()
	}
	f := w.folders[filepath.Dir(e.Name)]
	if f == nil {
		return
	}
	name := filepath.Base(e.Name)
	f.tell(name, names)
	for _, o := range f.sharers {
		o.tell(name, names)
	}
}

// tell tells an event of a name to those it concerns.
func (f *folderWatch) tell(name string, names bool) {
	to, ok := f.routes[name]
	if !ok {
		to = f.route(name)
	}
	for _, x := range to {
		switch {
		case names:
			x.tell(true)
		case x.base != "":
			if x.base != name {
				x.late.Store(true)
			}
			x.tell(false)
		}
	}
}

// route works out whom a name concerns.
func (f *folderWatch) route(name string) []*Word {
	var to []*Word
	for _, x := range f.words {
		if x.base == "" || x.base == name || isRotated(x.base, name) {
			to = append(to, x)
		}
	}
	if f.routes == nil || len(f.routes) >= mostRoutes {
		f.routes = make(map[string][]*Word)
	}
	f.routes[name] = to
	return to
}

// Names listens to a folder for names that come, go or change: then c, which has
// to have room for one, gets one. That may also be for nothing. Leave when done.
func (w *Watcher) Names(dir string, c chan struct{}) *Word { return w.join(dir, "", c) }

func (w *Watcher) join(dir, base string, c chan struct{}) *Word {
	x := &Word{watcher: w, dir: dir, base: base, c: c}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.folders[dir]
	if f == nil {
		f = &folderWatch{}
		w.folders[dir] = f
	}
	f.words, f.routes = append(f.words, x), nil
	return x
}

// Leave ends the listening; the last to leave a folder ends its watch.
func (x *Word) Leave() {
	w := x.watcher
	w.adding.Lock()
	defer w.adding.Unlock()
	w.mu.Lock()
	f := w.folders[x.dir]
	f.words, f.routes = slices.DeleteFunc(f.words, func(y *Word) bool { return x == y }), nil
	in, last := w.inotify, len(f.words) == 0
	if last {
		f.alone()
		delete(w.folders, x.dir)
	}
	w.mu.Unlock()
	if last && in != nil {
		_ = in.Remove(x.dir)
	}
}

func (x *Word) tell(names bool) {
	if names {
		x.names.Store(true)
	}
	select {
	case x.c <- struct{}{}:
	default:
	}
}

// Ensure watches the folder that the path names now, which may be another one
// than before. Whoever listens to it asks again and again; it
// costs little while nothing has changed.
func (x *Word) Ensure() {
	w := x.watcher
	w.adding.Lock()
	defer w.adding.Unlock()
	now := time.Now()
	w.mu.Lock()
	f, in := w.folders[x.dir], w.inotify
	due := in != nil && now.Sub(f.asked) >= rescanEvery
	was := f.id
	if due {
		f.asked = now
	}
	w.mu.Unlock()
	if !due {
		return
	}
	watched := ""
	if id, _, err := identifyPath(x.dir); err == nil {
		watched = id.key() // else looking at it says what is wrong
	}
	if watched == was || w.share(f, watched) {
		return
	}
	_ = in.Remove(x.dir) // of an old folder; it is an error if there was none
	if watched != "" {
		if err := in.Add(x.dir); err != nil {
			watched = ""
			w.complain(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inotify == in {
		f.id = watched
	}
}

// works tells whether changes of the folder are reported.
func (x *Word) works() bool {
	w := x.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inotify != nil && w.folders[x.dir].id != ""
}
