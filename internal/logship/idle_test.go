package logship

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
)

// BenchmarkThousandIdleLogs has a thousand logs in one folder that were read, and
// measures what the process costs while nothing comes to them, and while ten of
// them get a line each second. An iteration is ten seconds of the clock; the
// broker is in the same process.
func BenchmarkThousandIdleLogs(b *testing.B) {
	const logs, window = 1000, 10 * time.Second
	dir := b.TempDir()
	for i := range logs {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.log", i)), []byte("one line\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	k := kafkatest.Start(b, kfake.BlackholeProduce())
	kafkatest.CreateTopic(b, k.Addr, "events", 1)
	cfg := Default()
	cfg.Paths, cfg.StateDir, cfg.Brokers, cfg.Admin.Listen = []string{dir + "/*.log"}, b.TempDir(), []string{k.Addr}, admin.Off
	app, err := New(cfg, daemon.Process{Name: "logship", Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	kafkatest.WaitFor(b, "all lines to be acknowledged", func() bool { return app.group.Status().Acked == logs })
	time.Sleep(20 * time.Second) // connections are let go, looks become rare

	var before, after runtime.MemStats
	measure := func(name string, during func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				runtime.ReadMemStats(&before)
				cpu, start := cpuTime(b), time.Now()
				during()
				took := time.Since(start)
				b.ReportMetric((cpuTime(b)-cpu).Seconds()/took.Seconds()*100, "%core")
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/took.Seconds(), "allocs/s")
			}
			b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
			b.ReportMetric(float64(resident(b))/1e6, "MB-resident")
		})
	}
	measure("quiet", func() { time.Sleep(window) })
	measure("ten_lines_a_second", func() {
		for range int(window / time.Second) {
			for i := range 10 {
				f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%04d.log", i*97)), os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = f.WriteString("another line\n")
				_ = f.Close()
			}
			time.Sleep(time.Second)
		}
	})
}

// resident is the memory of the process that is in RAM, in bytes.
func resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
