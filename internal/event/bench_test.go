package event

import (
	"strings"
	"testing"
)

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"ascii", usual},
		{"umlauts", strings.Replace(usual, "Kettle", "K\u00e4ttle", 1)},
		{"1MiB", `{"blob":"` + strings.Repeat("x", 1<<20) + `","event_id":"x","price":1}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := NewDecoder(DefaultNames())
			line := []byte(c.line)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := d.Decode(line); reason != Accepted {
					b.Fatal(reason)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkClassicLine(b *testing.B) {
	d := NewDecoder(DefaultNames())
	f, _ := d.Decode([]byte(usual))
	l := Line{Offset: 19148, Bucket: "low", ID: f.ID, Price: f.Price}
	out := l.AppendClassic(nil)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		out = l.AppendClassic(out[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkAppendJSON(b *testing.B) {
	e := kettle()
	out := e.AppendJSON(nil)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		out = e.AppendJSON(out[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
