package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// told waits for decisions and compares them.
func (r *reader) told(want ...string) {
	r.t.Helper()
	var got []string
	eventually(r.t, fmt.Sprintf("decisions %v", want), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		got = nil
		for _, d := range r.decisions {
			got = append(got, fmt.Sprintf("%s %s", d.Kind, d.Position))
		}
		return len(got) >= len(want)
	})
	same(r.t, got, want)
}

func TestEachFileThatIsReadIsADecision(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	f.write(numbered(0, 10))
	r.wants(numbered(0, 10))
	f.rotate(".1")
	f.write(numbered(10, 20))
	r.wants(numbered(0, 20))
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(20, 21))
	r.wants(numbered(0, 21))
	r.told("begun 0:0", "begun 1:0", "begun 2:0")
}

func TestUnfinishedLastLineIsADecisionBeforeItIsALine(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10) + "unfinished")
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 10))
	f.rotate(".1")
	f.write(numbered(10, 20))
	r.wants(numbered(0, 10) + "unfinished\n" + numbered(10, 20))
	r.told("begun 0:0", "cut 0:320", "begun 1:0")
}

// The rule: with the state of the last decision before it, every line is read
// again at the same position and with the same bytes, whatever became of the
// directory in between.
func TestWhatWasDecidedIsNotDecidedAgain(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10) + "unfinished")
	w := f.writer(f.path)
	f.rotate("-20261122")
	must(t, w.Close())
	f.write(numbered(10, 20))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 10) + "unfinished\n" + numbered(10, 20))
	r.stop()
	// A crash; then somebody writes into the file that had ended, and another file
	// appears that is older than all.
	f.append(f.path+"-20261122", " and went on\n")
	f.append(f.path+"-20251122", "late\n")
	long := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(f.path+"-20251122", long, long))
	blocks := r.settled
	for i, b := range blocks {
		again := f.resume(r.stateAt(i))
		want := split(numbered(0, 10) + "unfinished\n" + numbered(10, 20))[b.lines:]
		eventually(t, "the lines again", func() bool {
			again.mu.Lock()
			defer again.mu.Unlock()
			return len(again.lines) >= len(want)
		})
		got := again.got()
		again.stop()
		if i == 0 {
			continue // before the decisions that the rest rests on
		}
		same(t, got[:len(want)], want)
	}
}

// What followed was decided to come behind all lines of a file that is not there
// any more: that some of them don't come is a decision anew.
func TestWhatComesBehindALossIsDecidedAgain(t *testing.T) {
	for name, lose := range map[string]func(f *folder){
		"deleted":            func(f *folder) { must(t, os.Remove(f.path+".2")) },
		"truncated, no copy": func(f *folder) { must(t, os.Truncate(f.path+".2", 0)) },
		"truncated, its copy ends before the position": func(f *folder) {
			text, err := os.ReadFile(f.path + ".2")
			must(t, err)
			must(t, os.WriteFile(f.path+".3", text[:4400], 0o600))
			must(t, os.Truncate(f.path+".2", 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 1000))
			f.rotate(".2")
			f.write(numbered(1000, 1010))
			f.rotate(".1")
			cfg := config(t, f.path)
			cfg.buffer = 4096
			r := start(t, cfg)
			r.wants(numbered(0, 1010))
			r.stop()
			s := r.stateAt(1) // in the middle of the first file
			if s.Generations[0].Done || !s.Generations[1].Begun {
				t.Fatal("want two files of which the second is decided to be next")
			}
			lose(f)
			again := f.resume(s)
			again.wants(numbered(1000, 1010))
			again.told(fmt.Sprintf("begun %d:0", s.Generations[1].Number))
		})
	}
}

// The last line of a file is a line, as it is, and then more of it comes: that is
// behind the end that was decided, also where the line is too long to be held.
func TestTooLongLineEndsWhereItWasDecided(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.MaxLine = 4096, 4096
	f.write("a\n" + strings.Repeat("t", 10_000))
	f.rotate(".1")
	f.write("b\n")
	tail := looked(t, f, cfg)
	now := time.Now()
	tail.look(now, false)
	tail.step(now)
	if tail.pending == nil || tail.pending.Decision == nil {
		t.Fatal("want a decision first")
	}
	tail.pending.Release()
	tail.handedOver()
	f.append(f.path+".1", "T\nlate\n")
	var tooLong []int64
	for tail.step(now) {
		b := tail.pending
		if b == nil {
			continue
		}
		if b.TooLong > 0 {
			tooLong = append(tooLong, b.TooLong)
		}
		s := tail.State(b.Mark(b.End.Offset, nil))
		if err := s.check(); err != nil {
			t.Errorf("state at %v: %v", b.End, err)
		}
		b.Release()
		tail.handedOver()
	}
	if len(tooLong) == 0 || tooLong[0] != 10_000 {
		t.Errorf("too long lines: got %v, want first one of 10000 bytes", tooLong)
	}
}
