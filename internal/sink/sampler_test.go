package sink

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/event"
)

// run offers rate lines a second, evenly and in batches, for some seconds, and
// returns how many of each second were kept.
func run(s *Sampler, from time.Time, seconds, rate, batch int) []int {
	kept := make([]int, seconds)
	for i := range seconds {
		for n := 0; n < rate; n += batch {
			at := from.Add(time.Duration(i)*time.Second + time.Duration(n)*time.Second/time.Duration(rate))
			kept[i] += len(s.Keep(make([]event.Line, min(batch, rate-n)), at))
		}
	}
	return kept
}

func TestEveryDecisionUpTo200ASecond(t *testing.T) {
	var log bytes.Buffer
	s := NewSampler(PrintSample, zerolog.New(&log))
	for i, n := range run(s, start, 5, 200, 1) {
		if n != 200 {
			t.Errorf("second %d: kept %d of 200, want all", i, n)
		}
	}
	if log.Len() > 0 {
		t.Errorf("nothing was left out, but the log says %s", log.String())
	}
}

func TestAbove200ASecondOneInN(t *testing.T) {
	for _, batch := range []int{1, 7, 1000} {
		var log bytes.Buffer
		s := NewSampler(PrintSample, zerolog.New(&log))
		for i, n := range run(s, start, 5, 10_000, batch) {
			if n != 200 {
				t.Errorf("batches of %d, second %d: kept %d of 10000, want 200", batch, i, n)
			}
		}
		want := `{"level":"info","per_second":200,"hint":"--print all","message":"printing only a part of the decisions"}
{"level":"info","one_in":50,"message":"printing one decision in n"}
`
		if log.String() != want {
			t.Errorf("log is\n%swant\n%s", log.String(), want)
		}
	}
}

func TestTheSampleIsSpreadOverTheSecond(t *testing.T) {
	s := NewSampler(PrintSample, zerolog.Nop())
	run(s, start, 1, 10_000, 100)
	lines := make([]event.Line, 10_000)
	for i := range lines {
		lines[i].Offset = int64(i)
	}
	late := 0
	for _, l := range s.Keep(lines, start.Add(time.Second)) {
		if l.Offset >= 5000 {
			late++
		}
	}
	if late != 100 {
		t.Errorf("kept %d of the second half, want 100", late)
	}
}

func TestASuddenBurstIsCapped(t *testing.T) {
	s := NewSampler(PrintSample, zerolog.Nop())
	run(s, start, 1, 1000, 10) // n is 5 for the second that follows
	if n := run(s, start.Add(time.Second), 1, 100_000, 1000)[0]; n != 200 {
		t.Errorf("kept %d of the second, want 200 at most", n)
	}
}

func TestAfterSilenceEveryDecisionCounts(t *testing.T) {
	s := NewSampler(PrintSample, zerolog.Nop())
	run(s, start, 1, 10_000, 100)
	if n := len(s.Keep(make([]event.Line, 2), start.Add(10*time.Second))); n != 2 {
		t.Errorf("kept %d of 2 after nine silent seconds, want both", n)
	}
}

func TestAClockSetBackDoesNotStopTheLines(t *testing.T) {
	s := NewSampler(PrintSample, zerolog.Nop())
	run(s, start, 2, 10_000, 100)
	if n := run(s, start.Add(-time.Hour), 1, 100, 1)[0]; n != 100 {
		t.Errorf("kept %d of 100 after the clock was set back, want all", n)
	}
}

func TestNoticesAreRare(t *testing.T) {
	var log bytes.Buffer
	s := NewSampler(PrintSample, zerolog.New(&log))
	for i := range 120 { // the rate jumps each second
		run(s, start.Add(time.Duration(i)*time.Second), 1, []int{100, 1000, 10_000}[i%3], 10)
	}
	if n := strings.Count(log.String(), "\n"); n > 5 {
		t.Errorf("two minutes of an unsteady rate gave %d notices:\n%s", n, log.String())
	}
	log.Reset()
	run(s, start.Add(2*time.Minute), 70, 5, 1)
	if n := strings.Count(log.String(), "printing every decision again"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("after a minute with every decision the log says %q, want one notice of it", log.String())
	}
}

func TestAllNeverSamplesAndNoneKeepsNothing(t *testing.T) {
	if n := len(NewSampler(PrintAll, zerolog.Nop()).Keep(make([]event.Line, 10_000), start)); n != 10_000 {
		t.Errorf("all kept %d of 10000", n)
	}
	if n := len(NewSampler(PrintNone, zerolog.Nop()).Keep(make([]event.Line, 10), start)); n != 0 {
		t.Errorf("none kept %d of 10", n)
	}
}

func TestModes(t *testing.T) {
	for text, want := range map[string]string{
		"all": "", "sample": "", "none": "",
		"windows": `want all, sample or none, got "windows": there are no windows yet`,
		"":        `want all, sample or none, got ""`,
		"All":     `want all, sample or none, got "All"`,
	} {
		var p Print
		got := ""
		if err := p.UnmarshalText([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("UnmarshalText(%q): %q, want %q", text, got, want)
		}
		if want == "" && string(p) != text {
			t.Errorf("UnmarshalText(%q) made %q", text, p)
		}
	}
}
