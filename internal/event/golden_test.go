package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// goldenRecord is a line of testdata/classic.jsonl, which testdata/golden.py made.
type goldenRecord struct {
	Offset int64   `json:"offset"`
	Key    *[]byte `json:"key"`
	Value  []byte  `json:"value"`
	Bucket string  `json:"bucket"`
	Line   string  `json:"line"`
}

func (g goldenRecord) key() []byte {
	if g.Key == nil {
		return nil
	}
	return append([]byte{}, *g.Key...)
}

func readGolden(t testing.TB) []goldenRecord {
	t.Helper()
	file, err := os.ReadFile("testdata/classic.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []goldenRecord
	for s := lineScanner(file); s.Scan(); {
		var g goldenRecord
		if err := json.Unmarshal(s.Bytes(), &g); err != nil {
			t.Fatalf("testdata/classic.jsonl: record %d: %v", len(all), err)
		}
		all = append(all, g)
	}
	if len(all) < 400 {
		t.Fatalf("testdata/classic.jsonl has %d records, want several hundred", len(all))
	}
	return all
}

func lineScanner(b []byte) *bufio.Scanner {
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	return s
}

func TestClassicLineIsWhatPythonPrinted(t *testing.T) {
	d := NewDecoder(DefaultNames())
	var got []byte
	for i, g := range readGolden(t) {
		fields, reason := d.Decode(g.Value)
		if reason != Accepted {
			t.Errorf("record %d: Decode(%.80q) = %v, want accepted: Python has a line for it", i, g.Value, reason)
			continue
		}
		line := Line{Offset: g.Offset, Key: g.key(), Bucket: g.Bucket, ID: fields.ID, Price: fields.Price}
		got = line.AppendClassic(got[:0])
		if string(got) != g.Line {
			t.Errorf("record %d: value %.80q key %q\n got %.200q\nwant %.200q", i, g.Value, g.key(), got, g.Line)
		}
	}
}

func TestFloatDecidesTheBucketAsPythonDid(t *testing.T) {
	d := NewDecoder(DefaultNames())
	for i, g := range readGolden(t) {
		fields, _ := d.Decode(g.Value)
		got := "high"
		switch price := fields.Price.Float(); {
		case price < 50:
			got = "low"
		case price < 200:
			got = "medium"
		}
		if got != g.Bucket {
			t.Errorf("record %d: price %.60s is %s, Python said %s", i, fields.Price.Text(), got, g.Bucket)
		}
	}
}
