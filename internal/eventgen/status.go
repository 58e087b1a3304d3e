package eventgen

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	// statusEvery is how often the service manager is told the rate, if it has changed.
	statusEvery = 5 * time.Second
	// tellLag is the lag from which on it is worth a word.
	tellLag = time.Second
)

// fileChanged is told when writing stops (with the reason) and when it works again (nil).
func (a *App) fileChanged(err error) {
	if err == nil {
		a.waiting.Store(nil)
		a.notify.Status(a.status(a.cfg.Rate.Float()))
		return
	}
	a.waiting.Store(&err)
	// A file that is waited for is no reason to hold up what is started after eventgen.
	a.notify.Ready(fmt.Sprintf("waiting: %v", err))
}

// ready says what the daemon waits for.
func (a *App) ready() error {
	if err := a.waiting.Load(); err != nil {
		return fmt.Errorf("waiting: %w", *err)
	}
	return nil
}

// status says in one line what is going on.
func (a *App) status(rate float64) string {
	path := a.cfg.Path
	if path == stdout {
		path = "to standard output"
	}
	s := fmt.Sprintf("writing %s at %s/s", path, shortRate(rate))
	if lag := a.lag(); lag >= tellLag {
		s += fmt.Sprintf(", %s behind schedule", lag.Round(time.Second))
	}
	return s
}

// shortRate is a rate for people: enough digits to see that it is held.
func shortRate(rate float64) string {
	switch {
	case rate < 1:
		return fmt.Sprintf("%.3g", rate)
	case rate < 1000:
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// tellStatus keeps the service manager's status line true until ctx is done.
func (a *App) tellStatus(ctx context.Context) {
	a.notify.Tell(ctx, statusEvery, a.written.Load, func(events uint64, took time.Duration) string {
		if a.waiting.Load() != nil {
			return "" // fileChanged has said why
		}
		return a.status(heldRate(a.cfg.Rate.Float(), float64(events), took.Seconds()))
	})
}

// heldRate is the rate of so many events in so many seconds: the target if it was held within what
// counting whole events, or ticks, can tell. Else the line would change without anything having changed.
func heldRate(target, events, seconds float64) float64 {
	if math.Abs(events-target*seconds) <= max(2, target*seconds/100) {
		return target
	}
	return events / seconds
}
