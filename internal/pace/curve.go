package pace

import (
	"math"
	"sort"
	"time"
)

// Curve is a rate that changes with time, in steps: a ramp or a wave is a staircase fine enough not to be
// seen. All of it is integer arithmetic, so that Due and Count agree to the nanosecond however long a run
// is, and a schedule is the same on every machine.
type Curve struct {
	parts  []part
	period time.Duration // above 0: the parts come again and again
	cycle  wide          // events of one period
}

// part is a time of constant rate.
type part struct {
	from time.Duration
	rate Rate
	done wide // events before it
}

var _ Schedule = (*Curve)(nil)

// newCurve makes a Curve of parts, of which from and rate are set. The first begins at 0, the last one
// lasts for ever, or until the period ends.
func newCurve(parts []part, period time.Duration) *Curve {
	c := &Curve{parts: parts, period: period}
	for i := 1; i < len(parts); i++ {
		before := parts[i-1]
		parts[i].done = before.done.plus(times(uint64(before.rate), uint64(parts[i].from-before.from)))
	}
	if period > 0 {
		last := parts[len(parts)-1]
		c.cycle = last.done.plus(times(uint64(last.rate), uint64(period-last.from)))
	}
	return c
}

// done is how many events there were until elapsed, times second.
func (c *Curve) done(elapsed time.Duration) wide {
	var before wide
	if c.period > 0 {
		before = c.cycle.scaled(uint64(elapsed / c.period))
		elapsed %= c.period
	}
	i := sort.Search(len(c.parts), func(i int) bool { return c.parts[i].from > elapsed }) - 1
	p := &c.parts[i]
	return before.plus(p.done).plus(times(uint64(p.rate), uint64(elapsed-p.from)))
}

// when is the first moment at which done is at least target.
func (c *Curve) when(target wide) time.Duration {
	var cycles uint64
	if c.period > 0 {
		if c.cycle == (wide{}) {
			return math.MaxInt64
		}
		cycles = c.cycles(target)
		if cycles > uint64(math.MaxInt64/c.period) {
			return math.MaxInt64
		}
		target = target.minus(c.cycle.scaled(cycles))
	}
	// The last part that begins with less than target done, else the moment lies at its very beginning.
	i := sort.Search(len(c.parts), func(i int) bool { return !c.parts[i].done.less(target) }) - 1
	if i < 0 {
		return time.Duration(cycles) * c.period
	}
	p := &c.parts[i]
	if p.rate <= 0 {
		return math.MaxInt64 // the last part, and nothing comes any more
	}
	within, rest := target.minus(p.done).over(uint64(p.rate))
	if rest {
		within++
	}
	begin := time.Duration(cycles)*c.period + p.from
	if within > uint64(math.MaxInt64-begin) {
		return math.MaxInt64
	}
	return begin + time.Duration(within)
}

// cycles is the number of whole periods before target is reached, so that something of it is left for the
// next one unless target is nothing.
func (c *Curve) cycles(target wide) uint64 {
	if target == (wide{}) {
		return 0
	}
	n := uint64(target.float() / c.cycle.float()) // may be off by one
	for n > 0 && !c.cycle.scaled(n).less(target) {
		n--
	}
	for c.cycle.scaled(n + 1).less(target) {
		n++
	}
	return n
}

// Due says how long after the start event i is due, rounded up to the next nanosecond.
func (c *Curve) Due(i uint64) time.Duration { return c.when(times(i, second)) }

// Count says how many events are due when elapsed has passed since the start.
func (c *Curve) Count(elapsed time.Duration) uint64 {
	if elapsed < 0 {
		return 0
	}
	n, _ := c.done(elapsed).over(second)
	if n == math.MaxUint64 {
		return n
	}
	return n + 1
}

// most is the highest rate there is.
func (c *Curve) most() (r Rate) {
	for _, p := range c.parts {
		r = max(r, p.rate)
	}
	return r
}

// scale is a rate times a factor.
func scale(r Rate, factor float64) Rate {
	v := float64(r) * factor
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return Rate(math.Round(v))
}

// stairs approximates a function of time, the factor of a rate, by steps that are as wide as given. Each
// has the value in its middle.
func stairs(base Rate, over, width time.Duration, factor func(at time.Duration) float64) []part {
	var parts []part
	for at := time.Duration(0); at < over; at += width {
		r := scale(base, factor(at+min(width, over-at)/2))
		if n := len(parts); n == 0 || parts[n-1].rate != r {
			parts = append(parts, part{from: at, rate: r})
		}
	}
	return parts
}

// noEvents is what is wrong with a curve that has none.
const noEvents = "is 0 everywhere"
