package generate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-faker/faker/v4"

	"eventline/internal/event"
	"eventline/internal/logfile"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// lines is n events of a seed, from event i, one microsecond apart.
func lines(w *World, i uint64, n int) []byte {
	var b []byte
	for ; n > 0; n-- {
		b = w.AppendLine(b, i, start.Add(time.Duration(i)*time.Microsecond))
		i++
	}
	return b
}

// read is an event as encoding/json sees it, numbers as they are written.
type read struct {
	EventID   string      `json:"event_id"`
	Timestamp string      `json:"timestamp"`
	Product   string      `json:"product"`
	Category  string      `json:"category"`
	Currency  string      `json:"currency"`
	UserID    string      `json:"user_id"`
	Type      string      `json:"type"`
	Price     json.Number `json:"price"`
	Quantity  json.Number `json:"quantity"`
}

func decode(t *testing.T, line []byte) (r read) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("decode %q: %v", line, err)
	}
	return r
}

var (
	uuidV4   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	rfc3339  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	price    = regexp.MustCompile(`^(0|[1-9]\d*)\.\d\d$`)
	quantity = regexp.MustCompile(`^[1-9]\d*$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
	actions  = []string{"view", "cart", "checkout", "purchase", "abandon"}
)

func TestEveryFieldIsAsTheContractSays(t *testing.T) {
	w := New(1)
	seen := make(map[string]bool)
	for i := range uint64(20_000) {
		at := start.Add(time.Duration(i)*1234567*time.Nanosecond + 250*time.Microsecond)
		line := w.AppendLine(nil, i, at)
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' || len(line) > MaxLine {
			t.Fatalf("event %d is not one line of at most %d bytes: %q", i, MaxLine, line)
		}
		r := decode(t, line)
		when, err := time.Parse(time.RFC3339Nano, r.Timestamp)
		cents := new(json.Number)
		*cents = r.Price
		p, _ := cents.Float64()
		for what, ok := range map[string]bool{
			"event_id":                uuidV4.MatchString(r.EventID),
			"timestamp's form":        rfc3339.MatchString(r.Timestamp),
			"timestamp's value":       err == nil && when.Equal(at.Truncate(time.Microsecond)),
			"product":                 len(r.Product) > 5,
			"category":                slices.ContainsFunc(categories, func(c category) bool { return c.name == r.Category }),
			"currency":                currency.MatchString(r.Currency),
			"user_id":                 len(r.UserID) > 3,
			"type":                    slices.Contains(actions, r.Type),
			"price's form":            price.MatchString(r.Price.String()),
			"price above 0":           p > 0,
			"quantity":                quantity.MatchString(r.Quantity.String()),
			"no event_id comes twice": !seen[r.EventID],
		} {
			if !ok {
				t.Fatalf("event %d: %s is wrong in %s", i, what, line)
			}
		}
		seen[r.EventID] = true
	}
}

func TestLineIsWhatPackageEventWrites(t *testing.T) {
	w := New(2)
	for i := range uint64(1000) {
		line := w.AppendLine(nil, i, start)
		r := decode(t, line)
		var whole, hundredths, n int64
		if _, err := fmt.Sscanf(r.Price.String()+" "+r.Quantity.String(), "%d.%2d %d", &whole, &hundredths, &n); err != nil {
			t.Fatal(err)
		}
		e := event.Event{
			ID: r.EventID, Time: start, Product: r.Product, Category: r.Category, Currency: r.Currency,
			UserID: r.UserID, Type: r.Type, Cents: 100*whole + hundredths, Quantity: n,
		}
		if want := string(e.AppendJSON(nil)) + "\n"; string(line) != want {
			t.Fatalf("AppendLine gives\n%swant\n%s", line, want)
		}
	}
}

func TestEveryBucketAndActionHasItsShare(t *testing.T) {
	for seed := range uint64(5) {
		w := New(seed)
		count := make(map[string]int)
		const n = 20_000
		for i := range uint64(n) {
			r := decode(t, w.AppendLine(nil, i, start))
			p, _ := r.Price.Float64()
			switch {
			case p < 50:
				count["low"]++
			case p < 200:
				count["medium"]++
			default:
				count["high"]++
			}
			count[r.Type]++
			count["quantity "+r.Quantity.String()]++
		}
		for what, least := range map[string]int{
			"low": 40, "medium": 15, "high": 5,
			"view": 55, "cart": 15, "checkout": 7, "purchase": 5, "abandon": 5,
			"quantity 1": 60, "quantity 2": 8,
		} {
			if share := 100 * count[what] / n; share < least {
				t.Errorf("seed %d: %d %% of the events are %q, want at least %d %%", seed, share, what, least)
			}
		}
	}
}

func TestSameSeedGivesTheSameBytes(t *testing.T) {
	want := lines(New(7), 0, 2000)
	if got := lines(New(7), 0, 2000); !bytes.Equal(got, want) {
		t.Error("a second build of the same seed writes something else")
	}
	if got := lines(New(8), 0, 2000); bytes.Equal(got, want) {
		t.Error("another seed writes the same")
	}
	var got [4][]byte
	w := New(7)
	var done sync.WaitGroup
	for part := range got {
		done.Go(func() { got[part] = lines(w, uint64(part)*500, 500) })
	}
	done.Wait()
	if !bytes.Equal(bytes.Join(got[:], nil), want) {
		t.Error("parts written at the same time, each from its own event on, are not the whole")
	}
}

// TestBytesOfASeedStayWhatTheyAre holds the bytes across builds and versions of go-faker. Where a change
// is meant, write the new sum down and say so in the changelog: people keep seeds.
func TestBytesOfASeedStayWhatTheyAre(t *testing.T) {
	const want = "8b7f833f67c2d30c6d760a8d7fac5e47d738e12643b82505af297fa7318375a3"
	sum := sha256.Sum256(lines(New(1), 0, 10_000))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("sha256 of the first 10000 lines of seed 1 is %s, want %s", got, want)
	}
}

func TestTimeChangesNothingButTheTimestamp(t *testing.T) {
	w := New(3)
	a, b := decode(t, w.AppendLine(nil, 5, start)), decode(t, w.AppendLine(nil, 5, start.Add(time.Hour)))
	if a.Timestamp == b.Timestamp {
		t.Error("the timestamp does not follow the time")
	}
	if a.Timestamp = b.Timestamp; a != b {
		t.Errorf("an hour later event 5 is %+v, was %+v", b, a)
	}
}

func TestIDsOfManySeedsAndFarEventsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(50) {
		w := World{idHigh: mix(seed ^ 0x6964656e74697479), idLo: mix(seed ^ 0x756e697175656964)}
		for i := uint64(1); i < 2000; i++ {
			for _, n := range []uint64{i, i << 32, ^i} {
				id := string(w.appendID(nil, n))
				if !uuidV4.MatchString(id) || seen[id] {
					t.Fatalf("seed %d event %d: id %q is no UUID of version 4, or came before", seed, n, id)
				}
				seen[id] = true
			}
		}
	}
}

func TestFakerIsLeftRandom(t *testing.T) {
	New(1)
	first := faker.Username() + faker.UUIDHyphenated()
	New(1)
	if second := faker.Username() + faker.UUIDHyphenated(); first == second {
		t.Errorf("after two builds go-faker gives %q both times: it was left with the seed", first)
	}
}

func FuzzAppendLine(f *testing.F) {
	f.Add(uint64(1), uint64(0), int64(0))
	f.Add(uint64(1)<<63, ^uint64(0), int64(1e18))
	f.Add(uint64(0), uint64(1), int64(-1))
	worlds := make(map[uint64]*World)
	f.Fuzz(func(t *testing.T, seed, i uint64, ns int64) {
		seed %= 8
		if worlds[seed] == nil {
			worlds[seed] = New(seed)
		}
		line := worlds[seed].AppendLine([]byte("before\n"), i, time.Unix(0, ns))
		rest, ok := bytes.CutPrefix(line, []byte("before\n"))
		if !ok || len(rest) > MaxLine || !uuidV4.MatchString(decode(t, rest).EventID) {
			t.Fatalf("event %d of seed %d at %d: %q", i, seed, ns, line)
		}
	})
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(1)
	}
}

func BenchmarkAppendLine(b *testing.B) {
	w, i, at := New(1), uint64(0), start
	buf := make([]byte, 0, MaxLine)
	b.ReportAllocs()
	written := 0
	for b.Loop() {
		buf = w.AppendLine(buf[:0], i, at)
		i++
		at = at.Add(2 * time.Microsecond)
		written += len(buf)
	}
	b.SetBytes(int64(written / b.N))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkToFile is what eventgen does on one core: generate a batch, write it to a real file.
func BenchmarkToFile(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, batch := range []int{50, 500, 4096} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "events.log")
			f := logfile.New(path, logfile.Options{})
			defer f.Close()
			w, i, at := New(1), uint64(0), start
			buf := make([]byte, 0, batch*MaxLine)
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				buf = buf[:0]
				for range batch {
					buf = w.AppendLine(buf, i, at)
					i++
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
