package generate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-faker/faker/v4"

	"eventline/internal/event"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// gap is how far events are apart in these tests: so far that users get to do more than look.
const gap = 50 * time.Millisecond

// write appends n events of a shop, a gap apart.
func write(s *Shop, n int) (text []byte, all []Line) {
	for range n {
		text, all = s.Append(text, time.Duration(s.Event())*gap, start.Add(time.Duration(s.Event())*gap), all)
	}
	return text, all
}

// lines is the first n events of a seed in the default shop.
func lines(seed uint64, n int) []byte {
	text, _ := write(New(seed, DefaultProfile()).NewShop(), n)
	return text
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
	p := DefaultProfile()
	shop := New(1, p).NewShop()
	seen := make(map[string]bool)
	for i := range uint64(10_000) {
		at := start.Add(time.Duration(i)*1234567*time.Nanosecond + 250*time.Microsecond)
		line, told := shop.Append(nil, at.Sub(start), at, nil)
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' || len(told) != 1 || told[0].Len != len(line) {
			t.Fatalf("event %d is not one line: %q, told %+v", i, line, told)
		}
		r := decode(t, line)
		when, err := time.Parse(time.RFC3339Nano, r.Timestamp)
		amount, _ := r.Price.Float64()
		for what, ok := range map[string]bool{
			"event_id":                uuidV4.MatchString(r.EventID),
			"timestamp's form":        rfc3339.MatchString(r.Timestamp),
			"timestamp's value":       err == nil && when.Equal(at.Truncate(time.Microsecond)) && told[0].At == when.UnixMicro(),
			"product":                 len(r.Product) > 5,
			"category":                slices.ContainsFunc(p.Categories, func(c Category) bool { return c.Name == r.Category }),
			"currency":                currency.MatchString(r.Currency),
			"user_id":                 len(r.UserID) > 3,
			"type":                    slices.Contains(actions, r.Type),
			"price's form":            price.MatchString(r.Price.String()),
			"price above 0":           amount > 0 && told[0].Cents == int64(math.Round(100*amount)),
			"quantity":                quantity.MatchString(r.Quantity.String()),
			"no event_id comes twice": !seen[r.EventID],
		} {
			if !ok {
				t.Fatalf("event %d: %s is wrong in %s (told %+v)", i, what, line, told)
			}
		}
		seen[r.EventID] = true
	}
}

func TestLineIsWhatPackageEventWrites(t *testing.T) {
	shop := New(2, DefaultProfile()).NewShop()
	for range 1000 {
		line, told := shop.Append(nil, 0, start, nil)
		r := decode(t, line)
		n, err := r.Quantity.Int64()
		if err != nil {
			t.Fatal(err)
		}
		e := event.Event{
			ID: r.EventID, Time: start, Product: r.Product, Category: r.Category, Currency: r.Currency,
			UserID: r.UserID, Type: r.Type, Cents: told[0].Cents, Quantity: n,
		}
		if want := string(e.AppendJSON(nil)) + "\n"; string(line) != want {
			t.Fatalf("Append gives\n%swant\n%s", line, want)
		}
	}
}

func TestEveryBucketAndActionHasItsShare(t *testing.T) {
	for seed := range uint64(3) {
		count := make(map[string]int)
		const n = 10_000
		for line := range bytes.Lines(lines(seed, n)) {
			r := decode(t, line)
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
			"low": 40, "medium": 10, "high": 3,
			"view": 55, "cart": 15, "checkout": 6, "purchase": 3, "abandon": 4,
			"quantity 1": 60, "quantity 2": 6,
		} {
			if share := 100 * count[what] / n; share < least {
				t.Errorf("seed %d: %d %% of the events are %q, want at least %d %%", seed, share, what, least)
			}
		}
	}
}

func TestSameSeedGivesTheSameBytes(t *testing.T) {
	want := lines(7, 2000)
	if got := lines(7, 2000); !bytes.Equal(got, want) {
		t.Error("a second build of the same seed writes something else")
	}
	if got := lines(8, 2000); bytes.Equal(got, want) {
		t.Error("another seed writes the same")
	}
	w := New(7, DefaultProfile())
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			if got, _ := write(w.NewShop(), 2000); !bytes.Equal(got, want) {
				t.Error("shops of one world that are open at the same time disturb each other")
			}
		})
	}
	done.Wait()
}

// TestBytesOfASeedStayWhatTheyAre holds the bytes across builds and versions of go-faker. Where a change
// is meant, write the new sum down and say so in the changelog: people keep seeds.
func TestBytesOfASeedStayWhatTheyAre(t *testing.T) {
	const want = "f775ef2e358f37e0dfc572f3129e15301f98c476860abed96fd436ed90ab0e58"
	sum := sha256.Sum256(lines(1, 10_000))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("sha256 of the first 10000 lines of seed 1 is %s, want %s", got, want)
	}
}

func TestIDsOfManySeedsAndFarEventsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(50) {
		w := World{idHigh: mix(seed ^ 0x6964656e74697479), idLo: mix(seed ^ 0x756e697175656964)}
		for i := uint64(1); i < 2000; i++ {
			for _, n := range []uint64{i, i << 32, ^i} {
				id := string(w.AppendID(nil, n))
				if !uuidV4.MatchString(id) || seen[id] {
					t.Fatalf("seed %d event %d: id %q is no UUID of version 4, or came before", seed, n, id)
				}
				seen[id] = true
				if back, ok := w.EventOf([]byte(id)); back != n || !ok {
					t.Fatalf("seed %d: id %s is said to be of event %d (%v), want %d", seed, id, back, ok, n)
				}
			}
		}
		for _, id := range []string{"", "a89e1e3d-4905-4fe9-aa26-053b505efd8d", "a89e1e3d-4905-4fe9-aa26-053b505efd8g"} {
			if i, ok := w.EventOf([]byte(id)); ok {
				t.Errorf("seed %d: id %q is said to be of event %d, but is of none", seed, id, i)
			}
		}
	}
}

func TestFakerIsLeftRandom(t *testing.T) {
	New(1, DefaultProfile())
	first := faker.Username() + faker.UUIDHyphenated()
	New(1, DefaultProfile())
	if second := faker.Username() + faker.UUIDHyphenated(); first == second {
		t.Errorf("after two builds go-faker gives %q both times: it was left with the seed", first)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(uint64(1), uint64(0), int64(0))
	f.Add(uint64(1)<<63, ^uint64(0), int64(1e18))
	f.Add(uint64(0), uint64(1), int64(-1))
	worlds := make(map[uint64]*World)
	f.Fuzz(func(t *testing.T, seed, i uint64, ns int64) {
		seed %= 8
		if worlds[seed] == nil {
			worlds[seed] = New(seed, DefaultProfile())
		}
		shop := worlds[seed].NewShop()
		shop.LeaveOut(i)
		line, told := shop.Append([]byte("before\n"), time.Duration(ns), time.Unix(0, ns), nil)
		rest, ok := bytes.CutPrefix(line, []byte("before\n"))
		if !ok || told[0].Len != len(rest) || !uuidV4.MatchString(decode(t, rest).EventID) {
			t.Fatalf("event %d of seed %d at %d: %q", i, seed, ns, line)
		}
	})
}
