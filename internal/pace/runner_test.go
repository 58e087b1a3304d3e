package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is what a run handed out, event by event.
type log struct {
	start   time.Time
	at      []time.Duration // when each event was handed out, since start
	batches []Batch
}

func (l *log) emit(b Batch) error {
	l.batches = append(l.batches, b)
	for range b.N {
		l.at = append(l.at, time.Since(l.start))
	}
	return nil
}

// inOrder fails unless every event came exactly once, in order and never early.
func (l *log) inOrder(t *testing.T, s Schedule, events int) {
	t.Helper()
	next := uint64(0)
	for _, b := range l.batches {
		if b.First != next || b.N < 1 {
			t.Fatalf("batch %d+%d came where event %d was next", b.First, b.N, next)
		}
		next += uint64(b.N)
	}
	if len(l.at) != events {
		t.Fatalf("%d events came, want %d", len(l.at), events)
	}
	for i, at := range l.at {
		if due := s.Due(uint64(i)); at < due {
			t.Fatalf("event %d came at %v, before it was due at %v", i, at, due)
		}
	}
}

func TestSlowRateWakesExactlyWhenAnEventIsDue(t *testing.T) {
	for _, rate := range []Rate{PerSecond / 10, PerSecond, 5 * PerSecond, 7 * PerSecond} {
		synctest.Test(t, func(t *testing.T) {
			l := log{start: time.Now()}
			r := Runner{Schedule: rate, Count: 20}
			if err := r.Run(t.Context(), l.emit); err != nil {
				t.Fatal(err)
			}
			l.inOrder(t, rate, 20)
			for i, at := range l.at {
				if due := rate.Due(uint64(i)); at != due {
					t.Errorf("at %v event %d came at %v, want exactly %v", rate, i, at, due)
				}
			}
			if r.WorstLag() != 0 {
				t.Errorf("at %v the worst lag was %v, want 0", rate, r.WorstLag())
			}
		})
	}
}

func TestFastRateHandsOutOncePerMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := 500_000 * PerSecond
		l := log{start: time.Now()}
		r := Runner{Schedule: rate, Duration: time.Second}
		if err := r.Run(t.Context(), l.emit); err != nil {
			t.Fatal(err)
		}
		l.inOrder(t, rate, 500_000)
		if n := len(l.batches); n > 1001 {
			t.Errorf("%d batches in a second, want at most one a millisecond", n)
		}
		if r.WorstLag() >= granularity {
			t.Errorf("the worst lag was %v, want below %v", r.WorstLag(), granularity)
		}
	})
}

func TestEmitThatTakesPartOfATickDoesNotMakeBatchesSmaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := log{start: time.Now()}
		r := Runner{Schedule: 500_000 * PerSecond, Duration: time.Second}
		err := r.Run(t.Context(), func(b Batch) error {
			time.Sleep(600 * time.Microsecond)
			return l.emit(b)
		})
		if err != nil {
			t.Fatal(err)
		}
		l.inOrder(t, r.Schedule, 500_000)
		if n := len(l.batches); n > 1001 {
			t.Errorf("%d batches in a second, want at most one a millisecond: each costs a system call", n)
		}
	})
}

func TestStallIsCaughtUpInBoundedBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := 10_000 * PerSecond
		l := log{start: time.Now()}
		r := Runner{Schedule: rate, Duration: 10 * time.Second, MaxBatch: 1000}
		stalled := false
		err := r.Run(t.Context(), func(b Batch) error {
			if b.N > 1000 {
				t.Errorf("a batch of %d, want at most 1000", b.N)
			}
			if !stalled && b.First >= 20_000 {
				stalled = true
				time.Sleep(5 * time.Second)
				if lag := r.Lag(); lag < 5*time.Second-granularity || lag > 5*time.Second+granularity {
					t.Errorf("while stalled for 5 s Lag() = %v", lag)
				}
			}
			return l.emit(b)
		})
		if err != nil {
			t.Fatal(err)
		}
		l.inOrder(t, rate, 100_000)
		if got := l.at[70_000]; got > 7*time.Second+granularity {
			t.Errorf("event 70000 came at %v: the stall of 5 s after 2 s was not caught up", got)
		}
		if w := r.WorstLag(); w < 4900*time.Millisecond || w > 5*time.Second {
			t.Errorf("worst lag %v, want the stall's 5 s less one batch", w)
		}
		if r.Lag() != 0 {
			t.Errorf("after the run Lag() = %v, want 0", r.Lag())
		}
	})
}

func TestRunEndsWhenItShould(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *Runner
		events int
		took   time.Duration
	}{
		{"after Count events, without waiting for the next", &Runner{Schedule: 5 * PerSecond, Count: 11}, 11, 2 * time.Second},
		{"before the event that is due at Duration", &Runner{Schedule: 5 * PerSecond, Duration: 2 * time.Second}, 10, 1800 * time.Millisecond},
		{"by whichever comes first: Count", &Runner{Schedule: 5 * PerSecond, Count: 3, Duration: time.Hour}, 3, 400 * time.Millisecond},
		{"by whichever comes first: Duration", &Runner{Schedule: 5 * PerSecond, Count: 300, Duration: time.Second}, 5, 800 * time.Millisecond},
		{"with one event if Duration is shorter than a gap", &Runner{Schedule: PerSecond / 10, Duration: time.Nanosecond}, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := log{start: time.Now()}
			if err := c.r.Run(t.Context(), l.emit); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			l.inOrder(t, c.r.Schedule, c.events)
			if took := time.Since(l.start); took != c.took {
				t.Errorf("%s: took %v, want %v", c.name, took, c.took)
			}
		})
	}
}

func TestCancelIsNoticedInTheMiddleOfALongSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		l := log{start: time.Now()}
		r := Runner{Schedule: PerSecond / 1000}
		go func() {
			time.Sleep(30 * time.Second)
			cancel(cause)
		}()
		if err := r.Run(ctx, l.emit); err != cause {
			t.Errorf("Run = %v, want the cause of the cancellation", err)
		}
		if took := time.Since(l.start); took != 30*time.Second {
			t.Errorf("took %v, want 30 s", took)
		}
		l.inOrder(t, r.Schedule, 1)
	})
}

func TestCancelledRunFinishesTheBatchInHandAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := log{start: time.Now()}
		r := Runner{Schedule: 1000 * PerSecond, MaxBatch: 10}
		err := r.Run(ctx, func(b Batch) error {
			time.Sleep(time.Second) // for ever behind: there is always another batch
			if b.First >= 100 {
				cancel()
			}
			return l.emit(b)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		if last := l.batches[len(l.batches)-1]; last.First != 101 {
			t.Errorf("the last batch began at %d, want 101: batches of 1, 10, 10, … until the cancelled one", last.First)
		}
	})
}

func TestErrorOfEmitEndsTheRunAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		r := Runner{Schedule: 5 * PerSecond}
		if err := r.Run(t.Context(), func(Batch) error { return broken }); err != broken {
			t.Errorf("Run = %v, want %v", err, broken)
		}
		if err := r.Run(t.Context(), func(Batch) error { return nil }); err == nil {
			t.Error("the second Run of a Runner gave no error")
		}
	})
}

func TestEventTimesFollowAClockThatIsSet(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		wall    time.Time // what the wall clock shows when 1 h has passed
		step    time.Duration
		atEvent time.Time // the time that an event due after 1 h then carries
	}{
		{"a true clock changes nothing", start.Add(time.Hour), 0, start.Add(time.Hour)},
		{"a slewed clock changes nothing", start.Add(time.Hour + time.Second), 0, start.Add(time.Hour)},
		{"nor does one slewed back", start.Add(time.Hour - time.Second), 0, start.Add(time.Hour)},
		{"a clock set forward is followed", start.Add(3 * time.Hour), 2 * time.Hour, start.Add(3 * time.Hour)},
		{"a clock set back is followed", start.Add(-time.Hour), -2 * time.Hour, start.Add(-time.Hour)},
	} {
		o := origin{start}
		if step := o.follow(c.wall, time.Hour); step != c.step {
			t.Errorf("%s: step %v, want %v", c.name, step, c.step)
		}
		if got := o.wall.Add(time.Hour); !got.Equal(c.atEvent) {
			t.Errorf("%s: the event carries %v, want %v", c.name, got, c.atEvent)
		}
		if step := o.follow(c.wall.Add(time.Hour), 2*time.Hour); step != 0 {
			t.Errorf("%s: the next batch sees another step of %v", c.name, step)
		}
	}
}

func TestClockThatIsSetIsToldOnceAndChangesNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		set := time.Duration(0)
		r := Runner{Schedule: PerSecond, Count: 10, wall: func() time.Time { return time.Now().Add(set) }}
		l := log{start: start}
		err := r.Run(t.Context(), func(b Batch) error {
			if b.First == 4 {
				set = time.Hour
			}
			return l.emit(b)
		})
		if err != nil {
			t.Fatal(err)
		}
		l.inOrder(t, PerSecond, 10)
		for _, b := range l.batches {
			wantStart, wantStep := start, time.Duration(0)
			if b.First >= 5 {
				wantStart = start.Add(time.Hour)
			}
			if b.First == 5 {
				wantStep = time.Hour
			}
			if !b.Start.Equal(wantStart) || b.Step != wantStep || b.Lag != 0 {
				t.Errorf("batch %d: start %v, step %v, lag %v; want %v, %v, 0", b.First, b.Start, b.Step, b.Lag, wantStart, wantStep)
			}
		}
	})
}

func TestEventTimesComeFromTheScheduleNotFromTheMomentOfWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := Runner{Schedule: 5 * PerSecond, Count: 100}
		err := r.Run(t.Context(), func(b Batch) error {
			time.Sleep(700 * time.Millisecond)
			if !b.Start.Equal(start) || b.Step != 0 {
				t.Errorf("batch at %d: start %v (step %v), want %v", b.First, b.Start, b.Step, start)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
