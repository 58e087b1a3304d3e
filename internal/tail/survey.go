package tail

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

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
	moved          map[*generation]bool // those whose rest was found in a copy in this look
	left           []string             // folders that rotated files went to and that are not there
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
	var all, unknown []*found
	for _, path := range paths {
		f, err := t.inspect(path)
		if err != nil {
			s.blame(path == t.cfg.Path, err)
			continue
		}
		all = append(all, f)
		if f.known(t, opened) {
			continue
		}
		unknown = append(unknown, f)
		if !t.full {
			f.openUnlessKnown(t, opened) // at once: a moment later its path may be another one
		}
	}
	if t.full = t.full || slices.ContainsFunc(unknown, (*found).short); t.full {
		unknown = t.openByNeed(all, unknown, opened)
	}
	for _, f := range unknown {
		if f.err != nil {
			s.blame(f.live, f.err)
			s.closed = append(s.closed, f)
		}
	}
	keys, used := make(map[string]string), make(map[string]bool)
	for _, f := range all {
		if f.err != nil {
			continue
		}
		key := f.id.key()
		keys[f.path] = key
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

// short tells whether a file could not be opened for want of descriptors.
func (f *found) short() bool {
	return errors.Is(f.err, unix.EMFILE) || errors.Is(f.err, unix.ENFILE)
}

// openByNeed opens the files that are not known where descriptors are short, and
// returns them: those of the position first, and then the oldest. What is newer must
// not be read before them, so nothing is opened behind the first that can't be, and
// what was opened out of turn is closed.
func (t *Tail) openByNeed(all, unknown []*found, opened map[string]*found) []*found {
	for _, f := range unknown {
		if key := f.id.key(); opened[key] == f {
			_ = f.file.Close()
			delete(opened, key)
		}
	}
	unknown = nil
	for _, f := range all {
		if f.file, f.err = nil, nil; !f.known(t, opened) {
			unknown = append(unknown, f)
		}
	}
	t.sortByNeed(unknown)
	var short error
	for _, f := range unknown {
		if f.err = short; short == nil && !f.known(t, opened) { // else another name of one opened just now
			f.openUnlessKnown(t, opened)
		}
		if f.short() {
			short = f.err
		}
	}
	t.full = short != nil
	return unknown
}

// sortByNeed orders files by how much they are needed: those that a position is in,
// then by age. A first start at the end needs nothing but the live one.
func (t *Tail) sortByNeed(files []*found) {
	sortOldestFirst(files)
	if t.started {
		return
	}
	wanted := make(map[string]bool)
	if t.cfg.State != nil {
		for _, g := range t.cfg.State.Generations {
			wanted[g.File.key()] = wanted[g.File.key()] || !g.Done
		}
	}
	rank := func(f *found) int {
		if wanted[f.id.key()] || f.live && t.cfg.State == nil && t.cfg.From == End {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(files, func(a, b *found) int { return cmp.Compare(rank(a), rank(b)) })
}

// inspect looks at one path.
func (t *Tail) inspect(path string) (*found, error) {
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
	return f, nil
}

// openUnlessKnown opens a file, or keeps in err why it can't. By now its path may name
// another one: what was opened is what counts, which may be gone when the path is
// looked at again.
func (f *found) openUnlessKnown(t *Tail, opened map[string]*found) {
	file, err := openRegular(f.path)
	if f.err = err; err != nil {
		return
	}
	id, st, err := identify(file)
	if f.err = err; err == nil {
		if f.id = id; !f.known(t, opened) {
			f.file, f.size, f.mtime = file, st.Size, unix.TimespecToNsec(st.Mtim)
			opened[id.key()] = f
			return
		}
	}
	_ = file.Close()
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
