package sink

import (
	"fmt"
	"sync"
	"time"

	"eventline/internal/event"
)

// Print says which decisions are printed.
type Print string

// The modes.
const (
	PrintAll    Print = "all"    // every one
	PrintSample Print = "sample" // every one up to sampleRate a second, above that 1 in n
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

// sampleRate is how many lines a second a person, or the journal with its default
// limit of 10,000 in 30 s (journald.conf(5)), can take.
const sampleRate = 200

// Sampler lets through as many decisions as the mode allows. It is safe for
// concurrent use.
type Sampler struct {
	mode   Print
	notice func(oneIn int) // called when the share changes; 1 is all again

	mu      sync.Mutex
	began   time.Time // of the second that is counted
	seen    int       // in it
	oneIn   int
	counter int
}

// NewSampler returns a Sampler. notice may be nil.
func NewSampler(mode Print, notice func(oneIn int)) *Sampler {
	if notice == nil {
		notice = func(int) {}
	}
	return &Sampler{mode: mode, notice: notice, oneIn: 1}
}

// Keep returns those of lines that are to be printed, in the memory of lines. The
// share follows the rate of the second before, and at once if the rate rises
// above it.
func (s *Sampler) Keep(lines []event.Line, now time.Time) []event.Line {
	switch s.mode {
	case PrintAll:
		return lines
	case PrintNone:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if past := now.Sub(s.began); past >= time.Second {
		rate := int(float64(s.seen) / max(past.Seconds(), 1))
		s.began, s.seen = now, 0
		s.share((rate + sampleRate - 1) / sampleRate)
	}
	s.seen += len(lines)
	if need := (s.seen + sampleRate - 1) / sampleRate; need > s.oneIn {
		s.share(need)
	}
	if s.oneIn == 1 {
		return lines
	}
	kept := lines[:0]
	for _, l := range lines {
		if s.counter++; s.counter >= s.oneIn {
			s.counter = 0
			kept = append(kept, l)
		}
	}
	return kept
}

// share sets how many decisions there are for each that is printed, and says so
// when that starts, ends or changes by half.
func (s *Sampler) share(oneIn int) {
	oneIn = max(1, oneIn)
	if oneIn == s.oneIn || (oneIn > 1 && s.oneIn > 1 && oneIn < s.oneIn*3/2 && oneIn > s.oneIn*2/3) {
		return
	}
	s.oneIn, s.counter = oneIn, 0
	s.notice(oneIn)
}
