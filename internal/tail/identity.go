package tail

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Identity tells a file from every other file of its directory, also from a
// later one that got the same inode: ext4 gave a new file the old inode number in
// 999 of 999 deletions, with an equal birth time in 990 (measured). The handle of
// name_to_handle_at(2) holds the inode's generation and needs no privilege.
type Identity struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	// Handle is the file handle in hex, "" where the file system has none (some
	// overlay and network ones). Then a file is told by inode and content.
	Handle string `json:"handle,omitempty"`
}

// key is what two equal identities have in common. The device is left out where
// there is a handle: its number may change with a reboot, and all files of a log
// lie in one directory.
func (id Identity) key() string {
	if id.Handle != "" {
		return id.Handle
	}
	return strconv.FormatUint(id.Device, 16) + ":" + strconv.FormatUint(id.Inode, 16)
}

// identify returns the identity and status of an open file.
func identify(f *os.File) (Identity, unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Identity{}, st, os.NewSyscallError("fstat", err)
	}
	h, err := handle(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	return Identity{Device: st.Dev, Inode: st.Ino, Handle: h}, st, err
}

// identifyPath does the same for what a path names now, through symlinks.
func identifyPath(path string) (Identity, unix.Stat_t, error) {
	var st unix.Stat_t
	// Identity and status have to be of one file, and a rename may come in between.
	// O_PATH needs no right to read and opens nothing.
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		if err := unix.Fstat(fd, &st); err != nil {
			return Identity{}, st, err
		}
		h, err := handle(fd, "", unix.AT_EMPTY_PATH)
		return Identity{Device: st.Dev, Inode: st.Ino, Handle: h}, st, err
	}
	if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
		return Identity{}, st, err
	}
	if err := unix.Stat(path, &st); err != nil {
		return Identity{}, st, err
	}
	h, err := handle(unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	return Identity{Device: st.Dev, Inode: st.Ino, Handle: h}, st, err
}

func handle(dir int, path string, flags int) (string, error) {
	fh, _, err := unix.NameToHandleAt(dir, path, flags)
	switch {
	case err == nil:
		return strconv.FormatInt(int64(fh.Type()), 16) + "-" + hex.EncodeToString(fh.Bytes()), nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOVERFLOW):
		return "", nil
	}
	return "", os.NewSyscallError("name_to_handle_at", err)
}

// openRegular opens a regular file for reading, and nothing else: opening a FIFO
// would block, and reading a device may do anything.
func openRegular(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil {
		err = regular(st)
	}
	if err == nil && fd >= mostOpen() {
		err = unix.EMFILE
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Regular returns nil if path leads to a regular file, which is what can be read
// as a log, else what stands in the way. link says that the file may have other
// names: path is a symlink, or it is not the file's only name. It opens nothing.
func Regular(path string) (link bool, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false, err
	}
	link = st.Mode&unix.S_IFMT == unix.S_IFLNK
	if link {
		if err := unix.Stat(path, &st); err != nil {
			return true, err
		}
	}
	return link || st.Nlink > 1, regular(st)
}

// mostOpen is how many descriptors the process may have when a log is opened. The
// kernel gives the lowest free number, so that a number is a count. What is left
// is for the rest of the process: with all descriptors in logs nothing could be
// sent or stored any more, and no log would ever be let go.
func mostOpen() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt
	}
	n := int(min(limit.Cur, math.MaxInt32))
	return n - min(n/4, 256)
}

// regular returns nil for a regular file, else what it is instead.
func regular(st unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFIFO:
		return errors.New("is a FIFO, not a log file")
	case unix.S_IFCHR, unix.S_IFBLK:
		return errors.New("is a device, not a log file")
	case unix.S_IFSOCK:
		return errors.New("is a socket, not a log file")
	}
	return fmt.Errorf("is not a regular file (mode %o)", st.Mode)
}

// duplicate returns another descriptor of the same open file.
func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// writers says whether somebody has a file open for writing.
type writers int

const (
	writersUnknown writers = iota // no permission to ask, or the file system can't tell
	writersNone
	writersThere
)

// writersOf asks by taking a read lease (fcntl(2), F_SETLEASE), which is granted
// only while nobody has the file open for writing, and giving it back at once.
// It takes the file's owner or CAP_LEASE, and 4 to 9 µs. Whoever opens the file
// for writing in between waits that long.
func writersOf(f *os.File) writers {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch {
	case err == nil:
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return writersNone
	case errors.Is(err, unix.EAGAIN):
		return writersThere
	}
	return writersUnknown
}
