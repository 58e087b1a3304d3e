// Package truth is the answer key of a run of eventgen: what is in the log, so that whoever reads it
// later can be held against it.
//
// A [Key] is one JSON document. Beside it lies a file of line digests, eight bytes a line in the order of
// the log, by which a line that is missing, doubled, altered or out of place is found and named. The key
// alone tells whether anything is wrong, and in which window.
//
// The package holds plain types and arithmetic and imports nothing of ours: the judge that reads keys must
// not share code with what it judges.
package truth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Version is the form of a Key that this package writes and reads.
const Version = 1

// Key is an answer key.
type Key struct {
	Version int `json:"version"`
	// Complete says that the run has ended as asked for. A key that is not complete tells of the lines up
	// to the moment at which it was written.
	Complete bool `json:"complete"`

	Seed          int64  `json:"seed"`
	ProfileSHA256 string `json:"profile_sha256"`
	Start         string `json:"start"` // when event 0 was due, RFC 3339 with microseconds

	Lines   uint64 `json:"lines"`   // in the log, duplicates included
	Valid   uint64 `json:"valid"`   // of them, that have an id and a price; only these are in windows
	Bytes   uint64 `json:"bytes"`   // with newlines
	Dropped uint64 `json:"dropped"` // events that were due and never written, because the run was too far behind

	Defects map[string]*Defect `json:"defects"`
	Window  string             `json:"window"` // the length of a window, ISO 8601: PT1M
	Windows []Window           `json:"windows"`

	// Chain is the SHA-256 over all lines in order, each with its newline.
	Chain string `json:"chain"`
	// Digests names the file of line digests beside the key; empty if there is none.
	Digests string `json:"digests,omitempty"`
}

// Defect is what is wrong on purpose, of one kind.
type Defect struct {
	Count    uint64   `json:"count"`
	EventIDs []string `json:"event_ids"`
	// Truncated says that there are more than MaxIDs of them, and only the first are listed.
	Truncated bool `json:"truncated,omitempty"`
}

// MaxIDs is how many event ids a Defect lists at most: 4 MB of text.
const MaxIDs = 100_000

// Window is what fell into one bucket in one window of event time. Quantiles are exact, by nearest rank:
// p95 is the smallest price that at least 95 % of the prices do not exceed.
type Window struct {
	Start  string `json:"window_start"` // RFC 3339, whole seconds
	Bucket string `json:"bucket"`
	Count  uint64 `json:"count"`
	Sum    Amount `json:"sum"`
	Min    Amount `json:"min"`
	Max    Amount `json:"max"`
	P50    Amount `json:"p50"`
	P95    Amount `json:"p95"`
	P99    Amount `json:"p99"`
	// NoQuantiles says that p50, p95 and p99 are not known, because the clock was set back by more than
	// the run could foresee.
	NoQuantiles bool `json:"no_quantiles,omitempty"`
}

// Amount is a sum of money in hundredths. In JSON it is a number with two decimals, exact.
type Amount int64

// MarshalJSON writes 3532 as 35.32.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.String()), nil }

func (a Amount) String() string {
	sign, n := "", uint64(a)
	if a < 0 {
		sign, n = "-", -n
	}
	return sign + strconv.FormatUint(n/100, 10) + "." + fmt.Sprintf("%02d", n%100)
}

// UnmarshalJSON reads a number with at most two decimals.
func (a *Amount) UnmarshalJSON(text []byte) error {
	n, err := ParseAmount(string(text))
	*a = n
	return err
}

var errAmount = errors.New("want a number with at most two decimals")

// ParseAmount reads a decimal number such as 35.32, 35.3 or 35. Zeros behind the second decimal change
// nothing.
func ParseAmount(text string) (Amount, error) {
	digits, negative := text, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	whole, fraction := digits, ""
	for i := range len(digits) {
		if digits[i] == '.' {
			whole, fraction = digits[:i], digits[i+1:]
			break
		}
	}
	for len(fraction) > 2 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	for len(fraction) < 2 {
		fraction += "0"
	}
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if whole == "" || len(fraction) > 2 || err != nil || whole[0] == '-' || whole[0] == '+' {
		return 0, fmt.Errorf("%w, got %q", errAmount, text)
	}
	if negative {
		n = -n
	}
	return Amount(n), nil
}

// Buckets lists the buckets in order.
var Buckets = []string{"low", "medium", "high"}

// bucketOf says which bucket a price in hundredths falls into: low below 50, medium below 200, high from
// there on. It is written out here, and not taken from where bucketer has it, so that a mistake there
// does not mend itself here.
func bucketOf(cents int64) int {
	switch {
	case cents < 50_00:
		return 0
	case cents < 200_00:
		return 1
	}
	return 2
}

// Bucket names the bucket of a price.
func Bucket(price Amount) string { return Buckets[bucketOf(int64(price))] }

// Digest is what the file of line digests has for a line, which ends with its newline: xxHash64, seed 0,
// eight bytes, little endian.
func Digest(line []byte) uint64 { return xxhash.Sum64(line) }

// Encode writes the key as JSON, a window a line.
func (k *Key) Encode(w io.Writer) error {
	head := *k
	head.Windows = nil
	text, err := json.Marshal(&head)
	if err != nil {
		return fmt.Errorf("write answer key: %w", err)
	}
	before, after, _ := bytes.Cut(text, []byte(`"windows":null`))
	var b bytes.Buffer
	b.Write(before)
	b.WriteString(`"windows":[`)
	for i := range k.Windows {
		if i > 0 {
			b.WriteByte(',')
		}
		row, err := json.Marshal(&k.Windows[i])
		if err != nil {
			return fmt.Errorf("write answer key: %w", err)
		}
		b.WriteByte('\n')
		b.Write(row)
	}
	b.WriteByte(']')
	b.Write(after)
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// Decode reads a key, and refuses one that it does not understand in full.
func Decode(r io.Reader) (*Key, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	k := new(Key)
	if err := d.Decode(k); err != nil {
		return nil, fmt.Errorf("read answer key: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("read answer key: there is more behind the document")
	}
	if k.Version != Version {
		return nil, fmt.Errorf("read answer key: its version is %d, this program knows %d", k.Version, Version)
	}
	if _, err := k.Length(); err != nil {
		return nil, err
	}
	for _, w := range k.Windows {
		if _, err := time.Parse(time.RFC3339, w.Start); err != nil {
			return nil, fmt.Errorf("read answer key: window_start: %w", err)
		}
		if w.Bucket != Buckets[0] && w.Bucket != Buckets[1] && w.Bucket != Buckets[2] {
			return nil, fmt.Errorf("read answer key: unknown bucket %q", w.Bucket)
		}
	}
	return k, nil
}

// Length is the length of a window.
func (k *Key) Length() (time.Duration, error) { return ParseLength(k.Window) }

// FormatLength writes a window's length in ISO 8601, such as PT1M or PT1H30M.
func FormatLength(d time.Duration) string {
	s := "PT"
	for _, unit := range lengthUnits {
		if n := d / unit.length; n > 0 {
			s += strconv.FormatInt(int64(n), 10) + unit.letter
			d -= n * unit.length
		}
	}
	return s
}

var lengthUnits = []struct {
	letter string
	length time.Duration
}{{"H", time.Hour}, {"M", time.Minute}, {"S", time.Second}}

// ParseLength reads what FormatLength writes.
func ParseLength(text string) (time.Duration, error) {
	wrong := fmt.Errorf("read answer key: window: want a length such as PT1M, got %q", text)
	if len(text) < 4 || text[:2] != "PT" {
		return 0, wrong
	}
	d, n, digits := time.Duration(0), int64(0), 0
	for _, c := range text[2:] {
		if c >= '0' && c <= '9' && digits < 9 {
			n, digits = 10*n+int64(c-'0'), digits+1
			continue
		}
		found := false
		for _, unit := range lengthUnits {
			if string(c) == unit.letter && digits > 0 {
				d, n, digits, found = d+time.Duration(n)*unit.length, 0, 0, true
			}
		}
		if !found {
			return 0, wrong
		}
	}
	if d <= 0 || digits > 0 {
		return 0, wrong
	}
	return d, nil
}
