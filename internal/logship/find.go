package logship

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"eventline/internal/tail"
)

const (
	// settled is how old a folder's last change has to be for the next one to show
	// in its times, relistEvery how often it is listed all the same.
	settled     = 3 * time.Second
	relistEvery = time.Minute
)

// isPattern tells whether a path is a pattern, in the sense of filepath.Match.
func isPattern(path string) bool { return strings.ContainsAny(path, `*?[\`) }

// finder knows which files the patterns name. It lists a folder only when that
// looks changed.
type finder struct {
	patterns []string
	watcher  *tail.Watcher
	changes  chan struct{} // gets one when a name came or went in a folder
	folders  map[string]*folder
	probed   map[string]bool // names that were asked for one by one, and which are there
	last     findings
}

// folder is what was seen in one.
type folder struct {
	word  *tail.Word
	seen  time.Time // when it was listed, zero if that proves nothing
	stat  unix.Stat_t
	names []string
	err   error
	used  bool
}

func newFinder(patterns []string, watcher *tail.Watcher) *finder {
	return &finder{
		patterns: patterns, watcher: watcher, changes: make(chan struct{}, 1),
		folders: make(map[string]*folder),
	}
}

// findings are what a look found.
type findings struct {
	paths   []string         // in order, each once
	empty   []string         // patterns that nothing matches
	trouble map[string]error // folders that can't be listed
	changed bool             // since the last look
}

// find looks for what the patterns name. The paths may be of anything: a folder, a
// file that went away just now.
func (f *finder) find(now time.Time) findings {
	if f.same(now) {
		f.last.changed = false
		return f.last
	}
	found := findings{trouble: make(map[string]error)}
	for _, d := range f.folders {
		d.used = false
	}
	before := f.probed
	f.probed = make(map[string]bool)
	seen := make(map[string]bool)
	for _, pattern := range f.patterns {
		any := false
		f.walk("/", strings.Split(strings.Trim(pattern, "/"), "/"), now, &found, func(path string) {
			any = true
			if !seen[path] {
				seen[path] = true
				found.paths = append(found.paths, path)
			}
		})
		if !any {
			found.empty = append(found.empty, pattern)
		}
	}
	for path, d := range f.folders {
		if !d.used {
			d.word.Leave()
			delete(f.folders, path)
		}
	}
	slices.Sort(found.paths)
	found.changed = found.changed || !maps.Equal(before, f.probed)
	f.last = found
	return found
}

// same tells whether nothing can have changed since the last look.
func (f *finder) same(now time.Time) bool {
	if f.probed == nil {
		return false
	}
	for dir, d := range f.folders {
		d.word.Ensure()
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); !d.same(st, err, now) {
			return false
		}
	}
	for path, there := range f.probed {
		var st unix.Stat_t
		if (unix.Lstat(path, &st) == nil) != there {
			return false
		}
	}
	return true
}

// same tells whether the folder looks as it did when it was listed.
func (d *folder) same(st unix.Stat_t, err error, now time.Time) bool {
	return err == nil && d.err == nil && !d.seen.IsZero() && now.Sub(d.seen) < relistEvery &&
		st.Dev == d.stat.Dev && st.Ino == d.stat.Ino && st.Mtim == d.stat.Mtim && st.Ctim == d.stat.Ctim
}

func (f *finder) walk(dir string, elements []string, now time.Time, found *findings, yield func(path string)) {
	element, rest := elements[0], elements[1:]
	if !isPattern(element) {
		path := filepath.Join(dir, element)
		if len(rest) > 0 {
			f.walk(path, rest, now, found, yield)
			return
		}
		_, err := os.Lstat(path)
		f.probed[path] = err == nil
		if err == nil {
			yield(path)
		}
		return
	}
	for _, name := range f.list(dir, now, found) {
		if ok, _ := filepath.Match(element, name); !ok {
			continue
		}
		path := filepath.Join(dir, name)
		if len(rest) > 0 {
			f.walk(path, rest, now, found, yield)
		} else {
			yield(path)
		}
	}
}

// list returns the names in a folder.
func (f *finder) list(dir string, now time.Time, found *findings) []string {
	d := f.folders[dir]
	if d == nil {
		d = &folder{word: f.watcher.Names(dir, f.changes)}
		f.folders[dir] = d
	}
	d.used = true
	d.word.Ensure()
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	if d.same(st, err, now) {
		return d.names
	}
	var names []string
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		names, err = readNames(dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		// It says nothing of what became of the files: they are as they were.
		found.trouble[dir] = err
		names = d.names
	}
	if !slices.Equal(names, d.names) {
		found.changed = true
	}
	d.names, d.err, d.stat, d.seen = names, err, st, time.Time{}
	if last := max(unix.TimespecToNsec(st.Mtim), unix.TimespecToNsec(st.Ctim)); now.UnixNano()-last >= int64(settled) {
		d.seen = now
	}
	return d.names
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// matches tells whether a path is one that the patterns name, if it is there.
func (f *finder) matches(path string) bool {
	return slices.ContainsFunc(f.patterns, func(pattern string) bool {
		ok, _ := filepath.Match(pattern, path)
		return ok
	})
}

// close ends all watches.
func (f *finder) close() {
	for _, d := range f.folders {
		d.word.Leave()
	}
	clear(f.folders)
}
