// Package logfile is the log file that is being written: whole lines only, appended, in a file that
// others rotate, delete, truncate and fill up.
//
// What it promises:
//
//   - A batch of whole lines goes out in one write(2) on an O_APPEND descriptor, so that a reader or a
//     copytruncate never finds lines in each other.
//   - A line that was half written because the disk ran full is finished on the same descriptor before
//     anything else is written or the file is left. Where it can't be finished, the half is cut off.
//   - Nothing is dropped. Write blocks while the file can't be written, and what is still unwritten when
//     it is told to give up comes back as a number of lines.
//   - The path is followed: a file that was renamed, deleted or replaced is left for a new one at the
//     path within a tenth of a second of writing, without a signal. [Writer.Reopen] does it at once.
//
// What it does not promise: the lines are in the page cache, not on the disk. There is no fsync, neither
// per line nor per batch: 5 ms each would hold 500,000 lines/s to 200 writes/s, and a generator's log is
// not a ledger. A crash of the process loses nothing that Write returned for; a power cut loses what the
// kernel had not written back, up to 30 s with its default settings, and may leave half a line at the
// end, which the next Open cuts off.
//
// One writer per file: the file is locked (flock(2)) while open, because cutting off half a line would
// be wrong while someone else is just writing it. Readers and logrotate do not take that lock.
package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// checkEvery bounds how long lines go into a file that has left its path. A stat(2) is 1 µs, but at
	// 1000 batches/s it would be a third of the system calls.
	checkEvery = 100 * time.Millisecond

	// A full disk is looked at again after 10 ms, doubling to 1 s: soon enough to catch up quickly once
	// there is room, seldom enough to cost nothing for a day.
	firstRetry, lastRetry = 10 * time.Millisecond, time.Second
)

// Options are what a Writer reports to. The zero value reports to nobody.
type Options struct {
	Log        zerolog.Logger
	Registerer prometheus.Registerer
	// Changed is called when writing stops working (with the reason) and when it works again (with
	// nil), by the goroutine that is in Open or Write. It must not call the Writer.
	Changed func(error)
	// Opened is called when a file was opened, and when the one that is open is found to have been
	// truncated, before anything more is written to it. It may be called by the goroutine that is in
	// Reopen, and must not call the Writer.
	Opened func(Mark)
}

// Mark says where in a file a byte of all that the Writer has written is.
type Mark struct {
	Dev, Ino uint64 // the file
	Offset   int64  // the byte of it
	Written  int64  // the byte of everything that was written, as [Writer.Written] counts
}

// Writer appends lines to a file, or to a stream. Open, Write and Close are for one goroutine at a time;
// Reopen may be called from any.
type Writer struct {
	path    string
	stream  bool // path is only a name: nothing can be reopened, and nothing cut off
	log     zerolog.Logger
	metrics *metrics
	changed func(error)
	opened  func(Mark)
	disk    disk

	mu      sync.Mutex // held while the fields below are used, for Reopen
	file    file       // nil while not open
	id      identity
	checked time.Time // when the path was last seen to be this file
	trouble trouble
	written int64 // bytes of whole lines, and of the half line at the end if there is one
	mark    Mark  // of the open file

	force atomic.Bool   // look at the path before the next write
	wake  chan struct{} // ends a retry's pause; holds at most one
}

// New returns a Writer for the file at path. It does no I/O.
func New(path string, o Options) *Writer {
	w := newWriter(path, o)
	w.disk = realDisk{}
	return w
}

// NewStream returns a Writer for a stream such as standard output, called name in messages. It is open
// from the start, and Close leaves the stream open. An error that is not about room, such as a broken
// pipe, ends Write at once.
func NewStream(out io.Writer, name string, o Options) *Writer {
	w := newWriter(name, o)
	w.stream, w.file = true, stream{out}
	return w
}

func newWriter(path string, o Options) *Writer {
	w := &Writer{path: path, log: o.Log, metrics: newMetrics(o.Registerer), changed: o.Changed, wake: make(chan struct{}, 1)}
	if w.changed == nil {
		w.changed = func(error) {}
	}
	if w.opened = o.Opened; w.opened == nil {
		w.opened = func(Mark) {}
	}
	return w
}

// Open opens the file, creates it with mode 0640 (less the umask) if need be, and cuts off an
// unterminated line at its end, which only a killed writer or a power cut leaves behind.
//
// It blocks while the file can't be opened, for instance because its folder is missing, until ctx is
// done (its cause). If the first attempt fails for a reason that waiting can't heal, that error is
// returned at once; [Permanent] says which. A Writer that is open stays as it is.
func (w *Writer) Open(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for first := true; ; first = false {
		err := w.ready()
		if err == nil {
			w.works()
			return nil
		}
		if first && Permanent(err) {
			return err
		}
		if !w.pause(ctx, "cannot open log file, waiting", err) {
			return context.Cause(ctx)
		}
	}
}

// Continue makes the Writer count what it writes from a number of bytes on, which an earlier one wrote. It
// is for a Writer that was not opened yet.
func (w *Writer) Continue(written int64) { w.written = written }

// Write appends lines, one or more, each ending with a newline. It blocks until all of them are in the
// file: while it can't be written or opened, it tries again.
//
// When ctx is done, it makes one more attempt and gives up if that fails: the lines that are in the file
// are whole, and the error is an [*Unwritten] with the number of those that are not. A ctx that is done
// from the start does not keep lines from a healthy file. lines is not kept.
func (w *Writer) Write(ctx context.Context, lines []byte) error {
	return w.WriteInTwo(ctx, lines, 0, 0)
}

// WriteInTwo is Write in two parts: the first bytes of lines, which may end within a line, then the rest
// after a pause. A ctx that is done cuts the pause short.
func (w *Writer) WriteInTwo(ctx context.Context, lines []byte, first int, pause time.Duration) error {
	if len(lines) == 0 {
		return nil
	}
	if lines[len(lines)-1] != '\n' {
		return fmt.Errorf("write %q: the last line has no newline", w.path)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := batch{lines: lines, first: min(first, len(lines))}
	for {
		message := "cannot open log file, lines wait"
		err := w.advance(&b, &message)
		if b.rest() == 0 {
			w.works()
			return nil
		}
		if b.first > 0 && b.done >= b.first {
			b.first = 0
			w.rest(ctx, &b, pause)
		}
		if err == nil {
			continue // a short write without a reason: the rest has to follow at once
		}
		hopeless := w.stream && !aboutRoom(err)
		if hopeless {
			w.metrics.failed(err)
		}
		if hopeless || !w.pause(ctx, message, err) {
			return w.giveUp(&b, err)
		}
	}
}

// advance makes one attempt to write the rest of b.
func (w *Writer) advance(b *batch, message *string) error {
	if b.half() > 0 {
		if err := w.checkHalf(b); err != nil {
			return err
		}
	}
	if b.half() == 0 {
		if err := w.ready(); err != nil {
			return err
		}
	}
	*message = "cannot write log file, lines wait"
	end := len(b.lines)
	if b.done < b.first {
		end = b.first
	}
	n, err := w.file.Write(b.lines[b.done:end])
	b.done += n
	w.written += int64(n)
	if n == 0 && err == nil {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write %q: %w", w.path, cause(err))
	switch {
	case w.stream:
	case b.half() > 0:
		b.end, _ = w.file.Size()
		if w.moved() {
			// The disk stays full while a deleted file is open, and a broken one may never heal: the
			// half line must not hold the writer there.
			w.cutHalf(b)
		}
	case !aboutRoom(err):
		w.leave() // the descriptor itself may be what is broken, as after ESTALE
	}
	return err
}

// checkHalf makes sure that the half line of b is still at the end of the file, before the other half
// is written. If the file was truncated meanwhile (copytruncate on a full disk), the line starts anew.
func (w *Writer) checkHalf(b *batch) error {
	if w.stream {
		return nil
	}
	size, err := w.file.Size()
	if err != nil || size >= b.end {
		return nil //nolint:nilerr // not known to be truncated: finish the line
	}
	if _, err := w.file.Repair(); err != nil {
		return fmt.Errorf("repair %q: %w", w.path, cause(err))
	}
	w.back(b, b.half())
	return nil
}

// back takes n bytes of b for not written.
func (w *Writer) back(b *batch, n int) {
	b.done -= n
	w.written -= int64(n)
}

// rest pauses between two parts.
func (w *Writer) rest(ctx context.Context, b *batch, pause time.Duration) {
	if !w.stream {
		b.end, _ = w.file.Size()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// cutHalf takes the half line of b off the end of the file, so that the line can start anew elsewhere.
// It returns how many bytes had to be left there.
func (w *Writer) cutHalf(b *batch) (left int) {
	half := b.half()
	if half == 0 {
		return 0
	}
	w.back(b, half)
	size, err := w.file.Size()
	switch {
	case err != nil:
	case size < b.end:
		return 0 // it was truncated: the half is gone already
	case size > b.end:
		err = errNotLast
	default:
		err = w.file.Truncate(size - int64(half))
	}
	if err != nil {
		w.log.Error().Str("path", w.path).Int("bytes", half).AnErr("err", cause(err)).Msg("half a line stays in the log file")
		return half
	}
	return 0
}

// giveUp returns the lines of b that are not written, after cutting off half a line.
func (w *Writer) giveUp(b *batch, err error) error {
	u := &Unwritten{Path: w.path, Err: err}
	if w.stream {
		u.Torn = b.half()
		w.back(b, u.Torn)
	} else {
		u.Torn = w.cutHalf(b)
	}
	rest := b.lines[b.done:]
	u.Lines, u.Bytes = bytes.Count(rest, []byte{'\n'}), len(rest)
	return u
}

// ready makes sure that the file at the path is the one that is open.
func (w *Writer) ready() error {
	if w.stream {
		return nil
	}
	if w.file != nil {
		if !w.force.Swap(false) && time.Since(w.checked) < checkEvery {
			return nil
		}
		if !w.moved() {
			w.lookForTruncation()
			return nil
		}
		w.leave()
	}
	w.force.Store(false)
	o, err := w.disk.open(w.path)
	if err != nil {
		return err
	}
	w.file, w.id, w.checked = o.file, o.id, time.Now()
	if o.cut > 0 {
		w.log.Warn().Str("path", w.path).Int64("bytes", o.cut).Msg("cut off an unterminated line at the end of the log file")
	}
	w.mark = Mark{Dev: o.id.dev, Ino: o.id.ino, Offset: o.size, Written: w.written}
	w.opened(w.mark)
	if w.trouble.since.IsZero() { // else works reports
		w.log.Info().Str("path", w.path).Int64("size", o.size).Msg("log file open")
	}
	return nil
}

// lookForTruncation notes that the file has become shorter than what was written to it: what is in it now
// is the end of what was written, for nobody else writes to it.
func (w *Writer) lookForTruncation() {
	size, err := w.file.Size()
	if _, is := w.file.(device); is || err != nil || size >= w.mark.Offset+w.written-w.mark.Written {
		return
	}
	w.mark = Mark{Dev: w.id.dev, Ino: w.id.ino, Written: w.written - size}
	w.opened(w.mark)
}

// moved says whether the file that is open is known to have left the path.
func (w *Writer) moved() bool {
	id, err := w.disk.identify(w.path)
	w.checked = time.Now()
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || isNotDir(err)
	}
	return id != w.id
}

// leave closes the file. It comes before the new one is opened: if the old one was deleted, closing it
// is what makes room.
func (w *Writer) leave() {
	if err := w.file.Close(); err != nil {
		// A file on a network reports here what it could not store.
		w.metrics.failed(err)
		w.log.Error().Str("path", w.path).AnErr("err", cause(err)).Msg("close log file")
	}
	w.file = nil
}

// Reopen makes the Writer leave a file that is no longer at its path, at once if nothing is being
// written, else before the next write. It also ends a pause before a retry. It does not block.
func (w *Writer) Reopen() {
	w.force.Store(true)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	if w.file != nil {
		_ = w.ready() // if it fails, the next Write meets the reason again, and reports it
	}
}

// Close closes the file. The Writer may be opened again.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stream || w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	if err != nil {
		return fmt.Errorf("close %q: %w", w.path, cause(err))
	}
	return nil
}

// batch is the lines of one Write and how far they are.
type batch struct {
	lines []byte
	done  int   // bytes written
	first int   // bytes to be written before a pause; 0 if there is none to come
	end   int64 // the file's size when it was left in the middle of a line
}

func (b *batch) rest() int { return len(b.lines) - b.done }

// half is how many bytes of a line that is not complete are written.
func (b *batch) half() int { return b.done - 1 - bytes.LastIndexByte(b.lines[:b.done], '\n') }
