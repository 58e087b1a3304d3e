package logship

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"eventline/internal/checkpoint"
)

// hostName is the file that says of which machine and folder a state directory is.
const hostName = "host"

// host is where a state directory is used. A copy of it somewhere else would send
// lines under the numbers that the original gives to its own.
type host struct {
	// Machine is /etc/machine-id, machine-id(5); "" if there is none.
	Machine string `json:"machine"`
	// Folder is the state directory's file handle, name_to_handle_at(2): another one
	// for each copy, the same over restarts; "" where the file system has none.
	Folder string `json:"folder"`
	// Boot is the kernel's boot id, random(4). What was sent before another boot may
	// have been lost from the page cache.
	Boot string `json:"-"`
}

// CopiedError says that a state directory is not where it was made.
type CopiedError struct {
	Dir, What, Was, Is string
}

func (e *CopiedError) Error() string {
	return fmt.Sprintf("state directory %s was copied: it is of %s %s, and this is %s; if the original is not used any more, take it over with `logship adopt`",
		e.Dir, e.What, e.Was, e.Is)
}

// thisHost tells where dir is used now.
func thisHost(dir string) (host, error) {
	h := host{Machine: firstLine("/etc/machine-id"), Boot: firstLine("/proc/sys/kernel/random/boot_id")}
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
	switch {
	case err == nil:
		h.Folder = fmt.Sprintf("%x:%s", handle.Type(), hex.EncodeToString(handle.Bytes()))
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOVERFLOW):
	default:
		return h, fmt.Errorf("identify state directory: name_to_handle_at %s: %w", dir, err)
	}
	return h, nil
}

// firstLine reads a small file of one line, "" if it is not there.
func firstLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// ownHost compares where dir is with where it was made, and notes that at its first
// use. It returns a *CopiedError if they differ.
func ownHost(dir string) (host, error) {
	now, err := thisHost(dir)
	if err != nil {
		return now, err
	}
	text, err := os.ReadFile(filepath.Join(dir, hostName))
	if errors.Is(err, fs.ErrNotExist) {
		return now, now.note(dir)
	}
	if err != nil {
		return now, fmt.Errorf("read state directory: %w", err)
	}
	var was host
	if err := json.Unmarshal(text, &was); err != nil {
		return now, fmt.Errorf("read %s: %w", filepath.Join(dir, hostName), err)
	}
	switch {
	case was.Machine != "" && now.Machine != "" && was.Machine != now.Machine:
		return now, &CopiedError{dir, "machine", was.Machine, now.Machine}
	case was.Folder != "" && now.Folder != "" && was.Folder != now.Folder:
		return now, &CopiedError{dir, "folder", was.Folder, now.Folder}
	}
	return now, nil
}

// note writes where the directory is used from now on.
func (h host) note(dir string) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := checkpoint.Replace(filepath.Join(dir, hostName), strings.NewReader(string(text)+"\n")); err != nil {
		return fmt.Errorf("note the host in the state directory: %w", err)
	}
	return nil
}
