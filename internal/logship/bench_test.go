package logship

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/kafka/kafkatest"
)

// BenchmarkFileToBroker ships a file of a million 200-byte lines, from reading it
// to the last acknowledgement, to a broker in the same process that acknowledges
// and stores nothing. The CPU time is the whole process's, the broker's share of it
// included.
func BenchmarkFileToBroker(b *testing.B) {
	path := millionLines(b)
	for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
		b.Run(codec.String(), func(b *testing.B) {
			k := kafkatest.Start(b, kfake.BlackholeProduce())
			kafkatest.CreateTopic(b, k.Addr, "events", 1)
			shipFile(b, path, k.Addr, "events", codec)
		})
	}
}

const million = 1_000_000

func millionLines(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "events.log")
	var text bytes.Buffer
	for i := range million {
		fmt.Fprintf(&text, `{"event_id":"%08x-4905-4fe9-aa26-053b505efd8d","timestamp":"2026-11-22T10:00:00.%06dZ","product":"Garden chair %05d","category":"outdoor","currency":"EUR","user_id":"u%05d","type":"view","price":%03d.99}`+"\n",
			i, i%1_000_000, i%100_000, i%100_000, i%1000)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// shipFile ships a file of a million lines again and again, each time from nothing.
func shipFile(b *testing.B, path, addr, topic string, codec kafka.Codec) {
	b.Helper()
	size, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size.Size())
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		cfg := Default()
		cfg.Paths, cfg.StateDir, cfg.Brokers = []string{path}, b.TempDir(), []string{addr}
		cfg.Topic, cfg.Compression, cfg.Once, cfg.Admin.Listen = topic, codec, true, admin.Off
		app, err := New(cfg, daemon.Process{Name: "logship", Log: zerolog.Nop()})
		if err != nil {
			b.Fatal(err)
		}
		if err := app.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		if acked := app.group.Status().Acked; acked != million {
			b.Fatalf("acknowledged %d lines of %d", acked, million)
		}
	}
	b.ReportMetric(million*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric((cpuTime(b)-cpu).Seconds()/float64(b.N), "cpu-s/Mlines")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
