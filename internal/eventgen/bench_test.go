package eventgen

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/daemon"
	"eventline/internal/pace"
)

// BenchmarkWrite is all that a run does on one core, with and without an answer key: make a batch that is due,
// write it to a file, note what was written. TMPDIR=/dev/shm keeps the disk out of the figure.
func BenchmarkWrite(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const batch = 500
	for _, truth := range []string{"", "truth.json"} {
		name := "without a key"
		if truth != "" {
			name = "with a key"
		}
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			c := testConfig(filepath.Join(dir, "events.log"), 500_000*pace.PerSecond, 0)
			if c.StateDir = stateOff; truth != "" {
				c.Truth = filepath.Join(dir, truth)
			}
			a, err := New(c, daemon.Process{Log: zerolog.Nop(), Notify: daemon.Systemd()})
			if err != nil {
				b.Fatal(err)
			}
			ctx := context.Background()
			if err := a.begin(); err != nil {
				b.Fatal(err)
			}
			if err := a.out.Open(ctx); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			i, size := uint64(0), int64(0)
			write := func() {
				if err := a.write(ctx, pace.Batch{First: i, N: batch, Start: began}); err != nil {
					b.Fatal(err)
				}
				i += batch
				if a.total-size > 1<<30 { // keep memory and write-back out of the figure
					if err := os.Truncate(c.Path, 0); err != nil {
						b.Fatal(err)
					}
					size = a.total
				}
			}
			for range 400 { // until the shop is as full as it gets
				write()
			}
			b.ReportAllocs()
			before := a.total
			for b.Loop() {
				write()
			}
			b.SetBytes((a.total - before) / int64(b.N))
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/event")
			_ = a.out.Close()
		})
	}
}
