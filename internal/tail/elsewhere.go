package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// candidates lists the paths of what may be the log's files, the log's own first:
// a second name of the same file must not hide it. They are those with the right
// names in its folder and in folders that rotated files went to, and those that
// the position is in, wherever they were. Only the log's own folder has to be there;
// s is told of the others.
func (t *Tail) candidates(s *survey) ([]string, error) {
	names, err := readNames(t.dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	if slices.Contains(names, t.base) {
		paths = append(paths, t.cfg.Path)
	}
	for _, name := range names {
		if isRotated(t.base, name) {
			paths = append(paths, filepath.Join(t.dir, name))
		}
	}
	for _, dir := range t.folders {
		names, err := readNames(dir)
		switch {
		case absent(err):
			s.left = append(s.left, dir)
		case err != nil:
			s.hidden = true
			s.blame(false, err)
		}
		for _, name := range names {
			path := filepath.Join(dir, name)
			if isRotated(t.base, name) || name == t.base && t.ours(path) {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range t.elsewhere {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// absent tells whether an error says that there is nothing under a path.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// ours tells whether the file at a path is one of the log's, whatever its name.
func (t *Tail) ours(path string) bool {
	id, _, err := identifyPath(path)
	if err != nil {
		return false
	}
	return t.byFile[id.key()] != nil || !t.started && t.cfg.State != nil &&
		slices.ContainsFunc(t.cfg.State.Generations, func(g GenerationState) bool { return g.File.key() == id.key() })
}

// wentTo finds out where a file went that has left the folder, and remembers the
// folder: where one rotated file goes, others go too (logrotate's olddir). Not so the
// folder of another log of the same name.
func (t *Tail) wentTo(g *generation, now time.Time) {
	path := pathOf(g.file)
	if path == "" || path == g.name {
		return
	}
	g.name = path
	dir, name := filepath.Split(path)
	dir = filepath.Clean(dir)
	if dir == t.dir || slices.Contains(t.folders, dir) || len(t.folders) == maxFolders || name != t.base && !isRotated(t.base, name) {
		return
	}
	names, err := readNames(dir)
	if err != nil {
		t.log.Warn().Err(err).Str("folder", dir).Msg("log file went to a folder that can't be listed, what goes there while nothing reads it will not be found")
		return
	}
	if slices.Contains(names, t.base) && !t.ours(filepath.Join(dir, t.base)) {
		t.log.Warn().Str("folder", dir).Msg("log file went to the folder of another log of its name, not looking for others there")
		return
	}
	t.folders = append(t.folders, dir)
	old := t.leaveOutOld(dir, names, g, now)
	t.log.Info().Str("folder", dir).Int("left_out", old).Msg("rotated log files go to another folder, looking there too")
}

// leaveOutOld leaves out what was in a folder before the first file of ours that went
// there, by the time of last writing: archives from before the log was read for the
// first time.
func (t *Tail) leaveOutOld(dir string, names []string, first *generation, now time.Time) (n int) {
	_, st, err := identify(first.file)
	if err != nil {
		return 0
	}
	for _, name := range names {
		f := &found{path: filepath.Join(dir, name)}
		id, of, err := identifyPath(f.path)
		if !isRotated(t.base, name) || err != nil || regular(of) != nil || t.byFile[id.key()] != nil ||
			unix.TimespecToNsec(of.Mtim) >= unix.TimespecToNsec(st.Mtim) {
			continue
		}
		f.id, f.size = id, of.Size
		t.leaveOut(f, now)
		n++
	}
	return n
}

// forgetFolders drops folders that have not been there for a while.
func (t *Tail) forgetFolders(left []string, now time.Time) {
	since := make(map[string]time.Time)
	for _, dir := range left {
		at, known := t.leftSince[dir]
		switch {
		case !known:
			since[dir] = now
		case now.Sub(at) < forgetAfter:
			since[dir] = at
		default:
			t.folders = slices.DeleteFunc(t.folders, func(f string) bool { return f == dir })
			t.log.Info().Str("folder", dir).Msg("folder of rotated log files has gone, not looking there any more")
		}
	}
	t.leftSince = since
}

// maxFolders is how many folders of rotated files are remembered.
const maxFolders = 8

// pathOf returns the path that an open file has now, "" if it was deleted or that
// can't be told.
func pathOf(f *os.File) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil || strings.HasSuffix(path, " (deleted)") || !filepath.IsAbs(path) {
		return ""
	}
	return path
}
