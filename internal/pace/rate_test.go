package pace

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Rate
		err      string
	}{
		{"a bare number is per second", "5", 5 * PerSecond, ""},
		{"the unit may be written", "5/s", 5 * PerSecond, ""},
		{"k is a thousand", "50k", 50_000 * PerSecond, ""},
		{"K is a thousand as well", "50K/s", 50_000 * PerSecond, ""},
		{"M is a million", "2M", 2_000_000 * PerSecond, ""},
		{"a fraction of a thousand", "2.5k/s", 2_500 * PerSecond, ""},
		{"one event in ten seconds", "0.1", PerSecond / 10, ""},
		{"a leading point", ".5", PerSecond / 2, ""},
		{"zeros at both ends say nothing", "0005.50000000000", 5*PerSecond + PerSecond/2, ""},
		{"a billionth is the finest", "0.000000001", 1, ""},
		{"and in thousands it is three places finer", "0.000000000001k", 1, ""},
		{"the highest rate", "1000M", MaxRate, ""},
		{"space around is forgiven", " 5/s ", 5 * PerSecond, ""},
		{"zero is refused", "0", 0, `must be above 0, got "0"`},
		{"zero is refused however long", "0.000k/s", 0, `must be above 0, got "0.000k/s"`},
		{"negative is refused", "-1", 0, `must be above 0, got "-1"`},
		{"NaN is refused", "NaN", 0, `must be events per second such as 5, 0.1, 50k or 5/s, got "NaN"`},
		{"YAML's NaN too", ".nan", 0, `must be events per second such as`},
		{"infinity is refused", "Inf", 0, `must be events per second such as`},
		{"nothing is refused", "", 0, `must be events per second such as`},
		{"a sign is no number", "-", 0, `must be events per second such as`},
		{"a unit is no number", "/s", 0, `must be events per second such as`},
		{"a suffix is no number", "k", 0, `must be events per second such as`},
		{"two points are refused", "1.2.3", 0, `must be events per second such as`},
		{"a trailing point is refused", "5.", 0, `must be events per second such as`},
		{"per minute does not exist", "5/m", 0, `must be events per second such as`},
		{"a quotient does not exist", "1/3", 0, `must be events per second such as`},
		{"an exponent is refused", "1e6", 0, `must be events per second such as`},
		{"hexadecimal is refused", "0x10", 0, `must be events per second such as`},
		{"finer than a billionth is refused, not rounded", "0.0000000015", 0, "must have at most nine decimals"},
		{"above the highest", "1001M", 0, `must be at most 1000000000/s, got "1001M"`},
		{"far above the highest", strings.Repeat("9", 400), 0, "must be at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseRate(c.in)
			if c.err == "" && (err != nil || got != c.want) {
				t.Errorf("ParseRate(%q) = %d, %v; want %d", c.in, got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("ParseRate(%q) = %d, %v; want an error with %q", c.in, got, err, c.err)
			}
		})
	}
}

func TestRateWritesWhatItReads(t *testing.T) {
	for in, want := range map[string]string{
		"5": "5/s", "0.1": "0.1/s", "50k": "50000/s", "2.5k/s": "2500/s", "0.000000001": "0.000000001/s", "1.050": "1.05/s",
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(in)); err != nil {
			t.Fatal(err)
		}
		text, _ := r.MarshalText()
		if string(text) != want {
			t.Errorf("%q is written as %q, want %q", in, text, want)
		}
	}
	r := 5 * PerSecond
	if err := r.UnmarshalText([]byte("junk")); err == nil || r != 5*PerSecond {
		t.Errorf("a refused text left rate %v (err %v), want the old value untouched", r, err)
	}
	if got := Rate(math.MinInt64).String(); got != "-9223372036.854775808/s" {
		t.Errorf("lowest Rate is written as %q", got)
	}
}

func TestScheduleDoesNotDriftOverDays(t *testing.T) {
	const days = 400 * 24 * 3600
	for _, c := range []struct {
		rate Rate
		i    uint64
		want time.Duration
	}{
		{5 * PerSecond, 5 * days, days * time.Second},
		{500_000 * PerSecond, 500_000 * days, days * time.Second},
		{PerSecond / 10, days / 10, days * time.Second},
		{3 * PerSecond, 1, 333333334},
		{3 * PerSecond, 3 * days, days * time.Second},
		{7 * PerSecond, 7*days + 1, days*time.Second + 142857143},
		{MaxRate, 1, 1},
		{1, math.MaxUint64, math.MaxInt64},
		{0, 1, math.MaxInt64},
	} {
		if got := c.rate.Due(c.i); got != c.want {
			t.Errorf("Rate(%v).Due(%d) = %d ns, want %d ns", c.rate, c.i, got, c.want)
		}
	}
}

func TestCountEdges(t *testing.T) {
	for _, c := range []struct {
		name    string
		rate    Rate
		elapsed time.Duration
		want    uint64
	}{
		{"nothing is due before the start", 5 * PerSecond, -1, 0},
		{"the first event is due at the start", 5 * PerSecond, 0, 1},
		{"a nanosecond early is early", 5 * PerSecond, 200*time.Millisecond - 1, 1},
		{"due means at, not after", 5 * PerSecond, 200 * time.Millisecond, 2},
		{"a rounded due time counts too", 3 * PerSecond, 333333334, 2},
		{"and not a nanosecond before", 3 * PerSecond, 333333333, 1},
		{"no rate has no events", 0, time.Hour, 0},
		{"the longest run at the highest rate", MaxRate, math.MaxInt64, math.MaxInt64 + 1},
		{"beyond what can be counted", math.MaxInt64, math.MaxInt64, math.MaxUint64},
	} {
		if got := c.rate.Count(c.elapsed); got != c.want {
			t.Errorf("%s: Rate(%v).Count(%v) = %d, want %d", c.name, c.rate, c.elapsed, got, c.want)
		}
	}
}

// FuzzParseRate holds that what is read is written back to the same value, and never 0 or below.
func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"5", "0.1", "2.5k/s", "NaN", "-1", "1000M", ".5", "0.0000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil {
			return
		}
		if r <= 0 || r > MaxRate {
			t.Fatalf("ParseRate(%q) = %d, outside (0, MaxRate]", s, r)
		}
		if again, err := ParseRate(r.String()); err != nil || again != r {
			t.Fatalf("ParseRate(%q) = %d, but ParseRate(%q) = %d, %v", s, r, r.String(), again, err)
		}
	})
}

// FuzzRate holds Due and Count against each other and against exact arithmetic.
func FuzzRate(f *testing.F) {
	f.Add(int64(5*PerSecond), uint64(1))
	f.Add(int64(3*PerSecond), uint64(1<<40))
	f.Add(int64(500_000*PerSecond), uint64(1<<45))
	f.Add(int64(1), uint64(9))
	f.Fuzz(func(t *testing.T, rate int64, i uint64) {
		r := Rate(rate)
		if r <= 0 || r > MaxRate {
			return
		}
		due := r.Due(i)
		exact := new(big.Int).Mul(new(big.Int).SetUint64(i), new(big.Int).SetUint64(second))
		exact.Add(exact, big.NewInt(rate-1)).Quo(exact, big.NewInt(rate))
		if !exact.IsInt64() {
			if due != math.MaxInt64 {
				t.Fatalf("Rate(%v).Due(%d) = %d, want it held at the largest Duration", r, i, due)
			}
			return
		}
		if exact.Int64() != int64(due) {
			t.Fatalf("Rate(%v).Due(%d) = %d, want %s", r, i, due, exact)
		}
		if n := r.Count(due); n <= i {
			t.Fatalf("Rate(%v).Count(Due(%d)) = %d: an event that is due is not counted", r, i, n)
		}
		if n := r.Count(due - 1); n > i {
			t.Fatalf("Rate(%v).Count(Due(%d)-1) = %d: an event is counted before it is due", r, i, n)
		}
	})
}

func BenchmarkDue(b *testing.B) {
	r, i := 499_999*PerSecond, uint64(1<<40)
	var sum time.Duration
	for b.Loop() {
		sum += r.Due(i)
		i++
	}
	_ = sum
}
