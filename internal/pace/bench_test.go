package pace

import (
	"syscall"
	"testing"
	"time"
)

// BenchmarkPace runs the schedule in real time and reports what was asked for, what was reached, the
// worst lag and the CPU it took. Run it alone: go test -run=- -bench=Pace ./internal/pace
func BenchmarkPace(b *testing.B) {
	for _, c := range []struct {
		rate Rate
		runs time.Duration
	}{
		{PerSecond / 10, 20*time.Second + 1},
		{5 * PerSecond, 5 * time.Second},
		{5_000 * PerSecond, 3 * time.Second},
		{50_000 * PerSecond, 3 * time.Second},
		{500_000 * PerSecond, 3 * time.Second},
		{5_000_000 * PerSecond, 3 * time.Second},
	} {
		b.Run(c.rate.String(), func(b *testing.B) {
			for b.Loop() {
				r := Runner{Schedule: c.rate, Duration: c.runs}
				events, batches := 0, 0
				before, start := cpuTime(b), time.Now()
				err := r.Run(b.Context(), func(batch Batch) error {
					events += batch.N
					batches++
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				took := time.Since(start)
				cpu := cpuTime(b) - before
				// The gaps between n events are n-1: 3 events at 0.1/s take 20 s.
				b.ReportMetric(float64(events-1)/took.Seconds(), "events/s")
				b.ReportMetric(float64(r.WorstLag().Microseconds())/1000, "worst-lag-ms")
				b.ReportMetric(100*cpu.Seconds()/took.Seconds(), "cpu-%")
				b.ReportMetric(float64(batches)/took.Seconds(), "batches/s")
			}
		})
	}
}

func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
