package logfile

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestFullDiskDelaysAndLosesNothing(t *testing.T) {
	for _, full := range []syscall.Errno{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EFBIG} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDisk()
			d.room, d.full = 3*lineLen+5, full
			w := onDisk(d)
			go func() {
				time.Sleep(time.Minute)
				d.change(func() { d.room = 1 << 30 })
			}()
			start := time.Now()
			if err := w.Write(t.Context(), lines(0, 10)); err != nil {
				t.Fatalf("%v: Write = %v, want it to wait for room", full, err)
			}
			if took := time.Since(start); took > time.Minute+lastRetry {
				t.Errorf("%v: healed %v after there was room, want at most %v", full, took-time.Minute, lastRetry)
			}
			if got := string(d.files[0].data); len(d.files) != 1 || got != string(lines(0, 10)) {
				t.Errorf("%v: the file holds %q, want each line once and whole", full, got)
			}
			if w.warnings() != 1 {
				t.Errorf("%v: %d warnings, want one per episode:\n%s", full, w.warnings(), w.logs)
			}
			if !strings.Contains(w.logs.String(), `"outage":"1m`) {
				t.Errorf("%v: the end of the episode is not told:\n%s", full, w.logs)
			}
			if len(w.state) != 2 || !strings.Contains(w.state[0], full.Error()) || w.state[1] != "<nil>" {
				t.Errorf("%v: Changed was told %q, want the reason, then nil", full, w.state)
			}
			if n := w.errorCount(unix.ErrnoName(full)); n < 60 || n > 80 {
				t.Errorf("%v: %v errors counted in a minute, want about one a second", full, n)
			}
		})
	}
}

func TestShortWriteWithoutAReasonIsFinishedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.room, d.full = 5, nil
		d.onWrite = func() { d.room = 5 }
		w := onDisk(d)
		start := time.Now()
		if err := w.Write(t.Context(), lines(0, 3)); err != nil {
			t.Fatal(err)
		}
		if got := string(d.files[0].data); got != string(lines(0, 3)) {
			t.Errorf("the file holds %q", got)
		}
		if time.Since(start) != 0 || w.logs.String() != "" && w.warnings() != 0 {
			t.Errorf("took %v with logs %q, want neither a pause nor a warning", time.Since(start), w.logs)
		}
	})
}

func TestWriteOfNothingIsRetriedNotSpun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.room, d.full = 0, nil
		w := onDisk(d)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var u *Unwritten
		if err := w.Write(ctx, lines(0, 3)); !errors.As(err, &u) || u.Lines != 3 {
			t.Errorf("Write = %v, want 3 lines unwritten", err)
		}
		if n := w.errorCount("other"); n < 60 || n > 80 {
			t.Errorf("%v attempts in a minute, want about one a second", n)
		}
	})
}

func TestGivingUpLeavesWholeLinesAndCountsTheRest(t *testing.T) {
	for _, c := range []struct {
		name string
		room int
		want int // whole lines in the file
	}{
		{"in the middle of a line", 3*lineLen + 5, 3},
		{"one byte short of a line", 4*lineLen - 1, 3},
		{"between two lines", 3 * lineLen, 3},
		{"with no room at all", 0, 0},
		{"in the first line", 1, 0},
	} {
		d := newFakeDisk()
		d.room = c.room
		w := onDisk(d)
		var u *Unwritten
		err := w.Write(cancelled(t), lines(0, 10))
		if !errors.As(err, &u) || !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("%s: Write = %v, want *Unwritten with ENOSPC", c.name, err)
		}
		if got := string(d.files[0].data); got != string(lines(0, c.want)) {
			t.Errorf("%s: the file holds %q, want %d whole lines", c.name, got, c.want)
		}
		if u.Lines != 10-c.want || u.Bytes != (10-c.want)*lineLen || u.Torn != 0 {
			t.Errorf("%s: %+v, want %d lines unwritten", c.name, u, 10-c.want)
		}
	}
}

func TestHalfALineThatCannotBeCutIsTold(t *testing.T) {
	d := newFakeDisk()
	w := onDisk(d)
	if err := w.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.room = lineLen + 5
	d.files[0].truncateErr = unix.EIO
	var u *Unwritten
	if err := w.Write(cancelled(t), lines(0, 3)); !errors.As(err, &u) || u.Lines != 2 || u.Torn != 5 {
		t.Errorf("Write = %v, want 2 lines unwritten and 5 bytes torn", err)
	}
	if want := "2 lines not written: write \"events.log\": no space left on device; 5 bytes of a line stay at the end"; u.Error() != want {
		t.Errorf("error %q, want %q", u, want)
	}
}

func TestCancelledContextDoesNotKeepLinesFromAHealthyFile(t *testing.T) {
	d := newFakeDisk()
	w := onDisk(d)
	if err := w.Write(cancelled(t), lines(0, 3)); err != nil {
		t.Fatal(err)
	}
	if got := string(d.files[0].data); got != string(lines(0, 3)) {
		t.Errorf("the file holds %q", got)
	}
}

func TestHalfALineIsFinishedInItsOwnFileBeforeTheNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.room = lineLen + 5
		w := onDisk(d)
		go func() {
			time.Sleep(time.Minute)
			d.change(func() {
				d.room = 1 << 30
				d.at = -1 // renamed in the same instant in which room was made
			})
			w.Reopen()
		}()
		if err := w.Write(t.Context(), lines(0, 3)); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), lines(3, 3)); err != nil {
			t.Fatal(err)
		}
		if len(d.files) != 2 || string(d.files[0].data) != string(lines(0, 3)) || string(d.files[1].data) != string(lines(3, 3)) {
			t.Errorf("%d files, want the first batch whole in the old one, the second in the new", len(d.files))
		}
	})
}

func TestHalfALineDoesNotHoldTheWriterInADeletedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.room = lineLen + 5
		w := onDisk(d)
		go func() {
			time.Sleep(time.Minute)
			d.change(func() { d.at = -1 }) // deleted, but the disk stays full until the file is closed
			for open := true; open; {
				time.Sleep(time.Millisecond)
				d.change(func() {
					if open = d.files[0].open; !open {
						d.room = 1 << 30
					}
				})
			}
		}()
		if err := w.Write(t.Context(), lines(0, 3)); err != nil {
			t.Fatal(err)
		}
		if string(d.files[0].data) != string(lines(0, 1)) || string(d.files[1].data) != string(lines(1, 2)) {
			t.Errorf("old file %q, new file %q: want no half line in the old and the whole rest in the new", d.files[0].data, d.files[1].data)
		}
	})
}

func TestLineStartsAnewWhenItsHalfIsTruncatedAway(t *testing.T) {
	for _, keep := range []int{0, lineLen, lineLen + 2} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDisk()
			d.room = lineLen + 5
			w := onDisk(d)
			go func() {
				time.Sleep(time.Minute)
				d.change(func() {
					d.files[0].data = d.files[0].data[:keep]
					d.room = 1 << 30
				})
			}()
			if err := w.Write(t.Context(), lines(0, 3)); err != nil {
				t.Fatal(err)
			}
			want := string(lines(0, 1)[:keep/lineLen*lineLen]) + string(lines(1, 2))
			if got := string(d.files[0].data); got != want {
				t.Errorf("truncated to %d: the file holds %q, want %q", keep, got, want)
			}
		})
	}
}

// After a server of a network file system has restarted, the descriptor is stale for ever; the file is not.
func TestBrokenDescriptorIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		w := onDisk(d)
		if err := w.Write(t.Context(), lines(0, 3)); err != nil {
			t.Fatal(err)
		}
		d.files[0].broken = unix.ESTALE
		if err := w.Write(t.Context(), lines(3, 3)); err != nil {
			t.Fatal(err)
		}
		if got := string(d.files[0].data); len(d.files) != 1 || got != string(lines(0, 6)) {
			t.Errorf("the file holds %q, want each line once", got)
		}
	})
}

func TestReopenEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.openErr = unix.ENOENT
		w := onDisk(d)
		go func() {
			time.Sleep(time.Minute) // by now it looks once a second
			synctest.Wait()
			d.change(func() { d.openErr = nil })
			w.Reopen()
		}()
		start := time.Now()
		if err := w.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("open %v after it was possible, want at once", took-time.Minute)
		}
	})
}

func TestOpenWaitsUntilItIsToldToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.openErr = unix.ENOSPC
		w := onDisk(d)
		cause := errors.New("received terminated")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Hour)
			cancel(cause)
		}()
		if err := w.Open(ctx); err != cause {
			t.Errorf("Open = %v, want the cause %v", err, cause)
		}
		if w.warnings() != 1 {
			t.Errorf("%d warnings in an hour, want 1", w.warnings())
		}
	})
}

func TestBatchMustEndWithANewline(t *testing.T) {
	d := newFakeDisk()
	w := onDisk(d)
	if err := w.Write(t.Context(), []byte("half")); err == nil || len(d.files) != 0 {
		t.Errorf("Write of half a line = %v, want it refused before anything is written", err)
	}
	if err := w.Write(t.Context(), nil); err != nil {
		t.Errorf("Write of nothing = %v", err)
	}
}

// brokenPipe is standard output whose reader has gone.
type brokenPipe struct{}

func (brokenPipe) Write(p []byte) (int, error) { return 3, unix.EPIPE }

func TestStreamThatIsGoneEndsWriteAtOnce(t *testing.T) {
	w := newRig(func(o Options) *Writer { return NewStream(brokenPipe{}, "standard output", o) })
	var u *Unwritten
	if err := w.Write(t.Context(), lines(0, 3)); !errors.As(err, &u) || !errors.Is(err, unix.EPIPE) || u.Lines != 3 || u.Torn != 3 {
		t.Errorf("Write = %v, want 3 lines unwritten because of EPIPE", err)
	}
}

func TestStreamWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		d.room = lineLen + 5
		f := &fakeFile{disk: d, open: true}
		w := newRig(func(o Options) *Writer { return NewStream(f, "standard output", o) })
		go func() {
			time.Sleep(time.Minute)
			d.change(func() { d.room = 1 << 30 })
		}()
		if err := w.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Reopen()
		if err := w.Write(t.Context(), lines(0, 3)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil || !f.open || string(f.data) != string(lines(0, 3)) {
			t.Errorf("stream holds %q (open %v, Close = %v), want every line once and the stream left open", f.data, f.open, err)
		}
	})
}
