package eventgen

import (
	"fmt"
	"io"
	"time"

	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/pace"
)

// progress shows a finite run on a terminal. A nil progress shows nothing.
type progress struct {
	*daemon.Bar
	out io.Writer
	all int64 // events; 0 before the first is written
}

// newProgress is nil unless the run ends by itself and errors go to a terminal.
func newProgress(stderr io.Writer, cfg Config) *progress {
	bar := daemon.NewBar(stderr, "events", "events")
	if bar == nil || cfg.Count == 0 && cfg.Duration == 0 {
		return nil
	}
	return &progress{Bar: bar, out: stderr}
}

// set shows how far the run is.
func (p *progress) set(a *App) {
	if p == nil {
		return
	}
	if p.all == 0 {
		p.all = int64(a.lastEvent())
	}
	p.Set(int64(a.shop.Event()), p.all)
}

func (p *progress) finish() {
	if p != nil {
		p.Clear()
	}
}

// summary says for people what the run has come to.
func (p *progress) summary(a *App, took time.Duration, r *pace.Runner) {
	if p == nil {
		return
	}
	events := a.written.Load()
	fmt.Fprintf(p.out, "%d events, %s in %s: %s/s, %s/s asked for; worst lag %s, %d left out\n",
		events, config.Size(a.bytes).Rounded(), took.Round(time.Millisecond), shortRate(float64(events)/max(took.Seconds(), 1e-9)),
		shortRate(a.cfg.Rate.Float()), r.WorstLag().Round(time.Microsecond), r.Dropped())
}

// lastEvent is the number of events that the run comes to.
func (a *App) lastEvent() uint64 {
	n := uint64(a.cfg.Count)
	if d := a.cfg.Duration - a.clock.Used; a.cfg.Duration > 0 {
		if by := a.clock.Base + a.schedule.Count(max(d, 1)-1); n == 0 || by < n {
			n = by
		}
	}
	return n
}
