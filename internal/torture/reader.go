package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/tail"
)

// Reader reads a log with tail and appends what it reads to a file of records.
// It is what gets killed: after a restart it goes on after the last record that
// is complete.
type Reader struct {
	Path  string `json:"path"`  // the log
	Out   string `json:"out"`   // the records
	State string `json:"state"` // the latest stored state of tail
	Once  bool   `json:"once"`  // end at the end of what is there
}

const (
	headSize     = 256 // of tail.GenerationState.Head
	frontierSize = 512 // of tail.GenerationState.Before
)

// stored is the content of Reader.State: what tail had to know where the output
// had Out bytes. It is stored before a line of another generation is recorded.
type stored struct {
	Out  int64      `json:"out"`
	Tail tail.State `json:"tail"`
}

// Run reads until ctx ends, or, with Once, until the end of what is there.
func (r Reader) Run(ctx context.Context) error {
	state, out, err := r.resume()
	if err != nil {
		return err
	}
	defer out.Close()
	t, err := tail.New(tail.Config{
		Path: r.Path, State: state, Once: r.Once,
		Log: zerolog.New(os.Stderr).Level(zerolog.InfoLevel).With().Timestamp().Int("pid", os.Getpid()).Logger(),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- t.Run(ctx) }()
	err = r.record(t, out)
	cancel()
	for b := range t.Blocks() {
		b.Release()
	}
	if failed := <-ended; err == nil && !errors.Is(failed, os.ErrNotExist) {
		err = failed
	}
	return err
}

// record writes what t reads.
func (r Reader) record(t *tail.Tail, out *Output) error {
	var last tail.Position
	var saved time.Time
	for b := range t.Blocks() {
		if b.TooLong > 0 {
			return fmt.Errorf("line of %d bytes at %s", b.TooLong, b.Start)
		}
		// A state of long ago would do, but takes long to go on from.
		if b.Decision || b.Start != last || saved.IsZero() || time.Since(saved) > time.Second {
			if err := r.save(stored{out.end, t.State(b.Mark(b.Start.Offset, nil))}); err != nil {
				return err
			}
			saved = time.Now()
		}
		if len(b.Data) > 0 {
			if err := out.Append(b.Start.Generation, b.Start.Offset, b.Data); err != nil {
				return err
			}
		}
		last = b.End
		b.Release()
	}
	return nil
}

func (r Reader) save(s stored) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	// Nothing is synced: the process is killed, not the machine.
	if err := os.WriteFile(r.State+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(r.State+".new", r.State)
}

// resume returns the state at the end of the output, nil at a first start.
func (r Reader) resume() (*tail.State, *Output, error) {
	data, err := os.ReadFile(r.State)
	if errors.Is(err, os.ErrNotExist) {
		out, err := OpenOutput(r.Out)
		return nil, out, err
	}
	if err != nil {
		return nil, nil, err
	}
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", r.State, err)
	}
	out, err := openOutput(r.Out, s.Out, func(rec record) error { return advance(&s.Tail, rec) })
	return &s.Tail, out, err
}

// advance moves a state past a record that was made after it.
func advance(s *tail.State, rec record) error {
	for i := range s.Generations {
		g := &s.Generations[i]
		if g.Number != rec.generation {
			continue
		}
		if g.Offset != rec.offset {
			return fmt.Errorf("record at %d:%d, but reading was at offset %d", rec.generation, rec.offset, g.Offset)
		}
		// The head reaches at least up to the position, unless it is complete.
		if n := len(g.Head); n < headSize && n-int(g.Offset) < len(rec.data) {
			head := append(g.Head[:n:n], rec.data[n-int(g.Offset):]...)
			g.Head = head[:min(len(head), headSize)]
		}
		g.Offset += int64(len(rec.data))
		before := append(g.Before[:len(g.Before):len(g.Before)], rec.data[max(0, len(rec.data)-frontierSize):]...)
		g.Before = before[max(0, len(before)-frontierSize):]
		return nil
	}
	return fmt.Errorf("record at %d:%d of a generation that was not stored", rec.generation, rec.offset)
}
