package rollup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"eventline/internal/event"
)

// give gives decisions out, and tries again for as long as what is in the way can
// go away. The error is that of ctx, or one that starting again may heal and
// waiting does not.
func (r *Rollup) give(ctx context.Context, lines []event.Line) error {
	if len(lines) == 0 {
		return nil
	}
	for failures := 1; ; failures++ {
		n, err := r.o.Sink.Write(lines)
		if err == nil {
			if r.blocked.Swap(false) {
				r.o.Blocked(nil, 0)
			}
			return nil
		}
		if !passes(err) {
			return fmt.Errorf("give decisions out: %w", err)
		}
		lines = lines[n:]
		wait := r.o.Delay(failures)
		r.blocked.Store(true)
		r.o.Blocked(err, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// passes says whether an error of output can go away while we wait: a full disk,
// pipe or journal, and a journal that is being restarted. A reader that is gone
// for good (EPIPE) or a terminal that hung up (EIO) is not worth waiting for.
func passes(err error) bool {
	for _, e := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ENOTCONN, os.ErrDeadlineExceeded, io.ErrShortWrite,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
