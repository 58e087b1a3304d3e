package classify

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

func TestClassicBuckets(t *testing.T) {
	table, err := New(Classic())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		knows string
		price float64
		want  string
	}{
		{"zero is free of charge, not free of bucket", 0, "low"},
		{"minus zero is zero", math.Copysign(0, -1), "low"},
		{"the last float below an edge is below it", math.Nextafter(50, 0), "low"},
		{"an edge belongs to the upper bucket", 50, "medium"},
		{"one cent below the upper edge", 199.99, "medium"},
		{"the upper edge too belongs to the upper bucket", 200, "high"},
		{"there is no end to high", math.MaxFloat64, "high"},
		{"an integer beyond all floats is high", math.Inf(1), "high"},
	} {
		t.Run(c.knows, func(t *testing.T) {
			if got := table.Label(table.Bucket(c.price)); got != c.want {
				t.Errorf("bucket of %v = %s, want %s", c.price, got, c.want)
			}
		})
	}
}

func parse(t testing.TB, text string) Buckets {
	t.Helper()
	var b Buckets
	if err := b.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("UnmarshalText(%q): %v", text, err)
	}
	return b
}

func TestTheSettingReadsAsItIsWritten(t *testing.T) {
	if got := parse(t, "low<50,medium <200 , high"); !slices.Equal(got, Classic()) {
		t.Errorf("without spaces the classic buckets read as %+v", got)
	}
	if got, want := Classic().String(), "low < 50, medium < 200, high"; got != want {
		t.Errorf("the classic buckets are written %q, want %q", got, want)
	}
	var b Buckets
	if err := b.UnmarshalText([]byte("low <, high")); err == nil || err.Error() != `want a price after "low <"` {
		t.Errorf(`UnmarshalText("low <, high") = %v`, err)
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		knows string
		text  string
		want  []string
	}{
		{"the classic buckets are right", "low < 50, medium < 200, high", nil},
		{"one bucket needs no end", "all", nil},
		{"an end may have decimals", "a < 49.99, b", nil},
		{"nothing is no table", " ", []string{"need at least one"}},
		{"an end is needed between two buckets", "a, b < 1, c", []string{`all but the last must have an end, as in "a < 50", got "a"`}},
		{"the last has no end", "a < 1, b < 2", []string{`the last must have no end, so that every price has a bucket, got "b < 2"`}},
		{"ends ascend", "a < 200, b < 50, c", []string{`prices must ascend, got "50" after "200"`}},
		{"equal ends leave an empty bucket", "a < 50, b < 50.0, c", []string{`prices must ascend, got "50.0" after "50"`}},
		{"no price is below zero", "a < 0, b < -1, c", []string{`no price is below 0, got "a < 0"`, `no price is below 0, got "b < -1"`}},
		{"a label is used once", "a < 1, a", []string{`labels must differ, got "a" twice`}},
		{
			"every problem is named at once",
			", a b < NaN, c/d < 0x10, é < 1_0, e < 1e5e5, f < 1e400, g < 50",
			[]string{
				`a label must be of letters, digits, dot, dash and underscore, got ""`,
				`all but the last must have an end, as in " < 50", got ""`,
				`a label must be of letters, digits, dot, dash and underscore, got "a b"`,
				`a label must be of letters, digits, dot, dash and underscore, got "c/d"`,
				`a label must be of letters, digits, dot, dash and underscore, got "é"`,
				`the last must have no end, so that every price has a bucket, got "g < 50"`,
				`want a price, got "NaN"`,
				`want a price, got "0x10"`,
				`want a price, got "1_0"`,
				`want a price, got "1e5e5"`,
				`want a price of at most 2^53, got "1e400"`,
			},
		},
	} {
		t.Run(c.knows, func(t *testing.T) {
			b := parse(t, c.text)
			got := b.Problems()
			if !slices.Equal(got, c.want) {
				t.Errorf("Problems of %q\n got %q\nwant %q", c.text, got, c.want)
			}
			if _, err := New(b); (err == nil) != (c.want == nil) {
				t.Errorf("New(%q) = %v, want an error: %t", c.text, err, c.want != nil)
			}
		})
	}
}

// FuzzBuckets knows that buckets without problems are written as they are read,
// and that each end separates the prices below it from itself.
func FuzzBuckets(f *testing.F) {
	for _, s := range []string{
		"low < 50, medium < 200, high", "all", "", ",", "<", "a<1,b", "a < 49.99, b", "a<1e-3,b<1e3,c", "a<+5,b", "a<-,b", "a<1e400,b",
		"a<9007199254740992,b", "a<0x1p4,b", "a<Inf,b", "a<5e-324,b", "a<1e-400,b", "a<1<2,b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again Buckets
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		table, err := New(b)
		if err != nil {
			return
		}
		if err := again.UnmarshalText([]byte(b.String())); err != nil || !slices.Equal(b, again) {
			t.Errorf("%q is written as %q, which reads as %+v, %v", text, b, again, err)
		}
		for i, bucket := range b[:len(b)-1] {
			end, err := strconv.ParseFloat(bucket.Below, 64)
			if err != nil {
				t.Fatalf("New accepts the end %q, which is no number: %v", bucket.Below, err)
			}
			if got := table.Bucket(end); got != i+1 {
				t.Errorf("%q: the price %s is in bucket %d, want %d", text, bucket.Below, got, i+1)
			}
			if got := table.Bucket(math.Nextafter(end, 0)); got != i {
				t.Errorf("%q: a price just below %s is in bucket %d, want %d", text, bucket.Below, got, i)
			}
		}
	})
}

func BenchmarkBucket(b *testing.B) {
	table, err := New(Classic())
	if err != nil {
		b.Fatal(err)
	}
	for _, price := range []float64{35.32, 264.6} {
		b.Run(fmt.Sprint(price), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = table.Bucket(price)
			}
		})
	}
}
