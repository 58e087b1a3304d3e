package verify

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventline/internal/truth"
)

func TestIndexFindsEveryLine(t *testing.T) {
	var digests []uint64
	for i := range uint64(1000) {
		digests = append(digests, i*0x9e3779b97f4a7c15)
	}
	digests[700], digests[999], digests[3] = digests[5], digests[5], ^uint64(0)
	x := newIndex(digests)
	for i, d := range digests {
		line := x.find(d)
		group := x.group(line)
		switch {
		case i == 5 || i == 700 || i == 999:
			if line != 6 || group != 0 || !slices.Equal(x.lines(group), []uint32{6, 701, 1000}) {
				t.Errorf("line %d: got line %d, group %d", i+1, line, group)
			}
		case line != uint32(i+1) || group != -1:
			t.Errorf("line %d: got line %d, group %d", i+1, line, group)
		}
	}
	if line := x.find(12345); line != 0 {
		t.Errorf("an unknown digest is line %d", line)
	}
	for _, c := range []struct{ above, below, want uint32 }{
		{0, 1001, 6}, {6, 1001, 701}, {6, 701, 0}, {1000, 1001, 0}, {701, 1001, 1000}, {0, 6, 0},
	} {
		if got := x.between(0, c.above, c.below); got != c.want {
			t.Errorf("between(%d, %d) = %d, want %d", c.above, c.below, got, c.want)
		}
	}
}

func TestBitsetFindsStretches(t *testing.T) {
	b := newBitset(300)
	for line := uint32(1); line <= 300; line++ {
		if line < 70 || line > 200 {
			b.set(line)
		}
	}
	if from, to := b.next(1, 300), b.end(70, 300); from != 70 || to != 200 {
		t.Errorf("got %d to %d, want 70 to 200", from, to)
	}
	if end := b.end(70, 150); end != 150 {
		t.Errorf("got an end at %d, want 150", end)
	}
	if line := b.next(201, 300); line != 0 {
		t.Errorf("got %d, want none", line)
	}
	if line := b.next(1, 69); line != 0 {
		t.Errorf("got %d, want none", line)
	}
}

// BenchmarkLines judges a topic of one partition by its digests, without reading it from a broker. B/line is what stays in memory.
func BenchmarkLines(b *testing.B) {
	for _, n := range []int{1_000_000, 30_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := make([]byte, 0, 256)
			line := func(i int) []byte {
				return fmt.Appendf(text, `{"event_id":"00000000-0000-4000-8000-%012d","timestamp":"2026-11-22T10:00:00.000000Z","product":"Earl Grey","category":"tea","currency":"EUR","user_id":"u-1","type":"view","price":35.32,"quantity":1}`, i)
			}
			digests := make([]uint64, n)
			for i := range digests {
				digests[i] = truth.Digest(append(line(i), '\n'))
			}
			size := len(line(0))
			batch := make([]record, 1000)
			b.ReportAllocs()
			b.SetBytes(int64(size) * int64(n))
			for b.Loop() {
				b.StopTimer()
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				b.StartTimer()
				l := newLines(&Answers{Key: &truth.Key{Lines: uint64(n), Complete: true}, digests: digests}, []int32{0, 1})
				for at := 0; at < n; at += len(batch) {
					b.StopTimer()
					for i := range batch {
						batch[i] = &kgo.Record{Value: slices.Clone(line(at + i)), Offset: int64(at + i)}
					}
					b.StartTimer()
					l.take(0, batch)
				}
				rep := &Report{Digests: true, Partitions: 2}
				l.finish(rep)
				if rep.conclude(); !rep.Equal {
					b.Fatalf("not equal: %+v", rep.Checks)
				}
				b.StopTimer()
				clear(batch)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n)+8, "B/line")
				runtime.KeepAlive(l)
				b.StartTimer()
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
