package tail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
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

// BenchmarkFollow is the time from a line's write to its hand-over, and what it
// costs, for a writer of so many lines a second: p50-µs and p99-µs, and in
// cpu-% of a core. The cost is the whole process's, so that of the writer alone,
// which "reader=none" shows, has to be taken off.
func BenchmarkFollow(b *testing.B) {
	for _, rate := range []int{5, 50, 1000} {
		for _, reader := range []string{"none", "block", "auto", "nxadm"} {
			b.Run(fmt.Sprintf("rate=%d/reader=%s", rate, reader), func(b *testing.B) {
				benchFollow(b, time.Second/time.Duration(rate), reader)
			})
		}
	}
}

func benchFollow(b *testing.B, every time.Duration, reader string) {
	f := newFolder(b)
	w := f.writer(f.path)
	defer w.Close()
	cfg := Config{Path: f.path}
	switch reader {
	case "block":
		cfg.Reader = ReaderBlock
	case "nxadm": // always, also where auto would not
		cfg.eager = true
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	tail, err := New(cfg)
	must(b, err)
	if reader == "none" {
		ended <- nil
	} else {
		go func() { ended <- tail.Run(ctx) }()
	}
	line := append(bytes.Repeat([]byte("x"), 199), '\n')
	next := time.Now()
	write := func() time.Duration {
		next = next.Add(every)
		time.Sleep(time.Until(next))
		at := time.Now()
		_, err := w.Write(line)
		must(b, err)
		if reader != "none" {
			(<-tail.Blocks()).Release()
		}
		return time.Since(at)
	}
	for begun := time.Now(); time.Since(begun) < 3*calmTime; { // until auto has made up its mind
		write()
	}
	var waited []time.Duration
	accepted, cpu, begun := tail.follow.accepted.Load(), cpuTime(b), time.Now()
	for b.Loop() {
		waited = append(waited, write())
	}
	cpu = cpuTime(b) - cpu
	b.ReportMetric(100*cpu.Seconds()/time.Since(begun).Seconds(), "cpu-%")
	slices.Sort(waited)
	b.ReportMetric(float64(waited[len(waited)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waited[len(waited)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(100*float64(tail.follow.accepted.Load()-accepted)/float64(len(waited)), "nxadm-%")
	cancel()
	<-ended
}

// cpuTime is what the process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStartWithUnread begins with many rotated files that nobody has read: each may
// be a copy of each other.
func BenchmarkStartWithUnread(b *testing.B) {
	for _, files := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			dir := b.TempDir()
			path := filepath.Join(dir, "events.log")
			for n := range files {
				if err := os.WriteFile(fmt.Sprintf("%s-20261122%05d", path, n), []byte(numbered(n*100, n*100+100)), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			if err := os.WriteFile(path, []byte(numbered(0, 10)), 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				tail, err := New(Config{Path: path, Log: zerolog.Nop(), Reader: ReaderBlock, poll: true})
				if err != nil {
					b.Fatal(err)
				}
				tail.watch = newWatch(dir, tail.log, true)
				tail.look(time.Now(), false)
				if n := tail.Generations(); n != files+1 {
					b.Fatalf("%d generations", n)
				}
				tail.cleanup()
			}
		})
	}
}
