package eventgen

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"eventline/internal/config"
	"eventline/internal/pace"
)

// progress shows a finite run on a terminal. A nil progress shows nothing.
type progress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

// newProgress is nil unless the run ends by itself and errors go to a terminal.
func newProgress(stderr io.Writer, cfg Config) *progress {
	f, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || cfg.Count == 0 && cfg.Duration == 0 {
		return nil
	}
	return &progress{out: stderr}
}

// set shows how far the run is. The bar appears with the first batch, when its length is known.
func (p *progress) set(a *App) {
	if p == nil {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(int64(a.lastEvent()),
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription("events"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	_ = p.bar.Set64(int64(a.shop.Event())) // a terminal that is gone is no reason to stop
}

func (p *progress) finish() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
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
