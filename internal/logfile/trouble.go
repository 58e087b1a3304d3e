package logfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Unwritten is the error of a Write that gave up.
type Unwritten struct {
	Path  string
	Lines int // lines of the batch that are not in the file
	Bytes int // their length
	Torn  int // bytes of the first of them that are in the file and could not be cut off; nearly always 0
	Err   error
}

func (u *Unwritten) Error() string {
	s := fmt.Sprintf("%d lines not written: %v", u.Lines, u.Err)
	if u.Torn > 0 {
		s += fmt.Sprintf("; %d bytes of a line stay at the end", u.Torn)
	}
	return s
}

func (u *Unwritten) Unwrap() error { return u.Err }

var (
	errInUse   = errors.New("another process is writing it")
	errIrreg   = errors.New("is neither a file nor a character device (for standard output use -)")
	errNotLast = errors.New("someone else wrote behind it")
	errNoLines = errors.New("its last 16 MiB are not a line: is it a log?")
)

// permanent lists what waiting can't heal, as long as nobody changes the path or the permissions.
var permanent = []error{
	errInUse, errIrreg, errNoLines,
	unix.EISDIR, unix.ENOTDIR, unix.EACCES, unix.EPERM, unix.EROFS, unix.ELOOP, unix.ENAMETOOLONG, unix.ENXIO,
}

// Permanent says whether an error of Open is one that waiting can't heal: the path is a directory or runs
// through a file, permission is missing, the file system is read-only, another process writes the file.
// A missing folder is not permanent: it may be mounted or made later.
func Permanent(err error) bool {
	for _, p := range permanent {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// aboutRoom says whether a stream that gave err may take more later.
func aboutRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EAGAIN)
}

func isNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// cause takes the verb and path off an error of package os: the caller names them, with the path that
// the user gave.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}

// trouble is a time in which the file can't be written.
type trouble struct {
	since time.Time // zero: none
	retry time.Duration
	text  string // of the last reason
}

// pause reports err, waits until it is time to try again and returns true. It returns false at once if
// ctx is done.
func (w *Writer) pause(ctx context.Context, message string, err error) bool {
	t := &w.trouble
	w.metrics.failed(err)
	if t.since.IsZero() {
		t.since, t.retry = time.Now(), firstRetry
		w.log.Warn().Str("path", w.path).AnErr("err", err).Stringer("retry_in", t.retry).Msg(message)
	}
	if text := err.Error(); t.text != text {
		t.text = text
		w.changed(err)
	}
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(t.retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wake:
	case <-ctx.Done():
		// Write makes one more attempt, which then fails with a reason rather than with "cancelled".
	}
	t.retry = min(2*t.retry, lastRetry)
	return true
}

// works reports the end of trouble, if there was any.
func (w *Writer) works() {
	if w.trouble.since.IsZero() {
		return
	}
	w.log.Info().Str("path", w.path).Stringer("outage", time.Since(w.trouble.since).Round(time.Millisecond)).Msg("log file works again")
	w.trouble = trouble{}
	w.changed(nil)
}
