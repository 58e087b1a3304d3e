package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// candidates lists the paths of what may be the log's files, the log's own first:
// a second name of the same file must not hide it. They are those with the right
// names in its folder and in folders that rotated files went to, and those that
// the position is in, wherever they were.
func (t *Tail) candidates() ([]string, error) {
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
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, name := range names {
			if name == t.base || isRotated(t.base, name) {
				paths = append(paths, filepath.Join(dir, name))
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

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// wentTo finds out where a file went that has left the folder, and remembers the
// folder: where one rotated file goes, others go too (logrotate's olddir).
func (t *Tail) wentTo(g *generation) {
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
	t.folders = append(t.folders, dir)
	t.log.Info().Str("folder", dir).Msg("rotated log files go to another folder, looking there too")
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
