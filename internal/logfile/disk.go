package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	fileMode = 0o640 // readers are in the file's group

	// maxHalf is the longest unterminated end that is taken for half a line and cut off. More than that
	// is someone's file that is no log, given by mistake.
	maxHalf = 16 << 20
)

// disk is where files are. Tests stand in for it to make writes short.
type disk interface {
	// open opens or creates the file at path for appending whole lines.
	open(path string) (opened, error)
	// identify says which file is at path.
	identify(path string) (identity, error)
}

// file is an open file.
type file interface {
	// Write appends p. It may write less than p without an error.
	Write(p []byte) (int, error)
	Size() (int64, error)
	Truncate(size int64) error
	// Repair cuts off an unterminated line at the end and says how long it was.
	Repair() (int64, error)
	Close() error
}

// identity tells a file from every other one that exists. The number may be used again once the file is
// gone, but not while it is open.
type identity struct{ dev, ino uint64 }

type opened struct {
	file
	id   identity
	size int64 // after cutting
	cut  int64
}

type realDisk struct{}

func (realDisk) identify(path string) (identity, error) {
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Stat(path, &st) }); err != nil {
		return identity{}, err
	}
	return identityOf(&st), nil
}

func (realDisk) open(path string) (opened, error) {
	o, err := open(path)
	if err != nil {
		return opened{}, fmt.Errorf("open %q: %w", path, cause(err))
	}
	return o, nil
}

func open(path string) (opened, error) {
	// Not blocking: a file that a reader holds a lease on (fcntl(2), F_SETLEASE) would keep the process in
	// open(2) for up to 45 s, deaf to its context. Read access is for Repair.
	fd := -1
	err := retryEINTR(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK|unix.O_CLOEXEC, fileMode)
		return err
	})
	if err != nil {
		return opened{}, err
	}
	o, err := adopt(fd, path)
	if err != nil {
		_ = unix.Close(fd)
		return opened{}, err
	}
	return o, nil
}

// adopt makes sure that fd may be written. On an error fd stays the caller's.
func adopt(fd int, path string) (opened, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return opened{}, err
	}
	regular := st.Mode&unix.S_IFMT == unix.S_IFREG
	if !regular && st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return opened{}, errIrreg
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return opened{}, err
	}
	o := opened{id: identityOf(&st)}
	if !regular {
		o.file = device{regularFile{os.NewFile(uintptr(fd), path)}}
		return o, nil
	}
	// A file system that has no locks is no reason to refuse.
	if err := retryEINTR(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); errors.Is(err, unix.EWOULDBLOCK) {
		return opened{}, errInUse
	}
	var err error
	if o.cut, err = repair(fd); err != nil {
		return opened{}, err
	}
	f := regularFile{os.NewFile(uintptr(fd), path)}
	o.file = f
	o.size, _ = f.Size()
	return o, nil
}

// repair cuts an unterminated line off the end of the file.
func repair(fd int) (cut int64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	half, err := unterminated(preader(fd), st.Size)
	if err != nil || half == 0 {
		return 0, err
	}
	return half, retryEINTR(func() error { return unix.Ftruncate(fd, st.Size-half) })
}

// unterminated returns how many bytes follow the last newline of the size bytes in r.
func unterminated(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 1) // nearly always enough
	for half := int64(0); half < size; buf = make([]byte, 64<<10) {
		n := min(int64(len(buf)), size-half)
		if _, err := r.ReadAt(buf[:n], size-half-n); err != nil && err != io.EOF {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return half + n - 1 - int64(i), nil
		}
		if half += n; half > maxHalf {
			return 0, errNoLines
		}
	}
	return size, nil
}

// preader reads a descriptor at an offset, before it is an os.File.
type preader int

func (fd preader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		m := 0
		err = retryEINTR(func() (err error) {
			m, err = unix.Pread(int(fd), p[n:], off+int64(n))
			return err
		})
		if m == 0 && err == nil {
			err = io.EOF
		}
		n += max(m, 0)
	}
	return n, err
}

type regularFile struct{ *os.File }

func (f regularFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f regularFile) Repair() (int64, error) { return repair(int(f.Fd())) }

// device is a character device such as /dev/null: it has no end to cut.
type device struct{ regularFile }

func (device) Size() (int64, error)   { return 0, nil }
func (device) Truncate(int64) error   { return nil }
func (device) Repair() (int64, error) { return 0, nil }

// stream is an open stream of someone else.
type stream struct{ io.Writer }

func (stream) Size() (int64, error)   { return 0, errors.ErrUnsupported }
func (stream) Truncate(int64) error   { return errors.ErrUnsupported }
func (stream) Repair() (int64, error) { return 0, errors.ErrUnsupported }
func (stream) Close() error           { return nil }

func identityOf(st *unix.Stat_t) identity {
	return identity{dev: uint64(st.Dev), ino: st.Ino} //nolint:unconvert // Dev is an int32 on some architectures
}

func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
