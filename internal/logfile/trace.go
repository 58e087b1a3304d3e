package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Generations lists the file at path and those beside it whose names begin like it, which is what log
// rotation makes of it: events.log, events.log.1, events.log-20261122. Compressed ones are in the list
// too. An error is one of the folder; a missing folder has no files.
func Generations(path string) ([]string, error) {
	folder, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(folder))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for log files: %w", err)
	}
	var found []string
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), base) {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found, nil
}

// Find returns which of the generations of path is the file of a [Mark]; "" if none is any more.
func Find(path string, m Mark) (string, error) {
	files, err := Generations(path)
	if err != nil {
		return "", err
	}
	for _, file := range append([]string{path}, files...) {
		var st unix.Stat_t
		if retryEINTR(func() error { return unix.Stat(file, &st) }) != nil {
			continue
		}
		if identityOf(&st) == (identity{m.Dev, m.Ino}) {
			return file, nil
		}
	}
	return "", nil
}

// Whole returns how many bytes of the file are whole lines, how many behind them are not, and the last of
// the whole lines that fit into so many bytes.
func Whole(file string, tail int64) (size, half int64, last []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, nil, err
	}
	if half, err = unterminated(f, info.Size()); err != nil {
		return 0, 0, nil, fmt.Errorf("read %q: %w", file, err)
	}
	size = info.Size() - half
	last = make([]byte, min(tail, size))
	if _, err := f.ReadAt(last, size-int64(len(last))); err != nil && err != io.EOF {
		return 0, 0, nil, err
	}
	if int64(len(last)) < size { // it begins in the middle of a line
		_, last, _ = bytes.Cut(last, []byte{'\n'})
	}
	return size, half, last, nil
}

// CutHalf cuts an unterminated line off a file that is no longer written.
func CutHalf(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = repair(int(f.Fd()))
	return err
}
