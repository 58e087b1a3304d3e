package tail

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"
)

// lines of 200 bytes with their newlines.
func benchLog(b *testing.B, size int) *folder {
	f := newFolder(b)
	line := append(bytes.Repeat([]byte("x"), 199), '\n')
	must(b, os.WriteFile(f.path, bytes.Repeat(line, size/len(line)), 0o600))
	return f
}

// BenchmarkBacklog reads a file that is there, with all checks, and frames it.
func BenchmarkBacklog(b *testing.B) {
	const size = 256 << 20
	f := benchLog(b, size)
	b.SetBytes(size / 200 * 200)
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		tail, err := New(Config{Path: f.path, Once: true, poll: true})
		must(b, err)
		go func() { _ = tail.Run(context.Background()) }()
		lines = 0
		for block := range tail.Blocks() {
			Lines(block.Data, func([]byte, int) bool { lines++; return true })
			block.Release()
		}
	}
	if lines != size/200 {
		b.Fatalf("read %d lines, want %d", lines, size/200)
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkFollow is the time from a line's write to its hand-over, with a writer
// that writes one line each millisecond.
func BenchmarkFollow(b *testing.B) {
	f := newFolder(b)
	w := f.writer(f.path)
	defer w.Close()
	tail, err := New(Config{Path: f.path})
	must(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- tail.Run(ctx) }()
	line := append(bytes.Repeat([]byte("x"), 199), '\n')
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var waited time.Duration
	for b.Loop() {
		<-tick.C
		at := time.Now()
		_, err := w.Write(line)
		must(b, err)
		block := <-tail.Blocks()
		waited += time.Since(at)
		block.Release()
	}
	cancel()
	<-ended
	b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "µs/line")
}
