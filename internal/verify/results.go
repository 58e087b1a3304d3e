package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"eventline/internal/truth"
)

// results judges what bucketer has made of the events: its results, and the events that are in none.
type results struct {
	key    *truth.Key
	length time.Duration
	want   map[spot]answer

	mu         sync.Mutex
	kept       map[string]*result // by the record's key
	others     cells              // rows of the other topics
	unreadable []Unreadable
	bad        uint64
}

// result is what is known of a window, bucket and partition.
type result struct {
	spot
	last  bool // the last record is final
	final bool // there is a final record, and what follows is of the highest revision of them
	revision
}

type revision struct {
	number int64
	cell
	quantiles
}

// row is a result as it is written.
type row struct {
	Bucket    string      `json:"bucket"`
	Start     string      `json:"window_start"`
	End       string      `json:"window_end"`
	Partition *int32      `json:"partition"`
	Revision  *int64      `json:"revision"`
	Final     *bool       `json:"final"`
	Count     *uint64     `json:"count"`
	Sum       json.Number `json:"sum"`
	Min       json.Number `json:"min"`
	Max       json.Number `json:"max"`
	P50       json.Number `json:"p50"`
	P95       json.Number `json:"p95"`
	P99       json.Number `json:"p99"`
}

func newResults(a *Answers) *results {
	length, _ := a.Key.Length() // Decode made sure of it
	return &results{key: a.Key, length: length, want: expected(a.Key), kept: make(map[string]*result), others: make(cells)}
}

// results takes records of the topic of results.
func (r *results) results(recs []record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range recs {
		key := string(rec.Key)
		if rec.Value == nil {
			delete(r.kept, key)
			continue
		}
		at, final, rev, err := r.parse(key, rec.Value)
		if err != nil {
			r.bad++
			if len(r.unreadable) < MaxDifferences {
				r.unreadable = append(r.unreadable, Unreadable{rec.Partition, rec.Offset, key, err.Error()})
			}
			continue
		}
		kept := r.kept[key]
		if kept == nil {
			kept = &result{spot: at}
			r.kept[key] = kept
		}
		kept.last = final
		if final && (!kept.final || rev.number >= kept.number) {
			kept.final, kept.revision = true, rev
		}
	}
}

// parse reads a result and holds it against its key.
func (r *results) parse(key string, value []byte) (at spot, final bool, rev revision, err error) {
	var w row
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&w); err != nil {
		return at, false, rev, fmt.Errorf("read result: %w", err)
	}
	if w.Partition == nil || w.Revision == nil || w.Final == nil || w.Count == nil {
		return at, false, rev, errors.New("read result: partition, revision, final or count is missing")
	}
	start, err := time.Parse(time.RFC3339, w.Start)
	if err != nil {
		return at, false, rev, fmt.Errorf("read result: window_start: %w", err)
	}
	end, err := time.Parse(time.RFC3339, w.End)
	if err != nil {
		return at, false, rev, fmt.Errorf("read result: window_end: %w", err)
	}
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != w.Start || parts[2] != w.Bucket || parts[3] != strconv.Itoa(int(*w.Partition)) {
		return at, false, rev, errors.New("hold result against its key: they name different windows, buckets or partitions")
	}
	if length, err := truth.ParseLength(parts[1]); err != nil || length != r.length || end.Sub(start) != length {
		return at, false, rev, fmt.Errorf("hold result against the answer key: its window is %s long (%s), the key's %s", parts[1], end.Sub(start), r.key.Window)
	}
	rev.number, rev.count = *w.Revision, *w.Count
	for _, x := range []struct {
		name string
		text json.Number
		to   *money
	}{
		{"sum", w.Sum, &rev.sum},
		{"min", w.Min, &rev.least},
		{"max", w.Max, &rev.most},
		{"p50", w.P50, &rev.p50},
		{"p95", w.P95, &rev.p95},
		{"p99", w.P99, &rev.p99},
	} {
		var ok bool
		if *x.to, ok = parseMoney(x.text.String()); !ok {
			return at, false, rev, fmt.Errorf("read result: %s: want a number, got %q", x.name, x.text)
		}
	}
	return spot{start.Unix(), w.Bucket}, *w.Final, rev, nil
}

// rows takes lines that came too late for their window, or into no window at all.
func (r *results) rows(recs []record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range recs {
		if e := parseEvent(rec.Value); e.valid {
			r.others.add(spotOf(e, r.length), one(e.price))
		}
	}
}

// sum adds up what there is of each window and bucket.
func (r *results) sum() (found cells, only map[spot]quantiles) {
	found, only = maps.Clone(r.others), make(map[spot]quantiles)
	times := make(map[spot]int)
	for _, k := range r.kept {
		if !k.final {
			continue
		}
		found.add(k.spot, k.cell)
		times[k.spot]++
		only[k.spot] = k.quantiles
	}
	for at, n := range times {
		if r.others[at].count > 0 || n > 1 {
			delete(only, at)
		}
	}
	return found, only
}

func (r *results) open() []string {
	var open []string
	for key, k := range r.kept {
		if !k.last {
			open = append(open, key)
		}
	}
	slices.Sort(open)
	return open
}

// unsettled says whether time may still mend what is different: a window is open, or some of its events
// have not come.
func (r *results) unsettled() bool {
	if len(r.open()) > 0 {
		return true
	}
	found, _ := r.sum()
	for at, w := range r.want {
		if found[at].count < w.count {
			return true
		}
	}
	return false
}

func (r *results) finish(rep *Report) {
	found, only := r.sum()
	rep.compare(Check{Name: "windows", Expected: number(len(r.key.Windows))}, r.want, found, only)
	rep.Open, rep.Unreadable = r.open(), r.unreadable
	k := Check{Name: "open windows", Expected: "0", Found: number(len(rep.Open)), Result: Equal}
	if len(rep.Open) > 0 {
		k.Result = Open
	}
	rep.add(k)
	if r.bad > 0 {
		rep.add(Check{Name: "unreadable results", Expected: "0", Found: number(r.bad), Result: Different})
	}
}
