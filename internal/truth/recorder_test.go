package truth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sold is a line of a test: a price at a time.
type sold struct {
	at    time.Time
	cents int64
}

// simple is the answer as one would count it without care for time and memory.
func simple(all []sold, length time.Duration) []Window {
	prices := make(map[[2]string][]int64)
	for _, s := range all {
		start := s.at.Truncate(length).Format(time.RFC3339)
		prices[[2]string{start, Bucket(Amount(s.cents))}] = append(prices[[2]string{start, Bucket(Amount(s.cents))}], s.cents)
	}
	var windows []Window
	for key, list := range prices {
		slices.Sort(list)
		w := Window{Start: key[0], Bucket: key[1], Count: uint64(len(list)), Min: Amount(list[0]), Max: Amount(list[len(list)-1])}
		for _, p := range list {
			w.Sum += Amount(p)
		}
		rank := func(percent int) Amount { return Amount(list[(len(list)*percent+99)/100-1]) }
		w.P50, w.P95, w.P99 = rank(50), rank(95), rank(99)
		windows = append(windows, w)
	}
	slices.SortFunc(windows, func(a, b Window) int {
		if a.Start != b.Start {
			return strings.Compare(a.Start, b.Start)
		}
		return slices.Index(Buckets, a.Bucket) - slices.Index(Buckets, b.Bucket)
	})
	return windows
}

// sales are lines that come late and early by up to furthest.
func sales(r *rand.Rand, n int, furthest time.Duration) []sold {
	var all []sold
	for i := range n {
		at := noon.Add(time.Duration(i) * time.Second)
		switch r.IntN(10) {
		case 0:
			at = at.Add(-time.Duration(r.Int64N(int64(furthest) + 1)))
		case 1:
			at = at.Add(time.Duration(r.Int64N(int64(time.Hour))))
		}
		all = append(all, sold{at.Truncate(time.Microsecond), r.Int64N(300_00)})
	}
	return all
}

func record(rec *Recorder, all []sold, first int) {
	for i, s := range all {
		line := fmt.Appendf(nil, "line %d\n", first+i)
		rec.Text(line, 1)
		rec.Price(s.at.UnixMicro(), s.cents)
		if (first+i)%7 == 0 {
			rec.Defect("late", fmt.Appendf(nil, "id-%d", first+i))
		}
		rec.Due(noon.Add(time.Duration(first+i) * time.Second).UnixMicro())
	}
}

func TestKeyIsWhatCountingByHandGives(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		all := sales(r, 5000, 20*time.Minute)
		rec := NewRecorder(time.Minute, 20*time.Minute)
		record(rec, all, 0)
		k := rec.Key()
		if want := simple(all, time.Minute); !reflect.DeepEqual(k.Windows, want) {
			t.Fatalf("seed %d: %d windows differ from the %d counted by hand", seed, len(k.Windows), len(want))
		}
		h := sha256.New()
		for i := range all {
			fmt.Fprintf(h, "line %d\n", i)
		}
		if want := hex.EncodeToString(h.Sum(nil)); k.Chain != want || k.Lines != 5000 || k.Valid != 5000 || k.Defects["late"].Count != 715 {
			t.Fatalf("seed %d: chain %s of %d lines, want %s of 5000", seed, k.Chain, k.Lines, want)
		}
		if n := len(rec.open); n > 200 {
			t.Errorf("seed %d: %d windows are still open", seed, n)
		}
	}
}

// TestRecorderGoesOnFromItsState takes a recorder up at many places.
func TestRecorderGoesOnFromItsState(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	all := sales(r, 3000, 20*time.Minute)
	whole := NewRecorder(time.Minute, 20*time.Minute)
	record(whole, all, 0)
	want := whole.Key()
	for _, cut := range []int{0, 1, 1999, 3000} {
		rec := NewRecorder(time.Minute, 20*time.Minute)
		record(rec, all[:cut], 0)
		rec.Drop(uint64(cut))
		again := NewRecorder(time.Minute, 20*time.Minute)
		if err := again.Restore(rec.AppendState(nil)); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		record(again, all[cut:], cut)
		got := again.Key()
		if got.Dropped != uint64(cut) {
			t.Errorf("cut at %d: %d dropped", cut, got.Dropped)
		}
		if got.Dropped = 0; !reflect.DeepEqual(got, want) {
			t.Errorf("cut at %d the key differs", cut)
		}
	}
	if err := NewRecorder(time.Hour, 0).Restore(whole.AppendState(nil)); err == nil {
		t.Error("windows of another length are taken up")
	}
}

func FuzzRestore(f *testing.F) {
	rec := NewRecorder(time.Minute, 20*time.Minute)
	f.Add(rec.AppendState(nil))
	record(rec, sales(rand.New(rand.NewPCG(1, 1)), 300, 20*time.Minute), 0)
	f.Add(rec.AppendState(nil))
	f.Fuzz(func(t *testing.T, state []byte) {
		rec := NewRecorder(time.Minute, 20*time.Minute)
		if rec.Restore(state) != nil {
			return
		}
		again := NewRecorder(time.Minute, 20*time.Minute)
		if err := again.Restore(rec.AppendState(nil)); err != nil {
			t.Fatalf("its own state is refused: %v", err)
		}
		if !reflect.DeepEqual(again.Key(), rec.Key()) {
			t.Fatal("taken up twice, the key differs")
		}
	})
}

func TestClockThatIsSetBackLosesNothingButQuantiles(t *testing.T) {
	rec := NewRecorder(time.Minute, time.Minute)
	rec.Price(noon.UnixMicro(), 1000)
	rec.Due(noon.Add(time.Hour).UnixMicro())
	rec.Price(noon.Add(time.Hour).UnixMicro(), 3000)
	rec.Due(noon.Add(2 * time.Hour).UnixMicro())
	rec.Price(noon.UnixMicro(), 2000)
	w := rec.Key().Windows
	if len(w) != 2 || w[0].Count != 2 || w[0].Sum != 3000 || w[0].Min != 1000 || w[0].Max != 2000 || !w[0].NoQuantiles || w[1].NoQuantiles {
		t.Errorf("windows are %+v, want the first one whole, without quantiles", w)
	}
}

func TestIDsOfADefectAreBounded(t *testing.T) {
	rec := NewRecorder(time.Minute, 0)
	for range MaxIDs + 5 {
		rec.Defect("nul", []byte("x"))
	}
	d := rec.Key().Defects["nul"]
	if d.Count != MaxIDs+5 || len(d.EventIDs) != MaxIDs || !d.Truncated {
		t.Errorf("%d defects, %d ids, truncated %v", d.Count, len(d.EventIDs), d.Truncated)
	}
}

func TestKeyIsReadAsItWasWritten(t *testing.T) {
	rec := NewRecorder(90*time.Second, time.Minute)
	record(rec, sales(rand.New(rand.NewPCG(2, 2)), 500, time.Minute), 0)
	k := rec.Key()
	k.Seed, k.Start, k.Complete, k.Digests = 42, "2026-11-22T12:00:00.000000Z", true, "t.json.lines"
	var b bytes.Buffer
	if err := k.Encode(&b); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) {
		t.Fatalf("not JSON: %s", b.String())
	}
	got, err := Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, k) {
		t.Errorf("read\n%+v\nwritten\n%+v", got, k)
	}
}

func TestKeyThatIsNotUnderstoodIsRefused(t *testing.T) {
	good := `{"version":1,"complete":true,"seed":1,"profile_sha256":"","start":"","lines":0,"valid":0,"bytes":0,"dropped":0,"defects":{},"window":"PT1M","windows":[],"chain":""}`
	if _, err := Decode(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"another version":   {`"version":1`, `"version":2`},
		"an unknown key":    {`"lines":0`, `"lines":0,"liens":0`},
		"a fraction":        {`"windows":[]`, `"windows":[{"window_start":"2026-11-22T12:00:00Z","bucket":"low","count":1,"sum":1.005}]`},
		"an unknown bucket": {`"windows":[]`, `"windows":[{"window_start":"2026-11-22T12:00:00Z","bucket":"lo","count":1}]`},
		"no time":           {`"windows":[]`, `"windows":[{"window_start":"noon","bucket":"low","count":1}]`},
		"no length":         {`"PT1M"`, `"a minute"`},
		"something behind":  {`"chain":""}`, `"chain":""} {}`},
	} {
		if _, err := Decode(strings.NewReader(strings.Replace(good, c[0], c[1], 1))); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]Amount{
		"35.32": 3532, "35.3": 3530, "35": 3500, "0.05": 5, "-0.05": -5, "-1": -100, "35.3200": 3532, "90071992547409.91": 9007199254740991,
	} {
		if got, err := ParseAmount(text); got != want || err != nil {
			t.Errorf("ParseAmount(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".5", "1.005", "1e3", "NaN", "+1", "--1", "1.2.3", "1 ", "92233720368547758.08"} {
		if got, err := ParseAmount(text); err == nil {
			t.Errorf("ParseAmount(%q) = %d, want an error", text, got)
		}
	}
	for a, want := range map[Amount]string{3532: "35.32", 5: "0.05", -5: "-0.05", -123: "-1.23", 0: "0.00"} {
		if got := a.String(); got != want {
			t.Errorf("Amount(%d) = %s, want %s", int64(a), got, want)
		}
	}
}

func TestLengths(t *testing.T) {
	for d, text := range map[time.Duration]string{time.Minute: "PT1M", 90 * time.Minute: "PT1H30M", 5 * time.Second: "PT5S", 24 * time.Hour: "PT24H"} {
		if got := FormatLength(d); got != text {
			t.Errorf("FormatLength(%v) = %s, want %s", d, got, text)
		}
		if got, err := ParseLength(text); got != d || err != nil {
			t.Errorf("ParseLength(%s) = %v, %v; want %v", text, got, err, d)
		}
	}
	for _, text := range []string{"", "PT", "PTM", "PT1", "PT0S", "P1D", "PT1X", "PT1M2"} {
		if got, err := ParseLength(text); err == nil {
			t.Errorf("ParseLength(%s) = %v, want an error", text, got)
		}
	}
}

func TestBucketsBeginAtFiftyAndTwoHundred(t *testing.T) {
	for cents, want := range map[Amount]string{0: "low", 4999: "low", 5000: "medium", 19999: "medium", 20000: "high"} {
		if got := Bucket(cents); got != want {
			t.Errorf("%s is %s, want %s", cents, got, want)
		}
	}
}

func BenchmarkRecorder(b *testing.B) {
	rec := NewRecorder(time.Minute, time.Hour)
	r := rand.New(rand.NewPCG(1, 1))
	prices := make([]int64, 4096)
	for i := range prices {
		prices[i] = r.Int64N(3000) * 10
	}
	line := bytes.Repeat([]byte("x"), 240)
	line[239] = '\n'
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	at := noon.UnixMicro()
	for i := 0; b.Loop(); i++ {
		rec.Text(line, 1)
		rec.Price(at, prices[i&4095])
		Digest(line)
		if at += 2; i&4095 == 0 {
			rec.Due(at)
		}
	}
}
