package ship

import (
	"os"
	"path/filepath"
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

// longFirst is a rig whose log has 10 lines that were shipped, a line of 1.5 MiB and 90
// more, and the state before these.
func longFirst(t *testing.T, maxLine int) (r *rig, long string) {
	r = newRig(t, newCluster(1))
	r.rules.Long, r.maxLine = Split, maxLine
	r.write(numbered(0, 10))
	r.once()
	long = strings.Repeat("x", 3<<19)
	r.write(long + "\n" + numbered(10, 100))
	return r, long
}

// wantLong wants all short lines of it once, in order, and the long one as often in the
// topic, in pieces, and in the quarantine.
func (r *rig) wantLong(long string, inTopic, inQuarantine int, text string) {
	r.t.Helper()
	short := slices.DeleteFunc(slices.Clone(r.topic.logs[0]), func(s string) bool { return strings.HasPrefix(s, "xx") })
	if got := strings.Join(short, "\n") + "\n"; got != text {
		r.t.Errorf("the topic has %d short lines, want %d: some are missing or there twice", len(short), strings.Count(text, "\n"))
	}
	size := 0
	for _, s := range r.topic.logs[0] {
		if strings.HasPrefix(s, "xx") {
			size += len(s)
		}
	}
	if size != inTopic*len(long) {
		r.t.Errorf("the topic has %d bytes of the long line, want it %d times", size, inTopic)
	}
	kept, err := filepath.Glob(filepath.Join(r.dir, "quarantine", "*"))
	if err != nil || len(kept) != inQuarantine {
		r.t.Errorf("quarantine: got %v, %v, want %d lines", kept, err, inQuarantine)
	}
}

// Whether a line above max_line has numbers is a setting of the numbering: killed, and
// started with another one, the lines behind it have the numbers that they had.
func TestAnotherMaxLineRepeatsNothing(t *testing.T) {
	for _, c := range []struct {
		name              string
		before, now       int
		topic, quarantine int
	}{
		{"a larger one", 1 << 20, 4 << 20, 0, 1},
		{"a smaller one", 4 << 20, 1 << 20, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, long := longFirst(t, c.before)
			before := r.slots[1]
			r.once()
			r.unstored(before)
			r.maxLine = c.now
			r.write(numbered(100, 110))
			r.once()
			r.wantLong(long, c.topic, c.quarantine, numbered(0, 110))
			// From here on it holds.
			r.write(long + "\n" + numbered(110, 120))
			r.once()
			r.wantLong(long, 1, 1, numbered(0, 120))
			if got := r.slots[1].MaxLine; got != c.now {
				t.Errorf("max_line of the state: got %d, want %d", got, c.now)
			}
		})
	}
}

// The same where more is final than is behind the stored position, because the long line
// could not be put into the quarantine.
func TestAnotherMaxLineLosesNothingThatWaitsForTheQuarantine(t *testing.T) {
	r, long := longFirst(t, 1<<20)
	stuck := filepath.Join(r.dir, "quarantine", "0-120.tmp")
	if err := os.MkdirAll(stuck, 0o700); err != nil { // can't be written for now
		t.Fatal(err)
	}
	p := r.start()
	eventually(t, "the lines behind it to arrive", func() bool { return r.topic.records(0) == 100 })
	p.stop(t)
	if err := os.Remove(stuck); err != nil {
		t.Fatal(err)
	}
	r.maxLine = 4 << 20
	r.write(numbered(100, 110))
	r.once()
	r.wantLong(long, 0, 1, numbered(0, 110))
}

// A state of a version that did not store it takes the one that is set.
func TestStateWithoutMaxLineTakesTheOneThatIsSet(t *testing.T) {
	r, long := longFirst(t, 4<<20)
	r.slots[0].MaxLine, r.slots[1].MaxLine = 0, 0
	r.once()
	r.wantLong(long, 1, 0, numbered(0, 100))
	if got := r.slots[1].MaxLine; got != 4<<20 {
		t.Errorf("max_line of the state: got %d, want %d", got, 4<<20)
	}
}
