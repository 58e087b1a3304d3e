package tail

import (
	"cmp"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	nxadm "github.com/nxadm/tail"
	"golang.org/x/sys/unix"
)

// Reader is how the end of the live file is read.
type Reader string

// The two ways. They hand over the same lines at the same positions.
const (
	// ReaderAuto leaves the end of a live file that grows calmly to nxadm/tail,
	// and reads everything else in blocks.
	ReaderAuto Reader = "auto"
	// ReaderBlock reads everything in blocks.
	ReaderBlock Reader = "block"
)

const (
	// calmTime is how long the live file must have been read to its end, with at
	// least one line and at most calmLines in that time, before it is followed.
	// More than busyLines in such a time, and blocks take over again: nxadm/tail
	// costs two to three times as much for a line.
	calmTime  = time.Second
	calmLines = 50
	busyLines = 100
	// followAhead is how many bytes the file may be ahead of what the follower
	// has said. More is a backlog, or a line that nxadm/tail would have to hold in
	// memory as a whole, whatever its length.
	followAhead = 64 << 10
	// lateTime is how long a follower may be silent about bytes that are there.
	// It is deaf to what is written while it sets up its watch, and a lost event
	// of its inotify queue would make it silent for good.
	lateTime = 5 * time.Millisecond
	// gatherTime is how long more lines of the same write are waited for.
	gatherTime = 200 * time.Microsecond
	// idleTime is when a follower of a file that has fallen silent leaves its
	// place to another.
	idleTime = time.Minute
	// pauseTime is how long blocks are read after a follower was late or wrong.
	pauseTime = 10 * time.Second
	// failTime is the same after an error of nxadm/tail.
	failTime = time.Hour
	// goneTime is how long the end of a follower is waited for at the end.
	goneTime = 2 * time.Second
)

// following is what a Tail has to know of its follower. It says "there is a line
// up to here", and that saves a look; it decides nothing.
type following struct {
	*follower // nil while blocks are read

	g     *generation
	last  *follower // the one before, nil once it is gone
	lines int       // read since
	since time.Time
	again time.Time // not before
	err   error     // of the one before

	first  *nxadm.Line // received, not yet looked at
	closed bool        // it has ended by itself
	heard  time.Time   // when it last had a line
	seen   int64       // size when there was no whole line more than it had said
	due    time.Time   // when its silence is looked into; zero if there is nothing

	batch []string

	// For tests.
	running         atomic.Pointer[follower]
	accepted, wrong atomic.Int64 // lines; stops because something did not fit
}

// source is the channel to wait at for the follower's next line.
func (f *following) source() <-chan *nxadm.Line {
	if f.follower == nil || f.first != nil || f.closed {
		return nil
	}
	return f.follower.lines
}

// ended tells whether the follower before has gone completely.
func (f *following) ended() bool {
	if f.last == nil {
		return true
	}
	select {
	case <-f.last.gone:
		f.err = cmp.Or(f.err, f.last.err)
		f.last = nil
		return true
	default:
		return false
	}
}

// wait waits until it has, but not for ever.
func (f *following) wait(most time.Duration) {
	if f.last == nil {
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-f.last.gone:
	case <-timer.C:
	}
}

func (f *following) got(line *nxadm.Line, ok bool) { f.first, f.closed = line, !ok }

// calm notes that the live file was read to its end, and starts a follower if it
// is one for it.
func (t *Tail) calm(g *generation, now time.Time) {
	f := &t.follow
	if t.cfg.Reader != ReaderAuto || t.cfg.Once || now.Before(f.again) || !t.cfg.eager && !t.watch.works() {
		return
	}
	if !t.cfg.eager {
		passed, lines := now.Sub(f.since), f.lines
		if passed < calmTime {
			return
		}
		f.lines, f.since = 0, now
		if lines == 0 || lines > calmLines || passed > 2*calmTime {
			return
		}
	}
	if !f.ended() {
		return
	}
	if err := f.err; err != nil {
		f.err, f.again = nil, now.Add(failTime)
		said := t.log.Warn().Err(err)
		if nxadmTail.gaveUp() {
			t.cfg.Reader = ReaderBlock // for good
		} else {
			said = said.Stringer("retry_in", failTime)
		}
		said.Msg("nxadm/tail does not work, end of the log is read in blocks")
		return
	}
	if size, err := g.fileSize(); err != nil || size-g.offset > t.followAhead() {
		return
	}
	follower, err := follow(g.file, g.id, g.offset)
	if err != nil {
		f.again = now.Add(pauseTime)
		if !errors.Is(err, errTaken) {
			f.err = err
		}
		return
	}
	if t.cfg.tamper != nil {
		follower.lines = t.cfg.tamper(follower.lines)
	}
	f.follower, f.g, f.first, f.closed = follower, g, nil, false
	f.heard, f.seen, f.due = now, -1, now.Add(t.cfg.late)
	f.running.Store(follower)
	t.log.Debug().Str("file", g.name).Int64("offset", g.offset).Msg("following with nxadm/tail")
}

// followAhead is the constant, or less where a buffer or the longest line is
// shorter, as in tests.
func (t *Tail) followAhead() int64 { return int64(min(followAhead, t.cfg.buffer, t.cfg.MaxLine)) }

// unfollow goes back to reading blocks, for a while.
func (t *Tail) unfollow(why string, pause time.Duration) {
	f := &t.follow
	if f.follower == nil {
		return
	}
	if t.cfg.eager {
		pause = 0
	}
	f.follower.stop()
	f.last, f.follower, f.g, f.first = f.follower, nil, nil, nil
	f.again = time.Now().Add(pause)
	f.running.Store(nil)
	t.log.Debug().Str("reason", why).Msg("reading in blocks")
}

// followed reads what the follower has lines of. The bytes are read and verified
// as always, from our own descriptor; the follower's text must be the same. If it
// has nothing that can be used, the piece is empty. Whenever anything is not as it
// has to be the follower is stopped, and the next read is of a block.
func (t *Tail) followed(g *generation, later bool, buf []byte, now time.Time) piece {
	f := &t.follow
	size, err := g.fileSize()
	switch {
	case f.g != g || !g.live || later || err != nil:
		t.unfollow("log was rotated", 0)
	case nxadmTail.gaveUp():
		t.unfollow("nxadm/tail gave up", 0)
	case size-g.offset > t.followAhead():
		t.unfollow("backlog", 0)
	}
	if f.follower == nil {
		return piece{}
	}
	end, ok := f.gather(g.offset, size, int64(len(buf)-len(g.before)))
	if !ok {
		if !f.closed {
			f.wrong.Add(1)
		}
		t.unfollow("lines do not continue", pauseTime)
		return piece{}
	}
	if end == g.offset {
		return t.silent(g, size, buf, now)
	}
	p, err := g.read(buf[:int64(len(g.before))+end-g.offset], t.cfg.MaxLine)
	if err != nil || int64(len(p.data)) != end-g.offset || !f.same(p.data) {
		f.wrong.Add(1)
		t.unfollow("bytes differ", pauseTime)
		return piece{}
	}
	f.heard, f.due = now, time.Time{}
	f.accepted.Add(int64(len(f.batch)))
	if now.Sub(f.since) >= calmTime {
		f.lines, f.since = 0, now
	}
	if f.lines+len(f.batch) > busyLines && !t.cfg.eager {
		t.unfollow("busy", 0)
	}
	return p
}

// gather takes the lines that there are behind offset, up to limit bytes, and
// returns where they end. It waits a moment for more if the file is longer. ok is
// false if they do not go on from offset, or if there will be none any more.
func (f *following) gather(offset, size, limit int64) (end int64, ok bool) {
	f.batch, end = f.batch[:0], offset
	var patience *time.Timer
	for {
		if f.first == nil && !f.closed {
			select {
			case line, ok := <-f.follower.lines:
				f.got(line, ok)
			default:
				if end == offset || end >= size || f.seen == size {
					return end, true
				}
				if patience == nil {
					patience = time.NewTimer(gatherTime)
					defer patience.Stop()
				}
				runtime.Gosched()
				select {
				case line, ok := <-f.follower.lines:
					f.got(line, ok)
				case <-patience.C:
					return end, true
				}
			}
		}
		if f.closed {
			return end, end > offset
		}
		next := f.first.SeekInfo.Offset
		if f.first.Err != nil || next-int64(len(f.first.Text))-1 != end || next-offset > limit {
			return end, end > offset // what comes first the next time is then wrong as well, or fits
		}
		f.batch = append(f.batch, f.first.Text)
		f.first, end = nil, next
	}
}

// same tells whether the lines gathered are those of data.
func (f *following) same(data []byte) bool {
	n := 0
	Lines(data, func(line []byte, _ int) bool {
		if n == len(f.batch) || string(line) != f.batch[n] {
			n = -1
			return false
		}
		n++
		return true
	})
	return n == len(f.batch)
}

// silent looks into a follower that says nothing, once it has had the time to. If
// it has missed something, that is read here and it is stopped.
func (t *Tail) silent(g *generation, size int64, buf []byte, now time.Time) piece {
	f := &t.follow
	switch {
	case size == g.offset || size == f.seen:
		f.due = time.Time{}
		if now.Sub(f.heard) > idleTime {
			t.unfollow("log is idle", 0)
		}
	case f.due.IsZero():
		f.due = now.Add(t.cfg.late)
	case !now.Before(f.due):
		p, err := g.read(buf, t.cfg.MaxLine)
		if err != nil || !p.empty() || p.more {
			t.unfollow("late", pauseTime)
			return p
		}
		f.seen, f.due = size, time.Time{} // half a line
	}
	return piece{}
}

// fileSize asks for the size of an open file.
func (g *generation) fileSize() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(g.file.Fd()), &st)
	return st.Size, err
}
