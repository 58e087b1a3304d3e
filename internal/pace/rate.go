package pace

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of events per second, counted in billionths of an event: 5/s is 5_000_000_000.
//
// An integer, so that a schedule never drifts and two rates can be compared. Every decimal with up
// to nine places is exact. A third of an event per second is not: 0.333333333 falls one event behind
// it in 95 years, which is why there is no rational form.
//
// A Rate is itself a [Schedule], the constant one. The zero Rate has no events.
type Rate int64

// PerSecond is one event per second.
const PerSecond Rate = 1_000_000_000

// MaxRate is the highest rate that can be asked for, a thousand million events per second.
const MaxRate = 1_000_000_000 * PerSecond

// second is one second in the unit of time.Duration times one event in the unit of Rate.
const second = uint64(time.Second) * uint64(PerSecond)

const wants = "events per second such as 5, 0.1, 50k or 5/s"

var (
	_ encoding.TextUnmarshaler = (*Rate)(nil)
	_ encoding.TextMarshaler   = Rate(0)
	_ Schedule                 = Rate(0)
)

// ParseRate reads a decimal number of events per second, such as 5, 0.1, 50k or 2.5M, optionally
// followed by "/s". The error says what was wanted and what was there; it does not name the setting.
func ParseRate(s string) (Rate, error) {
	number := strings.TrimSuffix(strings.TrimSpace(s), "/s")
	digits, negative := strings.CutPrefix(number, "-")
	scale := 9 // the power of ten between the last digit and a billionth
	switch {
	case strings.HasSuffix(digits, "k"), strings.HasSuffix(digits, "K"):
		digits, scale = digits[:len(digits)-1], scale+3
	case strings.HasSuffix(digits, "M"):
		digits, scale = digits[:len(digits)-1], scale+6
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if whole+fraction == "" || point && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return 0, fmt.Errorf("must be %s, got %q", wants, s)
	}
	fraction = strings.TrimRight(fraction, "0")
	scale -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	switch {
	case digits == "" || negative:
		return 0, fmt.Errorf("must be above 0, got %q", s)
	case scale < 0:
		return 0, fmt.Errorf("must have at most nine decimals, got %q", s)
	}
	digits += strings.Repeat("0", scale)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || Rate(n) > MaxRate {
		return 0, fmt.Errorf("must be at most %s, got %q", MaxRate, s)
	}
	return Rate(n), nil
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Wants says in messages what a Rate looks like.
func (r Rate) Wants() string { return wants }

// UnmarshalText reads what [ParseRate] reads.
func (r *Rate) UnmarshalText(text []byte) error {
	v, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// MarshalText writes what String gives.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String gives the exact rate in a form that [ParseRate] reads, such as "0.1/s" or "50000/s".
func (r Rate) String() string {
	sign, v := "", uint64(r)
	if r < 0 {
		sign, v = "-", -v
	}
	s := sign + strconv.FormatUint(v/uint64(PerSecond), 10)
	if f := v % uint64(PerSecond); f != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%09d", f), "0")
	}
	return s + "/s"
}

// Float gives the rate in events per second, for metrics and messages.
func (r Rate) Float() float64 { return float64(r) / float64(PerSecond) }

// Due says how long after the start event i is due, rounded up to the next nanosecond: i/r.
// Event 0 is due at the start. Beyond 292 years the answer is the largest Duration.
func (r Rate) Due(i uint64) time.Duration {
	if r <= 0 {
		return math.MaxInt64
	}
	due, rest := times(i, second).over(uint64(r))
	if rest {
		due++
	}
	return time.Duration(min(due, math.MaxInt64))
}

// Count says how many events are due when elapsed has passed since the start: those with Due at or
// before elapsed. It agrees with Due to the nanosecond, whatever the rate and the age of the run.
func (r Rate) Count(elapsed time.Duration) uint64 {
	if r <= 0 || elapsed < 0 {
		return 0
	}
	n, _ := times(uint64(elapsed), uint64(r)).over(second)
	if n == math.MaxUint64 {
		return n
	}
	return n + 1
}
