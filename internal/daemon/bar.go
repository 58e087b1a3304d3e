package daemon

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Bar shows on a terminal how far something with an end is. It is for one goroutine at a time. A nil Bar
// shows nothing.
type Bar struct {
	out        io.Writer
	what, unit string
	bar        *progressbar.ProgressBar // nil before the first Set
}

// NewBar is a bar that says what is done, counted in a unit. It is nil if out is no terminal.
func NewBar(out io.Writer, what, unit string) *Bar {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &Bar{out: out, what: what, unit: unit}
}

// Set shows that so many of all are done. A terminal that is gone is no reason to stop.
func (b *Bar) Set(done, all int64) {
	if b == nil || all == 0 {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(all,
			progressbar.OptionSetWriter(b.out), progressbar.OptionSetDescription(b.what), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString(b.unit), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	if b.bar.GetMax64() != all {
		b.bar.ChangeMax64(all)
	}
	_ = b.bar.Set64(done)
}

// Clear takes the bar off the terminal.
func (b *Bar) Clear() {
	if b != nil && b.bar != nil {
		_ = b.bar.Clear()
	}
}
