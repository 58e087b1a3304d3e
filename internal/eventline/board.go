package eventline

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"eventline/internal/daemon"
)

// board shows at the bottom of the screen what the parts say of themselves: the
// STATUS that systemd would get.
type board struct {
	screen *screen

	mu     sync.Mutex
	status map[string]string
}

// notified takes an sd_notify message of a part.
func (b *board) notified(part, state string) {
	for line := range strings.SplitSeq(state, "\n") {
		if text, ok := strings.CutPrefix(line, "STATUS="); ok {
			b.mu.Lock()
			if b.status == nil {
				b.status = make(map[string]string)
			}
			b.status[part] = text
			b.mu.Unlock()
		}
	}
}

// show redraws the rows until ctx ends or a part has ended.
func (b *board) show(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		b.screen.setRows(b.rows())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-ended:
			return
		}
	}
}

func (b *board) rows() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := make([]string, 0, len(pipeline)+1)
	rows = append(rows, strings.Repeat("─", 60))
	for _, w := range pipeline {
		rows = append(rows, fmt.Sprintf("%-9s %s", w.name, b.status[w.name]))
	}
	return rows
}

// newScreen shows rows only where a person looks: where standard output is a
// terminal that can move its cursor.
func newScreen(env daemon.Environment) *screen {
	s := &screen{out: env.Stdout}
	f, ok := env.Stdout.(*os.File)
	if name, _ := env.LookupEnv("TERM"); !ok || !term.IsTerminal(int(f.Fd())) || name == "dumb" {
		return s
	}
	s.size = func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}
	return s
}

// beside returns what to write another stream's lines to, so that they don't
// run into the rows: the screen itself if that stream is a terminal too.
func (s *screen) beside(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && s.size != nil && term.IsTerminal(int(f.Fd())) {
		return s
	}
	return w
}
