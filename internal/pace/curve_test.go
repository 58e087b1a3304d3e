package pace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// monday is a Monday, at midnight.
var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// shapes is one of each curve, at even distances and at random.
func shapes(t *testing.T) map[string]Schedule {
	t.Helper()
	file := filepath.Join(t.TempDir(), "curve.csv")
	if err := os.WriteFile(file, []byte("seconds,factor\n0,1\n# a pause\n10.5,0\n20,2.25\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]Schedule)
	for _, curve := range []string{constant, ramp, steps, sine, daily, fromFile} {
		for _, arrivals := range []string{paced, poisson} {
			s := DefaultShape()
			s.Curve, s.Arrivals, s.File = curve, arrivals, file
			if p := s.Problems(); len(p) > 0 {
				t.Fatalf("%s: %v", curve, p)
			}
			made, err := s.Schedule(7*PerSecond/3, monday.Add(31*time.Hour), 5)
			if err != nil {
				t.Fatal(err)
			}
			all[curve+" "+arrivals] = made
		}
	}
	return all
}

// TestCountAndDueAgree holds the two against each other around every event, near and far: the contract of
// Schedule, on which exactness rests.
func TestCountAndDueAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, s := range shapes(t) {
		events := []uint64{0, 1, 2, 3, 23, 24, 25, 1023, 1024, 1025}
		for range 300 {
			events = append(events, r.Uint64N(1<<(1+r.UintN(22))))
		}
		slices.Sort(events)
		last := time.Duration(-1)
		for _, i := range events {
			due := s.Due(i)
			if due < last {
				t.Fatalf("%s: event %d is due at %v, an earlier one at %v", name, i, due, last)
			}
			last = due
			if n := s.Count(due); n < i+1 {
				t.Fatalf("%s: event %d is due at %v, but only %d events are by then", name, i, due, n)
			}
			if due > 0 {
				if n := s.Count(due - 1); n > i {
					t.Fatalf("%s: event %d is due at %v, but %d events are a nanosecond before", name, i, due, n)
				}
			}
		}
		if n := s.Count(-1); n != 0 {
			t.Errorf("%s: %d events before the start", name, n)
		}
	}
}

// TestCurvesHaveTheEventsThatTheySay integrates each curve by hand.
func TestCurvesHaveTheEventsThatTheySay(t *testing.T) {
	rate := 7.0 / 3
	all := shapes(t)
	for _, c := range []struct {
		curve  string
		until  time.Duration
		events float64
	}{
		{constant, time.Hour, rate * 3600},
		{ramp, 10 * time.Minute, rate * 600 / 2},
		{ramp, 20 * time.Minute, rate * (300 + 600)},
		{steps, 5 * time.Minute, rate * (60 + 120 + 180)},
		{sine, 10 * time.Minute, rate * 600},
		{sine, 25 * time.Minute, rate * (1500 + 0.5*600/math.Pi)},
		{daily, week, rate * week.Seconds()},
		{daily, 10 * week, rate * 10 * week.Seconds()},
		{fromFile, 30 * time.Second, rate * (10.5 + 22.5)},
	} {
		got := float64(all[c.curve+" paced"].Count(c.until))
		if math.Abs(got-c.events) > 2 {
			t.Errorf("%s: %v events in %v, want %v", c.curve, got, c.until, c.events)
		}
		got = float64(all[c.curve+" poisson"].Count(c.until))
		if math.Abs(got-c.events) > 5*math.Sqrt(c.events) {
			t.Errorf("%s at random: %v events in %v, want %v and five standard deviations at most", c.curve, got, c.until, c.events)
		}
	}
}

func TestDayHasItsBusyHour(t *testing.T) {
	s := DefaultShape()
	s.Curve = daily
	made, err := s.Schedule(100*PerSecond, monday, 1)
	if err != nil {
		t.Fatal(err)
	}
	hour := func(day, h int) float64 {
		at := time.Duration(day)*24*time.Hour + time.Duration(h)*time.Hour
		return float64(made.Count(at+time.Hour) - made.Count(at))
	}
	if night, evening := hour(0, 3), hour(0, 20); evening < 10*night {
		t.Errorf("%v events from 20 to 21 h, %v from 3 to 4 h, want more than ten times as many", evening, night)
	}
	if monday, sunday := hour(0, 12), hour(6, 12); math.Abs(sunday/monday-1.2) > 0.01 {
		t.Errorf("Sunday has %v as many events as Monday, want 1.2 times", sunday/monday)
	}
	// A run that starts in the evening begins with the evening.
	late, err := s.Schedule(100*PerSecond, monday.Add(20*time.Hour), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := float64(late.Count(time.Hour)), hour(0, 20); math.Abs(got-want) > 2 {
		t.Errorf("started at 20 h it has %v events in the first hour, want %v", got, want)
	}
}

func TestRandomArrivalsAreExponential(t *testing.T) {
	s := DefaultShape()
	s.Arrivals = poisson
	made, err := s.Schedule(1000*PerSecond, monday, 9)
	if err != nil {
		t.Fatal(err)
	}
	const n = 50_000
	gaps := make([]float64, n)
	for i := range gaps {
		gaps[i] = (made.Due(uint64(i+1)) - made.Due(uint64(i))).Seconds()
	}
	slices.Sort(gaps)
	distance := func(rate float64) (worst float64) {
		for i, g := range gaps {
			p := 1 - math.Exp(-rate*g)
			worst = max(worst, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
		}
		return worst * math.Sqrt(n)
	}
	if x := distance(1000); x > 1.95 {
		t.Errorf("the largest distance from the exponential distribution is %.2f", x)
	}
	if x := distance(1050); x < 3 {
		t.Errorf("a rate that is wrong by 5 %% has a distance of only %.2f: the test sees nothing", x)
	}
	again, _ := s.Schedule(1000*PerSecond, monday, 9)
	if a, b := again.Due(12_345), made.Due(12_345); a != b {
		t.Errorf("asked at once event 12345 is due at %v, in order at %v", a, b)
	}
}

func TestShapeThatCannotWorkIsToldByKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, key, want string
		change          func(*Shape)
	}{
		{"arrivals", "arrivals", `want paced or poisson, got "bursts"`, func(s *Shape) { s.Arrivals = "bursts" }},
		{"curve", "curve", `want constant, ramp, steps, sine, daily or file, got "line"`, func(s *Shape) { s.Curve = "line" }},
		{"ramp", "ramp_to", "is 0 everywhere", func(s *Shape) { s.Curve, s.RampTo = ramp, 0 }},
		{"negative", "ramp_from", "must be between 0 and 1e+09, got -1", func(s *Shape) { s.RampFrom = -1 }},
		{"NaN", "sine_amplitude", "must be between 0 and 1, got NaN", func(s *Shape) { s.Amplitude = math.NaN() }},
		{"back in time", "steps[2].at", "goes back in time: 1m0s after 1m0s", func(s *Shape) { s.Steps[2].At = time.Minute }},
		{"late first step", "steps[0].at", "the first step must be at 0s, got 1s", func(s *Shape) { s.Steps[0].At = time.Second }},
		{"23 hours", "daily_hours", "must be 24 numbers, got 23", func(s *Shape) { s.Hours = s.Hours[1:] }},
		{"no weekday", "daily_weekdays", "is 0 everywhere", func(s *Shape) { s.Weekdays = make([]float64, 7) }},
		{"no file", "file", "must be given for the curve file", func(s *Shape) { s.Curve = fromFile }},
		{"missing file", "file", "no such file", func(s *Shape) { s.Curve, s.File = fromFile, dir+"/none.csv" }},
		{"file back in time", "file", "back.csv:3: goes back in time: 5s after 9s", func(s *Shape) {
			s.Curve, s.File = fromFile, write("back.csv", "0,1\n9,2\n5,1\n")
		}},
		{"file of text", "file", `text.csv:2: want SECONDS,FACTOR, got "a lot"`, func(s *Shape) {
			s.Curve, s.File = fromFile, write("text.csv", "0,1\na lot\n")
		}},
		{"file without a beginning", "file", "late.csv:1: the first line must be for second 0", func(s *Shape) {
			s.Curve, s.File = fromFile, write("late.csv", "5,1\n")
		}},
	} {
		s := DefaultShape()
		c.change(&s)
		if got := s.Problems(); len(got) != 1 || !strings.Contains(got[c.key], c.want) {
			t.Errorf("%s: %v, want %s: …%s…", c.name, got, c.key, c.want)
		}
	}
	s := DefaultShape()
	s.Curve, s.RampTo = ramp, 1e9
	if _, err := s.Schedule(2*PerSecond, monday, 0); err == nil || !strings.Contains(err.Error(), "above 1000000000/s") {
		t.Errorf("a ramp to 2e9/s: %v, want a refusal", err)
	}
}

func TestEventsThatAreTooLateAreLeftOutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := log{start: time.Now()}
		r := Runner{Schedule: 1000 * PerSecond, Count: 10_000, MaxLag: 500 * time.Millisecond}
		next := uint64(0)
		err := r.Run(t.Context(), func(b Batch) error {
			if b.First < next {
				t.Fatalf("event %d came twice", b.First)
			}
			if b.Lag > 500*time.Millisecond {
				t.Errorf("event %d came %v late, although it should have been left out", b.First, b.Lag)
			}
			next = b.First + uint64(b.N)
			if b.First >= 2000 && b.First < 2010 {
				time.Sleep(3 * time.Second)
			}
			return l.emit(b)
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Dropped(); n < 2490 || n > 2510 || uint64(len(l.at))+n != 10_000 {
			t.Errorf("%d events came and %d were left out, want 2500 of 10000 after a stall of 3 s", len(l.at), n)
		}
		if took := time.Since(l.start); took > 10*time.Second {
			t.Errorf("it took %v, want to be on time again", took)
		}
	})
}

func TestUnpacedRunDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := log{start: time.Now()}
		r := Runner{Schedule: PerSecond, Count: 100_000, Unpaced: true}
		if err := r.Run(t.Context(), l.emit); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(l.start); took > 0 || len(l.at) != 100_000 || r.Lag() != 0 {
			t.Errorf("%d events in %v, lag %v; want 100000 at once", len(l.at), took, r.Lag())
		}
	})
}

func TestRunThatBeginsInTheMiddleIsDueAtOnce(t *testing.T) {
	for name, s := range shapes(t) {
		synctest.Test(t, func(t *testing.T) {
			l := log{start: time.Now()}
			r := Runner{Schedule: s, First: 500, Count: 520}
			var first, last uint64
			err := r.Run(t.Context(), func(b Batch) error {
				if first == 0 {
					first = b.First
				}
				last = b.First + uint64(b.N)
				return l.emit(b)
			})
			if err != nil || first != 500 || last != 520 {
				t.Fatalf("%s: events %d to %d, %v; want 500 to 520", name, first, last, err)
			}
			if l.at[0] != 0 {
				t.Errorf("%s: the first event came after %v, want at once", name, l.at[0])
			}
			for i, at := range l.at {
				want := s.Due(uint64(500+i)) - s.Due(500)
				if at < want || at > want+granularity {
					t.Errorf("%s: event %d came after %v, want %v", name, 500+i, at, want)
				}
			}
		})
	}
}

func BenchmarkCurves(b *testing.B) {
	for _, curve := range []string{constant, sine, daily} {
		for _, arrivals := range []string{paced, poisson} {
			b.Run(fmt.Sprintf("%s/%s", curve, arrivals), func(b *testing.B) {
				s := DefaultShape()
				s.Curve, s.Arrivals = curve, arrivals
				made, err := s.Schedule(500_000*PerSecond, monday, 1)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				i := uint64(0)
				for b.Loop() {
					made.Due(i)
					i++
				}
			})
		}
	}
}
