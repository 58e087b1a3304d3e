package verify

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventline/internal/kafka/kafkatest"
	"eventline/internal/truth"
)

// BenchmarkRun reads and judges a topic, from a broker in the same process whose work counts too.
func BenchmarkRun(b *testing.B) {
	const n = 200_000
	s := newShop(b, 0)
	s.step = time.Millisecond
	for range n {
		s.sell()
	}
	k := kafkatest.Start(b)
	kafkatest.CreateTopic(b, k.Addr, "events", 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Addr), kgo.DefaultProduceTopic("events"))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	size := 0
	for _, line := range s.lines {
		size += len(line) + 1
		cl.Produce(context.Background(), &kgo.Record{Value: []byte(line)}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	for name, edit := range map[string]func(*truth.Key){"digests": func(*truth.Key) {}, "no-digests": withoutDigests} {
		path := s.save(edit)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				a, err := Load(path)
				if err != nil {
					b.Fatal(err)
				}
				rep, err := Run(context.Background(), connectionTo(k.Addr), a, options())
				if err != nil || !rep.Equal {
					b.Fatalf("Run: %v, %+v", err, rep)
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			b.Fatal(err)
		}
	}
}
