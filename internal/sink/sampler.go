package sink

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/event"
)

// Print says which decisions are printed.
type Print string

// The modes.
const (
	PrintAll    Print = "all"    // every one
	PrintSample Print = "sample" // every one up to 200 a second, above that 1 in n
	PrintNone   Print = "none"
)

// UnmarshalText reads a mode.
func (p *Print) UnmarshalText(text []byte) error {
	switch mode := Print(text); mode {
	case PrintAll, PrintSample, PrintNone:
		*p = mode
		return nil
	case "windows":
		return fmt.Errorf("want all, sample or none, got %q: there are no windows yet", text)
	}
	return fmt.Errorf("want all, sample or none, got %q", text)
}

// MarshalText writes the mode.
func (p Print) MarshalText() ([]byte, error) { return []byte(p), nil }

// Wants names the type in problems.
func (Print) Wants() string { return "all, sample or none" }

const (
	// sampleRate is how many lines a second a person, or the journal with its
	// default limit of 10,000 in 30 s (journald.conf(5)), can take.
	sampleRate = 200
	// noticeEvery keeps notices rare while the rate goes up and down.
	noticeEvery = time.Minute
)

// Sampler lets through as many decisions as the mode allows. Where that is not
// all of them, it is one in n of each second of the clock: n is such that the
// decisions of the second before would have fitted, and there are never more than
// sampleRate. It is safe for concurrent use.
type Sampler struct {
	mode Print
	log  zerolog.Logger

	mu     sync.Mutex
	second int64 // that is being counted, Unix time
	seen   int   // in it
	taken  int   // of them
	oneIn  int   // n; 0 before the first second

	omitting bool // it was said that some are left out
	omitted  int  // since then
	lastOmit time.Time
	said     int // n when it was said last, 0 if it was not known
	saidAt   time.Time
}

// NewSampler returns a Sampler that tells log when it begins to leave decisions
// out, and when all are printed again.
func NewSampler(mode Print, log zerolog.Logger) *Sampler { return &Sampler{mode: mode, log: log} }

// Keep returns those of lines that are to be printed, in the memory of lines.
func (s *Sampler) Keep(lines []event.Line, now time.Time) []event.Line {
	switch s.mode {
	case PrintAll:
		return lines
	case PrintNone:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second || s.oneIn == 0 {
		s.oneIn = 1
		if second == s.second+1 { // else nothing came for a second, or the clock was set
			s.oneIn = max(1, (s.seen+sampleRate-1)/sampleRate)
		}
		s.second, s.seen, s.taken = second, 0, 0
		s.say(now)
	}
	kept := lines[:0]
	for _, l := range lines {
		if s.seen%s.oneIn == 0 && s.taken < sampleRate {
			s.taken++
			kept = append(kept, l)
		}
		s.seen++
	}
	if left := len(lines) - len(kept); left > 0 {
		s.omitted += left
		s.lastOmit = now
		if !s.omitting {
			s.omitting, s.said, s.saidAt = true, 0, now
			s.log.Info().Int("per_second", sampleRate).Str("hint", "--print all").Msg("printing only a part of the decisions")
		}
	}
	return kept
}

// say tells at the beginning of a second what has changed.
func (s *Sampler) say(now time.Time) {
	switch {
	case !s.omitting:
	case now.Sub(s.lastOmit) >= noticeEvery:
		s.log.Info().Int("left_out", s.omitted).Msg("printing every decision again")
		s.omitting, s.omitted = false, 0
	case s.oneIn == 1:
	case s.said == 0, now.Sub(s.saidAt) >= noticeEvery && (s.oneIn >= 2*s.said || 2*s.oneIn <= s.said):
		s.said, s.saidAt = s.oneIn, now
		s.log.Info().Int("one_in", s.oneIn).Msg("printing one decision in n")
	}
}
