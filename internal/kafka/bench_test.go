package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventline/internal/kafka/kafkatest"
)

// benchLines is about 1 MB of events of the size eventgen writes.
func benchLines() (lines [][]byte, bytes int) {
	for i := range 5000 {
		line := fmt.Appendf(nil, `{"event_id":"%08x-4905-4fe9-aa26-053b505efd8d","timestamp":"2026-11-22T10:00:%02d.%06dZ","product":"Garden chair %d","category":"outdoor","currency":"EUR","user_id":"u%05d","type":"view","price":%d.%02d,"quantity":1}`,
			i*2654435761, i%60, i*7919%1000000, i%300, i*31%20000, i%400, i%100)
		lines = append(lines, line)
		bytes += len(line)
	}
	return lines, bytes
}

// BenchmarkAppend is one partition, idempotent, acks=all, 5 batches of 5000 lines
// in flight, to a broker in the same process that acknowledges and stores nothing.
// One op is one batch; the broker's share of the CPU is in the figures.
func BenchmarkAppend(b *testing.B) {
	lines, bytes := benchLines()
	for _, codec := range []Codec{None, LZ4, Snappy, Zstd, Gzip} {
		b.Run(codec.String(), func(b *testing.B) {
			f := kafkatest.Start(b, kfake.BlackholeProduce(), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "16777216"}))
			kafkatest.CreateTopic(b, f.Addr, "events", 1)
			topic := open(b, settings(f.Addr)).Topic("events", ProduceOptions{Compression: codec})
			id, epoch, err := topic.ProducerID(within(b))
			if err != nil {
				b.Fatal(err)
			}
			p, err := topic.OpenPartition(within(b), 0)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			window := make(chan struct{}, maxInFlight)
			failed := make(chan error, maxInFlight)
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			sequence := int32(0)
			for b.Loop() {
				window <- struct{}{}
				p.Append(Batch{ProducerID: id, Epoch: epoch, FirstSequence: sequence, Time: time.Now(), Lines: lines},
					func(_ int64, err error) {
						if err != nil {
							failed <- err
						}
						<-window
					})
				sequence += int32(len(lines))
				if sequence < 0 {
					b.Fatal("sequence wrapped: run for a shorter time")
				}
			}
			for range maxInFlight {
				window <- struct{}{}
			}
			select {
			case err := <-failed:
				b.Fatal(err)
			default:
			}
			b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkGroup is one member reading one partition from a broker in the same
// process that serves the same batch for ever. One op is one record.
func BenchmarkGroup(b *testing.B) {
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		b.Run(codecName(codec), func(b *testing.B) {
			f := kafkatest.Start(b, kfake.SyntheticFetch(kfake.SyntheticBatch{RecordBytes: 230, RandomFrac: 0.3, Compression: codec}))
			kafkatest.CreateTopic(b, f.Addr, "events", 1)
			h := &counter{want: int64(b.N), done: errors.New("enough"), begin: b.ResetTimer}
			b.SetBytes(230)
			b.ReportAllocs()
			if err := open(b, settings(f.Addr)).RunGroup(context.Background(), group, h); !errors.Is(err, h.done) {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func codecName(c kgo.CompressionCodec) string {
	switch c {
	case kgo.Lz4Compression():
		return "lz4"
	case kgo.ZstdCompression():
		return "zstd"
	}
	return "none"
}

// counter is a handler that ends after so many records.
type counter struct {
	want, n int64
	done    error
	begin   func()
}

func (c *counter) Assigned(int32, int64) { c.begin() }

func (c *counter) Records(_ context.Context, _ int32, recs []Record) error {
	if c.n += int64(len(recs)); c.n >= c.want {
		return c.done
	}
	return nil
}
func (c *counter) Progress(int32, int64, int64)     {}
func (c *counter) Revoked(int32)                    {}
func (c *counter) State(bool, error, time.Duration) {}
