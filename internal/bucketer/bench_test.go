package bucketer_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/classify"
	"eventline/internal/event"
	"eventline/internal/kafka"
	"eventline/internal/rollup"
	"eventline/internal/sink"
)

// BenchmarkRecords is all that bucketer does with records but for Kafka and the
// system call that takes the lines: decode, classify, print.
func BenchmarkRecords(b *testing.B) {
	table, err := classify.New(classify.Classic())
	if err != nil {
		b.Fatal(err)
	}
	for _, mode := range []sink.Print{sink.PrintAll, sink.PrintSample} {
		for _, batch := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/%d", mode, batch), func(b *testing.B) {
				r := rollup.New(rollup.Options{
					Topic: "events", Table: table, Names: event.DefaultNames(),
					Keep: sink.NewSampler(mode, zerolog.Nop()).Keep, Sink: sink.NewStream(io.Discard),
					Changed: func(bool, error, time.Duration) {}, Delay: func(int) time.Duration { return 0 },
					Blocked: func(error, time.Duration) {}, Log: zerolog.Nop(),
				})
				r.Assigned(0, 0)
				recs := make([]kafka.Record, batch)
				size := 0
				for i := range recs {
					recs[i] = kafka.Record{Offset: int64(i), Value: fmt.Appendf(nil, `{"event_id":"a89e1e3d-4905-4fe9-aa26-%012d","timestamp":"2026-11-22T10:00:00.000250Z","product":"Stainless Kettle 1.7 l",`+
						`"category":"kitchen","currency":"EUR","user_id":"u-104729","type":"purchase","price":%d.32,"quantity":2}`, i, i%300)}
					size += len(recs[i].Value)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := r.Records(b.Context(), 0, recs); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
