// Package classify puts a price into a bucket. It is pure: a table of labels and
// thresholds in, a label out.
package classify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Buckets names the buckets, cheapest first, and says where each ends. As a
// setting it is one text: low < 50, medium < 200, high.
type Buckets []Bucket

// A Bucket holds the prices that no bucket before it holds and that lie below
// its end. A price that equals an end belongs to the next bucket.
type Bucket struct {
	Label string
	Below string // the end, a decimal number; empty for the last bucket, which has none
}

// Classic returns the buckets of the old consumer: low below 50, medium from 50
// to below 200, high from 200.
func Classic() Buckets {
	return Buckets{{"low", "50"}, {"medium", "200"}, {"high", ""}}
}

// UnmarshalText reads the setting. It takes any text apart; Problems judges what
// is in it.
func (b *Buckets) UnmarshalText(text []byte) error {
	*b = nil
	if strings.TrimSpace(string(text)) == "" {
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		label, below, ends := strings.Cut(part, "<")
		bucket := Bucket{Label: strings.TrimSpace(label), Below: strings.TrimSpace(below)}
		if ends && bucket.Below == "" {
			return fmt.Errorf("want a price after %q", strings.TrimSpace(part))
		}
		*b = append(*b, bucket)
	}
	return nil
}

// MarshalText writes the setting as UnmarshalText reads it.
func (b Buckets) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b Buckets) String() string {
	parts := make([]string, len(b))
	for i, bucket := range b {
		parts[i] = bucket.Label
		if bucket.Below != "" {
			parts[i] += " < " + bucket.Below
		}
	}
	return strings.Join(parts, ", ")
}

// Wants names the type in the problems of a settings file.
func (Buckets) Wants() string { return "buckets such as low < 50, medium < 200, high" }

// Problems returns everything that is wrong with the buckets, nil if they are
// right.
func (b Buckets) Problems() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(b) == 0 {
		add("need at least one")
	}
	seen := map[string]bool{}
	for i, bucket := range b {
		switch {
		case !isLabel(bucket.Label):
			add("a label must be of letters, digits, dot, dash and underscore, got %q", bucket.Label)
		case seen[bucket.Label]:
			add("labels must differ, got %q twice", bucket.Label)
		}
		seen[bucket.Label] = true
		switch last := i == len(b)-1; {
		case last && bucket.Below != "":
			add("the last must have no end, so that every price has a bucket, got %q", bucket.Label+" < "+bucket.Below)
		case !last && bucket.Below == "":
			add("all but the last must have an end, as in %q, got %q", bucket.Label+" < 50", bucket.Label)
		}
	}
	var before Bucket
	begin := 0.0
	for _, bucket := range b {
		if bucket.Below == "" {
			continue
		}
		end, err := parseEnd(bucket.Below)
		switch {
		case err != nil:
			add("%v", err)
			continue
		case end <= begin && begin == 0:
			add("no price is below 0, got %q", bucket.Label+" < "+bucket.Below)
		case end <= begin:
			add("prices must ascend, got %q after %q", bucket.Below, before.Below)
		}
		begin, before = max(begin, end), bucket
	}
	return all
}

// isLabel keeps labels fit for what they become: a word in the classic line, a
// metric label and a part of a key between slashes.
func isLabel(s string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".-_", c) {
			return false
		}
	}
	return s != ""
}

// maxEnd keeps ends where float64 still tells integers apart, so that an integer
// price of any length falls on the side of an end on which its float64 lies.
const maxEnd = 1 << 53

func parseEnd(text string) (float64, error) {
	for _, c := range text { // ParseFloat also takes inf, hexadecimal and underscores
		if (c < '0' || c > '9') && !strings.ContainsRune("+-.eE", c) {
			return 0, fmt.Errorf("want a price, got %q", text)
		}
	}
	end, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !math.IsInf(end, 0):
		return 0, fmt.Errorf("want a price, got %q", text)
	case end > maxEnd:
		return 0, fmt.Errorf("want a price of at most 2^53, got %q", text)
	}
	return end, nil
}

// A Table is [Buckets] made ready. It never changes, and any number of
// goroutines may use it.
type Table struct {
	labels []string
	ends   []float64 // one less than labels
}

// New makes a table. The error names the buckets' problems.
func New(b Buckets) (*Table, error) {
	if all := b.Problems(); len(all) > 0 {
		return nil, fmt.Errorf("classify %q: %s", b, strings.Join(all, "; "))
	}
	t := &Table{}
	for _, bucket := range b {
		t.labels = append(t.labels, bucket.Label)
		if bucket.Below != "" {
			end, _ := parseEnd(bucket.Below) // Problems has read it
			t.ends = append(t.ends, end)
		}
	}
	return t, nil
}

// Bucket returns the index of the bucket for a price, which is not negative and
// not NaN. It compares float64, as the old consumer did; event.Price.Float says
// why that is exact wherever it matters.
func (t *Table) Bucket(price float64) int {
	// Tables are tiny: a loop beats a binary search.
	for i, end := range t.ends {
		if price < end {
			return i
		}
	}
	return len(t.ends)
}

// Label returns the name of the bucket at an index that Bucket returned.
func (t *Table) Label(bucket int) string { return t.labels[bucket] }

// Labels returns the buckets' names, cheapest first. Do not change them.
func (t *Table) Labels() []string { return t.labels }
