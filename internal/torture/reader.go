package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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

// stored is the content of Reader.State: what tail had to know where the output
// had Out bytes. It is stored before a line of another generation is recorded:
// which generation comes next, and where one ended, can't be found out again.
// What was recorded after it is read again, and left out by its positions.
type stored struct {
	Out int64 `json:"out"`
	// Recorded is the position after the last line before Out. A decision may be
	// handed out while lines are read again, and then the state is one before it.
	Recorded tail.Position `json:"recorded"`
	Tail     tail.State    `json:"tail"`
}

// saveEvery is the longest time between two stored states. They are at random
// places in the files.
const saveEvery = 500 * time.Millisecond

// Run reads until ctx ends, or, with Once, until the end of what is there.
func (r Reader) Run(ctx context.Context) error {
	state, recorded, out, err := r.resume()
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
	err = r.record(t, recorded, out)
	cancel()
	for b := range t.Blocks() {
		b.Release()
	}
	if failed := <-ended; err == nil && !errors.Is(failed, os.ErrNotExist) {
		err = failed
	}
	return err
}

// record writes what t reads after the position up to which it was recorded.
func (r Reader) record(t *tail.Tail, recorded tail.Position, out *Output) error {
	var saveAt time.Time
	for b := range t.Blocks() {
		if b.TooLong > 0 {
			return fmt.Errorf("line of %d bytes at %s", b.TooLong, b.Start)
		}
		data, start := b.Data, b.Start
		if b.End.Generation == recorded.Generation && start.Offset < recorded.Offset || start.Generation < recorded.Generation {
			again := len(data)
			if start.Generation == recorded.Generation {
				again = min(again, int(recorded.Offset-start.Offset))
			}
			data, start.Offset = data[again:], start.Offset+int64(again)
		}
		if b.Decision != nil || len(data) > 0 && time.Now().After(saveAt) {
			if err := r.save(stored{out.end, recorded, t.State(b.Mark(start.Offset, nil))}); err != nil {
				return err
			}
			saveAt = time.Now().Add(rand.N(saveEvery))
		}
		if len(data) > 0 {
			if err := out.Append(start.Generation, start.Offset, data); err != nil {
				return err
			}
			recorded = b.End
		}
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

// resume returns the stored state, nil at a first start, and the position up to
// which there are records.
func (r Reader) resume() (*tail.State, tail.Position, *Output, error) {
	s := stored{Recorded: tail.Position{Generation: -1}}
	data, err := os.ReadFile(r.State)
	first := errors.Is(err, os.ErrNotExist)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil && !first {
		return nil, s.Recorded, nil, fmt.Errorf("read %s: %w", r.State, err)
	}
	out, err := openOutput(r.Out, s.Out, func(rec record) error {
		s.Recorded = tail.Position{Generation: rec.generation, Offset: rec.offset + int64(len(rec.data))}
		return nil
	})
	if first {
		return nil, s.Recorded, out, err
	}
	return &s.Tail, s.Recorded, out, err
}
