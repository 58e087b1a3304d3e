package pace

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

const (
	// granularity is the shortest sleep. Above 1000 events/s each wake hands out several events:
	// waking for each would cost more than making them, and no timer is more exact than this
	// under load.
	granularity = time.Millisecond

	// defaultMaxBatch bounds one hand-out while catching up, and so the memory it takes and the
	// time until a cancelled run notices.
	defaultMaxBatch = 4096
)

// Batch is a run of consecutive events that are due.
type Batch struct {
	First uint64        // index of the first event, counted from 0
	N     int           // how many, at least 1
	Start time.Time     // event i of the schedule carries the time Start + Due(i); UTC, no monotonic part
	Lag   time.Duration // how long the first event had been due
	Step  time.Duration // how far Start moved since the last batch because the wall clock was set; nearly always 0
}

// Runner hands out events when they are due.
type Runner struct {
	// Schedule says when; required.
	Schedule Schedule
	// Count ends the run after so many events; 0 is endless.
	Count uint64
	// Duration ends the run before the first event that is due this long after the start; 0 is endless.
	Duration time.Duration
	// First is the event to begin with; it is due at once, and Duration counts from the start of event 0.
	First uint64
	// MaxLag bounds how far behind the run may be: events that have been due for longer are left out and
	// counted, so that the run is on time again. 0 catches up with all of them.
	MaxLag time.Duration
	// Unpaced hands events out as fast as they are taken, whenever they are due.
	Unpaced bool
	// MaxBatch is the largest Batch.N; 0 means 4096.
	MaxBatch int

	wall  func() time.Time // the wall clock; nil is time.Now, which a test can't set
	start time.Time        // with monotonic reading
	live  atomic.Bool      // start is set, for Lag
	next  atomic.Uint64    // first event not yet handed out and accepted
	worst atomic.Int64     // nanoseconds
	left  atomic.Uint64    // events left out
}

// Run starts the schedule now and calls emit for the events that are due, in order, each exactly once,
// until the last one was emitted (nil), ctx is done (its cause) or emit fails (its error, as it is).
// The first event is due at once. With MaxLag, a batch may begin behind the end of the one before: what
// lies between was left out.
//
// Run blocks, and calls emit from the same goroutine. While emit is behind, batches follow each other
// without pause, none larger than MaxBatch. A cancelled ctx is noticed between batches, never inside one.
// Run may be called once.
func (r *Runner) Run(ctx context.Context, emit func(Batch) error) error {
	if !r.start.IsZero() {
		return fmt.Errorf("run schedule: already started")
	}
	begin := r.Schedule.Due(r.First)
	r.start = time.Now().Add(-begin)
	r.next.Store(r.First)
	r.live.Store(true)
	defer r.live.Store(false)
	from := origin{r.start.UTC().Round(0)}
	total, maxBatch := r.total(), uint64(defaultMaxBatch)
	if r.MaxBatch > 0 {
		maxBatch = uint64(r.MaxBatch)
	}
	wall := r.wall
	if wall == nil {
		wall = time.Now
	}
	sleep := newSleeper()
	defer sleep.stop()
	for next := r.First; next < total; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		elapsed := time.Since(r.start)
		due := r.due(elapsed, total)
		if late := r.late(elapsed, due); late > next {
			r.left.Add(late - next)
			next = late
			r.next.Store(next)
		}
		if due > next {
			b := Batch{
				First: next,
				N:     int(min(due-next, maxBatch)),
				Lag:   max(0, elapsed-r.Schedule.Due(next)),
			}
			if !r.Unpaced {
				b.Step = from.follow(wall(), elapsed)
			}
			b.Start = from.wall
			r.worst.Store(max(r.worst.Load(), int64(b.Lag)))
			if err := emit(b); err != nil {
				return err
			}
			next += uint64(b.N)
			r.next.Store(next)
			if next < due || next == total {
				continue
			}
		}
		// Measured from this wake, not from after emit: what became due during emit waits for the
		// next tick, else ever smaller batches would follow each other within the tick.
		wake := max(r.Schedule.Due(next), elapsed+granularity)
		if err := sleep.until(ctx, r.start, wake); err != nil {
			return err
		}
	}
	return nil
}

// due is the number of events that may be handed out.
func (r *Runner) due(elapsed time.Duration, total uint64) uint64 {
	if r.Unpaced {
		return total
	}
	return min(r.Schedule.Count(elapsed), total)
}

// late is the number of events that have been due for too long, of those that are due.
func (r *Runner) late(elapsed time.Duration, due uint64) uint64 {
	if r.MaxLag <= 0 || r.Unpaced || elapsed <= r.MaxLag {
		return 0
	}
	return min(r.Schedule.Count(elapsed-r.MaxLag), due)
}

// total is how many events the run has.
func (r *Runner) total() uint64 {
	total := uint64(math.MaxUint64)
	if r.Count > 0 {
		total = r.Count
	}
	if r.Duration > 0 {
		total = min(total, r.Schedule.Count(r.Duration-1))
	}
	return total
}

// Dropped is how many events were left out so far. Safe to call from any goroutine.
func (r *Runner) Dropped() uint64 { return r.left.Load() }

// Lag says how long the oldest event that is due and not yet emitted has been waiting; 0 if there is
// none or the run has ended. Safe to call from any goroutine, also before Run.
func (r *Runner) Lag() time.Duration {
	next := r.next.Load()
	if !r.live.Load() || r.Unpaced || next >= r.total() {
		return 0
	}
	return max(0, time.Since(r.start)-r.Schedule.Due(next))
}

// WorstLag is the largest Batch.Lag so far. Safe to call from any goroutine.
func (r *Runner) WorstLag() time.Duration { return time.Duration(r.worst.Load()) }

// sleeper is one timer, reused, so that pacing allocates nothing.
type sleeper struct{ timer *time.Timer }

func newSleeper() sleeper {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return sleeper{t}
}

func (s sleeper) stop() { s.timer.Stop() }

// until blocks until so long after start, or until ctx is done, and then gives its cause.
func (s sleeper) until(ctx context.Context, start time.Time, elapsed time.Duration) error {
	d := elapsed - time.Since(start)
	if d <= 0 {
		return nil
	}
	s.timer.Reset(d)
	select {
	case <-s.timer.C:
		return nil
	case <-ctx.Done():
		s.timer.Stop()
		return context.Cause(ctx)
	}
}
