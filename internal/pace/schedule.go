// Package pace says when event i is due, and hands events out when they are.
//
// The schedule is open-loop: event i is due at start + i/rate, whatever happened to the events
// before it. A stall is caught up instead of silently lowering the rate, and how far the run is
// behind is always known. A token bucket cannot do this: with a burst of one it is bound by how
// soon a sleeper wakes (asked for 5000/s, golang.org/x/time/rate gave 1785/s), and a larger burst
// only hides the stall.
package pace

import "time"

// Schedule says when the events of a run are due, counted from its start.
//
// Due never decreases, and Count(e) is the number of events whose Due is at or before e.
// Both are pure and safe for concurrent use.
type Schedule interface {
	Due(i uint64) time.Duration
	Count(elapsed time.Duration) uint64
}

// maxStep is how far the wall clock may leave the monotonic clock before event times follow it.
// A clock that is slewed stays within it; one that is set, or a machine that slept, does not.
const maxStep = time.Second

// origin is the wall-clock time of event 0.
//
// Due times are counted on the monotonic clock, which no one can set. When the wall clock was wrong
// at boot and is set later, or the machine slept, event times would stay wrong until a restart;
// follow moves the origin instead.
type origin struct{ wall time.Time }

// follow moves the origin if the wall clock has been set since, and says by how much (0 = it was not).
func (o *origin) follow(wallNow time.Time, elapsed time.Duration) time.Duration {
	step := wallNow.Round(0).Sub(o.wall) - elapsed
	if step.Abs() <= maxStep {
		return 0
	}
	o.wall = o.wall.Add(step)
	return step
}
