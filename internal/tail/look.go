package tail

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// found is a file of the directory that belongs to the log, going by its name.
type found struct {
	path  string
	id    Identity
	size  int64
	mtime int64 // nanoseconds
	live  bool  // the log's path itself
	gone  bool  // no name leads to it any more
	file  *os.File
	err   error // why it can't be opened

	packed bool
	inside *packed // of a packed file, if it was looked into
}

// open opens the file, unless something else is at its path by now.
func (f *found) open() error {
	if f.file != nil {
		return nil
	}
	file, err := openRegular(f.path)
	if err != nil {
		return err
	}
	id, st, err := identify(file)
	if err == nil && id.key() != f.id.key() {
		err = fs.ErrNotExist // renamed in between: the next look finds it
	}
	if err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.size, f.mtime = file, st.Size, unix.TimespecToNsec(st.Mtim)
	return nil
}

// take hands the descriptor over to whoever will close it.
func (f *found) take() *os.File {
	file := f.file
	f.file = nil
	return file
}

// survey is what a look at the directory saw.
type survey struct {
	files  []*found
	closed []*found // those that are not known and can't be opened
	// live is why the log's path can't be read, rest why some other file can't.
	live, rest error
	// unsure says that it can't even be told which file the path names, unnamed why
	// that is so of some path, and hidden that what is not seen may be there.
	unsure, hidden bool
	unnamed        error
	left           []string // folders that rotated files went to and that are not there
}

func (s *survey) close() {
	for _, f := range s.files {
		if f.file != nil {
			_ = f.file.Close()
		}
	}
}

// survey lists the log's files and opens those that are not known. Where there
// are such it lists again until nothing has changed: a rename between reading the
// names and looking at the files can hide one, or show two in the wrong order.
// opened is what another survey has opened just before.
func (t *Tail) survey(opened map[string]*found) (*survey, error) {
	var before map[string]string
	for i := 0; ; i++ {
		s, names, err := t.list(opened)
		if err != nil {
			for _, f := range opened {
				_ = f.file.Close()
			}
			return nil, err
		}
		if len(opened) == 0 || maps.Equal(names, before) || i == 20 {
			return s, nil
		}
		before = names
	}
}

// list lists the log's files once, and which file each name leads to. opened is
// those that are not known, open; it is brought up to date.
func (t *Tail) list(opened map[string]*found) (*survey, map[string]string, error) {
	s := &survey{}
	paths, err := t.candidates(s)
	if err != nil {
		return nil, nil, err
	}
	keys, used := make(map[string]string), make(map[string]bool)
	for _, path := range paths {
		f, err := t.inspect(path, opened)
		if err != nil {
			s.blame(path == t.cfg.Path, err)
			if f != nil {
				f.err = err
				s.closed = append(s.closed, f)
			}
			continue
		}
		key := f.id.key()
		keys[path] = key
		if used[key] {
			continue // another name of the same file
		}
		used[key] = true
		s.files = append(s.files, f)
		if f.file != nil {
			opened[key] = f
		}
	}
	for key, f := range opened {
		if !used[key] {
			// Deleted since it was opened, or moved away: read all the same.
			f.live, f.gone = false, true
			if _, st, err := identify(f.file); err == nil {
				f.size, f.mtime = st.Size, unix.TimespecToNsec(st.Mtim)
			}
			s.files = append(s.files, f)
		}
	}
	if (len(s.files) == 0 || !s.files[0].live) && s.live == nil {
		s.live = &os.PathError{Op: "open", Path: t.cfg.Path, Err: unix.ENOENT}
	}
	return s, keys, nil
}

// inspect looks at one path, and opens the file if it is not known.
func (t *Tail) inspect(path string, opened map[string]*found) (*found, error) {
	live := path == t.cfg.Path
	f := &found{path: path, live: live, packed: !live && isPacked(path)}
	id, st, err := identifyPath(f.path)
	if err == nil {
		if err = regular(st); err != nil && !live {
			err = fs.ErrNotExist // a folder that happens to have such a name holds no lines
		}
	} else if !absent(err) {
		err = &unsureError{err}
	} else if !live {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	f.id, f.size, f.mtime = id, st.Size, unix.TimespecToNsec(st.Mtim)
	if !f.known(t, opened) {
		// By now the path may name another file. What was opened is what counts: it
		// may be gone when the path is looked at again.
		file, err := openRegular(f.path)
		if err != nil {
			return f, err
		}
		if f.id, st, err = identify(file); err != nil || f.known(t, opened) {
			_ = file.Close()
			return f, err
		}
		f.file, f.size, f.mtime = file, st.Size, unix.TimespecToNsec(st.Mtim)
	}
	return f, nil
}

// known tells whether the file need not be opened, and takes its descriptor if it
// was just now.
func (f *found) known(t *Tail, opened map[string]*found) bool {
	o := opened[f.id.key()]
	if o != nil {
		f.file = o.file
	}
	return o != nil || t.byFile[f.id.key()] != nil
}

// unsureError is why it can't be told which file a path names.
type unsureError struct{ error }

func (e *unsureError) Unwrap() error { return e.error }

// blame keeps why a file can't be read. One that went away is no trouble, unless
// it is the log itself.
func (s *survey) blame(live bool, err error) {
	var unsure *unsureError
	if errors.As(err, &unsure) {
		s.hidden, s.unnamed = true, err
	}
	switch {
	case live:
		s.live, s.unsure = err, unsure != nil
	case !errors.Is(err, fs.ErrNotExist) && s.rest == nil:
		s.rest = err
	}
}

// look looks at the directory: which files the log consists of now, which names
// they have, whether they still hold what was read. changed says that the
// current generation does not.
func (t *Tail) look(now time.Time, changed bool) {
	asked := changed || t.rescan || t.held
	t.scanned, t.rescan = now, false
	t.watch.ensure()
	at, sure := t.folder()
	if !asked && sure && t.unchanged(at) {
		t.mu.Lock()
		t.letGo(now)
		t.forget(now)
		t.mu.Unlock()
		return
	}
	t.listed, t.idle = listing{}, 0
	t.atRest.Store(-1)
	gone := t.outdated(now, changed)
	opened := make(map[string]*found)
	for again := true; again; {
		s, err := t.survey(opened)
		if err != nil {
			t.dirErr = err
			break
		}
		again = t.learn(s, gone, now)
		if s.live == nil && s.rest == nil && sure && !again && !t.rescan && !t.unsure {
			t.listed = at
		}
		t.dirErr, t.liveErr, t.restErr = nil, s.live, s.rest
		if !again {
			t.aim(s)
		}
		if !again {
			s.close()
		}
	}
	t.tell(now)
}

// outdated are the generations whose files do not hold any more what was read of
// them. This has to be known before the directory is listed: the copies of what
// was truncated by then are in the list.
func (t *Tail) outdated(now time.Time, changed bool) (gone []*generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	current, _ := t.current()
	for _, g := range t.gens {
		// Of a file whose turn has not come only a head may be known, from a copy.
		if !g.ended && (errors.Is(g.look(now), errChanged) || changed && g == current) {
			gone = append(gone, g)
		}
	}
	return gone
}

// learn takes in what a survey saw. It reports whether another one is needed at
// once.
func (t *Tail) learn(s *survey, gone []*generation, now time.Time) (again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started {
		before := t.searched
		// A file that a position is in and that can't be opened is not gone.
		if !t.begin(s, now) {
			return t.searched != before
		}
		t.started = true
	}
	unknown := t.recognise(s, now)
	t.held = false
	for _, g := range gone {
		f, err := t.continuation(s, g.state(), g.wrote)
		if err != nil {
			s.blame(false, err)
			t.held = true
			continue
		}
		unknown = t.truncated(g, f, unknown, now)
	}
	if !t.held {
		t.adopt(unknown, s, now)
	}
	t.letGo(now)
	t.forget(now)
	t.forgetFolders(s.left, now)
	t.measure(now)
	return false
}

// recognise updates what is known of the files seen and returns those that are
// not known: new ones, and ones that hold something else than what was read.
func (t *Tail) recognise(s *survey, now time.Time) (unknown []*found) {
	seen := make(map[*generation]bool)
	for _, g := range t.gens {
		g.wasLive, g.live = g.live, g.live && s.unsure
	}
	for _, f := range s.files {
		g := t.byFile[f.id.key()]
		if g == nil {
			unknown = append(unknown, f)
			continue
		}
		seen[g] = true
		g.name = f.path
		g.live = g.live || f.live && !g.ended && g.limit == 0
		if !g.ended || g.copied && f.size >= g.offset || f.size == g.offset || f.packed && !g.copied {
			continue
		}
		if err := f.open(); err != nil {
			s.blame(f.live, err)
			continue
		}
		if g.copied || holds(f.file, g.head, g.before, g.offset) != nil {
			unknown = append(unknown, f)
			continue
		}
		// A writer that had it open all the time, or opened it again.
		t.log.Warn().Str("file", f.path).Int64("bytes", f.size-g.offset).Msg("finished log file got more lines, reading them now")
		t.number(&generation{
			id: f.id, name: f.path, file: f.take(), live: f.live, head: g.head, trail: slices.Clone(g.trail),
			start: g.offset, startBefore: g.before, offset: g.offset, before: clone(g.before), size: f.size, grown: now,
		})
		seen[t.byFile[f.id.key()]] = true
	}
	for _, g := range t.gens {
		switch {
		case seen[g], s.hidden:
			g.missing = time.Time{}
		case g.missing.IsZero():
			g.missing = now
		}
		if g.wasLive && !g.live && !g.ended {
			t.counts.rotated[t.howRotated(g, seen[g])].Add(1)
		}
		if !seen[g] && !g.ended {
			t.wentTo(g)
		}
	}
	return unknown
}

// howRotated tells what became of a file that was the live one.
func (t *Tail) howRotated(g *generation, seen bool) rotation {
	if seen {
		return renamed
	}
	var st unix.Stat_t
	if g.file != nil && unix.Fstat(int(g.file.Fd()), &st) == nil && st.Nlink == 0 {
		return deleted
	}
	return moved
}

// forget drops finished files that have left the directory, once no State can
// need them.
func (t *Tail) forget(now time.Time) {
	kept := t.gens[:0]
	for _, g := range t.gens {
		superseded := t.byFile[g.id.key()] != g
		gone := !g.lost && !g.missing.IsZero() && now.Sub(g.missing) >= forgetAfter
		superseded = superseded && !(g.truncated && now.Sub(g.missing) < forgetAfter)
		if g.ended && g.number < t.settled && (superseded || gone) {
			if !superseded {
				delete(t.byFile, g.id.key())
			}
			continue
		}
		kept = append(kept, g)
	}
	clear(t.gens[len(kept):])
	t.gens = kept
}

// letGo closes the files of generations that have ended a while ago: until then a
// packed file that appears can be held against them.
func (t *Tail) letGo(now time.Time) {
	for _, g := range t.gens {
		if g.ended && g.file != nil && t.inspection == nil && now.Sub(g.endedAt) >= keepOpen {
			g.close()
		}
	}
}

// measure updates sizes, so that a rotated file that grows is not taken for a
// quiet one, and paths.
func (t *Tail) measure(now time.Time) {
	for _, g := range t.gens {
		if g.file == nil || g.ended {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(g.file.Fd()), &st) == nil && st.Size != g.size {
			g.size, g.grown = st.Size, now
		}
		g.seen = g.size
		if g.real = pathOf(g.file); isPacked(g.name) {
			g.real = ""
		}
	}
}
