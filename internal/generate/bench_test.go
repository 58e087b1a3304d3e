package generate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/go-faker/faker/v4"

	"eventline/internal/logfile"
)

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(1, DefaultProfile())
	}
}

// fakedEvent is an event as go-faker makes one by itself.
type fakedEvent struct {
	ID       string  `faker:"uuid_hyphenated" json:"event_id"`
	Time     string  `faker:"timestamp" json:"timestamp"`
	Product  string  `faker:"word" json:"product"`
	Category string  `faker:"oneof: books, toys, home" json:"category"`
	Currency string  `faker:"currency" json:"currency"`
	User     string  `faker:"username" json:"user_id"`
	Type     string  `faker:"oneof: view, cart, purchase" json:"type"`
	Price    float64 `faker:"boundary_start=1, boundary_end=500" json:"price"`
	Quantity int     `faker:"boundary_start=1, boundary_end=5" json:"quantity"`
}

// BenchmarkEvent makes events, at a rate at which users think as long as they like and at one at which the
// most sessions are open, and beside it with go-faker for each event.
func BenchmarkEvent(b *testing.B) {
	dirty := DefaultProfile()
	dirty.Dirt.Late, dirty.Dirt.Duplicate, dirty.Dirt.InvalidJSON = 0.01, 0.01, 0.01
	for _, c := range []struct {
		name    string
		profile Profile
		gap     time.Duration
	}{
		{"100 a second", DefaultProfile(), 10 * time.Millisecond},
		{"500k a second", DefaultProfile(), 2 * time.Microsecond},
		{"500k a second with dirt", dirty, 2 * time.Microsecond},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, at := New(1, c.profile).NewShop(), start
			buf, lines := make([]byte, 0, 4096), make([]Line, 0, 8)
			for range 100_000 { // until the shop is as full as it gets
				buf, lines = s.Append(buf[:0], at.Sub(start), at, lines[:0])
				at = at.Add(c.gap)
			}
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				buf, lines = s.Append(buf[:0], at.Sub(start), at, lines[:0])
				at = at.Add(c.gap)
				written += len(buf)
			}
			b.SetBytes(int64(written / b.N))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("go-faker for each event", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e fakedEvent
			if err := faker.FakeData(&e); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(&e); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkToFile is what eventgen does on one core: generate a batch, write it to a real file.
func BenchmarkToFile(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, batch := range []int{50, 500, 4096} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "events.log")
			f := logfile.New(path, logfile.Options{})
			defer f.Close()
			s, at := New(1, DefaultProfile()).NewShop(), start
			var buf []byte
			var lines []Line
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				buf, lines = buf[:0], lines[:0]
				for range batch {
					buf, lines = s.Append(buf, at.Sub(start), at, lines)
					at = at.Add(2 * time.Microsecond)
				}
				if err := f.Write(b.Context(), buf); err != nil {
					b.Fatal(err)
				}
				if size += len(buf); size > 1<<30 { // keep the disk's write-back out of the figure
					size = 0
					if err := os.Truncate(path, 0); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.SetBytes(int64(len(buf)))
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/line")
		})
	}
}
