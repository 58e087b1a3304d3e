package ship

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongLinesAreSplitOrTruncated(t *testing.T) {
	const most = 3000
	long := strings.Repeat("é", 4000) + "end"
	for _, c := range []struct {
		long Long
		want int // records of it
	}{{Keep, 0}, {Split, 3}, {Truncate, 1}} {
		t.Run(string(c.long), func(t *testing.T) {
			k := newCluster(1)
			k.maxBytes = most + batchOverhead + recordOverhead
			r := newRig(t, k)
			r.rules.Long = c.long
			r.write(numbered(0, 10) + long + "\n" + numbered(10, 20))
			r.once()
			got := slices.DeleteFunc(slices.Clone(k.logs[0]), func(s string) bool { return strings.HasPrefix(s, "line ") })
			if len(got) != c.want || len(k.logs[0]) != 20+c.want {
				t.Fatalf("got %d records of it and %d in all, want %d and %d", len(got), len(k.logs[0]), c.want, 20+c.want)
			}
			if !strings.HasPrefix(long, strings.Join(got, "")) || c.long == Split && strings.Join(got, "") != long {
				t.Errorf("got other text than the line's")
			}
			for _, s := range got {
				if len(s) > most || !utf8.ValidString(s) {
					t.Errorf("piece of %d bytes, valid UTF-8: %v", len(s), utf8.ValidString(s))
				}
			}
		})
	}
}

// The pieces of a line have numbers: a kill in the middle of them repeats none.
func TestKillBetweenPiecesRepeatsNone(t *testing.T) {
	k := newCluster(1)
	k.maxBytes = 1500
	r := newRig(t, k)
	r.rules.Long = Split
	r.write(numbered(0, 10))
	r.once()
	before := r.slots[1]
	var text strings.Builder
	for i := range 30 {
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), 2000) + "\n")
	}
	r.write(text.String())
	r.once()
	want := slices.Clone(k.logs[0])
	r.unstored(before)
	r.write(numbered(10, 20))
	r.once()
	if got := k.logs[0][:len(want)]; !slices.Equal(got, want) || len(k.logs[0]) != len(want)+10 {
		t.Errorf("got %d records, want %d", len(k.logs[0]), len(want)+10)
	}
}

func TestPartitionerFileKeepsTheOrderOfALog(t *testing.T) {
	k := newCluster(3)
	r := newRig(t, k)
	r.rules.Partitioner = File
	r.write(numbered(0, 30_000))
	r.once()
	full := slices.IndexFunc(k.logs, func(l []string) bool { return len(l) > 0 })
	r.wantLog(full, numbered(0, 30_000))
	// Another partitioner holds from here on.
	r.rules.Partitioner = Stripe
	r.write(numbered(30_000, 60_000))
	r.once()
	checkExact(t, 0, k, numbered(0, 60_000))
	if n := slices.IndexFunc(k.logs, func(l []string) bool { return len(l) == 0 }); n >= 0 {
		t.Errorf("partition %d has nothing", n)
	}
}
