package sink

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestLinesComeOutOnceAndInOrder(t *testing.T) {
	out := &pipe{room: -1}
	s := NewStream(out)
	for _, lines := range [][]int64{{1, 2}, {}, {3}} {
		if n, err := s.Write(kettles(t, lines...)); n != len(lines) || err != nil {
			t.Fatalf("Write of %d lines = %d, %v", len(lines), n, err)
		}
	}
	if got, want := out.String(), classic(t, 1, 2, 3); got != want {
		t.Errorf("out is %q, want %q", got, want)
	}
}

func TestAWriteErrorReachesTheCaller(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPIPE, syscall.ENOSPC, syscall.EAGAIN} {
		if n, err := NewStream(&pipe{err: errno}).Write(kettles(t, 1)); n != 0 || !errors.Is(err, errno) {
			t.Errorf("Write = %d, %v, want 0, %v: the offset must not be committed", n, err, errno)
		}
	}
	if n, err := NewStream(&pipe{room: 10}).Write(kettles(t, 1)); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Write to a writer that takes 10 bytes and says nothing = %d, %v, want a short write", n, err)
	}
}

func TestAFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if _, err := NewStream(full).Write(kettles(t, 1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to /dev/full = %v, want ENOSPC", err)
	}
}

func TestWriteGoesOnWhereItStopped(t *testing.T) {
	whole := classic(t, 1, 2, 3)
	for room := range len(whole) {
		out := &pipe{room: room, err: syscall.ENOSPC}
		s := NewStream(out)
		left := kettles(t, 1, 2, 3)
		for range 2 { // the second attempt finds no room either
			n, err := s.Write(left)
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("Write with room for %d of %d bytes = %d, %v, want ENOSPC", room, len(whole), n, err)
			}
			left = left[n:]
		}
		out.room = -1
		if n, err := s.Write(left); n != len(left) || err != nil {
			t.Fatalf("Write of the %d lines left = %d, %v", len(left), n, err)
		}
		if got := out.String(); got != whole {
			t.Fatalf("after an error at byte %d out is %q, want %q: no byte lost, none twice", room, got, whole)
		}
	}
}

func TestATornLineSpoilsNoOther(t *testing.T) {
	out := &pipe{room: 20, err: syscall.ENOSPC}
	s := NewStream(out)
	if _, err := s.Write(kettles(t, 1)); err == nil {
		t.Fatal("Write with room for 20 bytes = nil")
	}
	out.room = 0
	if n, err := s.Write(kettles(t, 2)); n != 0 || err == nil {
		t.Fatalf("Write of another line with no room = %d, %v", n, err)
	}
	out.room = -1 // the partition of the first went to another member
	if _, err := s.Write(kettles(t, 2)); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), classic(t, 1)[:20]+"\n"+classic(t, 2); got != want {
		t.Errorf("out is %q, want %q", got, want)
	}
}

func TestBatchesOfPartitionsDoNotMix(t *testing.T) {
	out := &pipe{room: -1}
	s := NewStream(out)
	var partitions sync.WaitGroup
	for i := range int64(4) {
		partitions.Go(func() {
			for n := range int64(50) {
				if _, err := s.Write(kettles(t, i*1000+n*2, i*1000+n*2+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	partitions.Wait()
	got := out.String()
	if lines := strings.Count(got, "\n"); lines != 400 {
		t.Errorf("out has %d lines, want 400", lines)
	}
	for i := range int64(4) {
		for n := range int64(50) {
			if pair := classic(t, i*1000+n*2, i*1000+n*2+1); strings.Count(got, pair) != 1 {
				t.Fatalf("the two lines of one batch are out %d times together, want once: %q", strings.Count(got, pair), pair)
			}
		}
	}
}

func BenchmarkStream(b *testing.B) {
	s := NewStream(io.Discard)
	lines := kettles(b, make([]int64, 1000)...)
	b.SetBytes(int64(len(classic(b, make([]int64, 1000)...))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Write(lines); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
