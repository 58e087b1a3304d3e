package eventgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"eventline/internal/daemon"
	"eventline/internal/generate"
	"eventline/internal/logfile"
	"eventline/internal/pace"
	"eventline/internal/truth"
)

// searchLimit is how far events are computed again to find the end of a log whose position is lost: more than
// any writer writes between two snapshots.
const searchLimit = 1 << 30

// markBox is the last mark. It is set by whoever opens the log file, which may be Reopen.
type markBox struct {
	mu sync.Mutex
	m  logfile.Mark
}

func (b *markBox) get() logfile.Mark {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.m
}

func (b *markBox) set(m logfile.Mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m = m
}

// fileOpened is told where what follows goes.
func (a *App) fileOpened(m logfile.Mark) {
	a.mark.set(m)
	a.note(note{Written: m.Written, Mark: &m})
}

// resume takes up a remembered run behind the last line that is in the log.
func (a *App) resume(old *snapshot) error {
	h := &old.header
	a.seed, a.start = h.Seed, h.Start
	a.world = generate.New(uint64(h.Seed), h.Profile.Profile)
	schedule, err := h.clock.schedule(h.Profile.Rate, h.Rate, h.Seed)
	if err != nil {
		return daemon.ConfigError(err)
	}
	end, err := a.findEnd(old, schedule)
	if err != nil {
		return daemon.ConfigError(err)
	}
	p, err := a.replayTo(old, schedule, end)
	if err != nil {
		return daemon.ConfigError(err)
	}
	a.shop, a.clock = p.shop, p.clock
	a.pendingText, a.pendingLines = p.restText, p.restLines
	a.out.Continue(end)
	a.total = end
	a.log.Info().Str("state_dir", a.cfg.StateDir).Uint64("event", a.shop.Event()).Int64("written", end).
		Int64("since_saved", end-h.Written).Msg("run goes on")
	if a.schedule = schedule; h.Fixed {
		return nil
	}
	// The time in between did not happen: the next event is due now.
	a.began(time.Now().Truncate(time.Microsecond))
	return a.makeSchedule()
}

// replay computes a run again from a snapshot on.
type replay struct {
	shop      *generate.Shop
	schedule  pace.Schedule
	clock     clock
	notes     []note
	written   int64
	rec       *truth.Recorder // nil if there is no answer key, or nothing is counted
	buf       []byte
	lines     []generate.Line
	restText  []byte // lines behind the end, of the last event
	restLines []generate.Line
}

func (a *App) newReplay(old *snapshot, schedule pace.Schedule) (*replay, error) {
	shop, err := a.world.Restore(old.shop)
	if err != nil {
		return nil, fmt.Errorf("read state in %s: the shop %w; empty the folder to begin anew", a.cfg.StateDir, err)
	}
	return &replay{shop: shop, schedule: schedule, clock: old.clock, notes: old.notes, written: old.Written}, nil
}

// next computes the lines of the next event.
func (p *replay) next() (text []byte, lines []generate.Line) {
	for len(p.notes) > 0 && p.notes[0].Written <= p.written {
		n := p.notes[0]
		p.notes = p.notes[1:]
		if n.Skip > 0 {
			if p.rec != nil {
				p.rec.Drop(n.Skip - min(n.Skip, p.shop.Event()))
			}
			p.shop.LeaveOut(n.Skip)
		}
		if n.Clock != nil {
			p.clock = *n.Clock
		}
	}
	due := p.schedule.Due(p.shop.Event() - p.clock.Base)
	p.buf, p.lines = p.shop.Append(p.buf[:0], p.clock.Used+due, p.clock.after(due), p.lines[:0])
	p.written += int64(len(p.buf))
	return p.buf, p.lines
}

// replayTo computes the run up to a byte of it, and takes up the answer key.
func (a *App) replayTo(old *snapshot, schedule pace.Schedule, end int64) (*replay, error) {
	p, err := a.newReplay(old, schedule)
	if err != nil {
		return nil, err
	}
	if a.cfg.Truth != "" {
		a.makeKey()
		if err := a.key.rec.Restore(old.key); err != nil {
			return nil, fmt.Errorf("read state in %s: the answer key %w; empty the folder to begin anew", a.cfg.StateDir, err)
		}
		p.rec = a.key.rec
		if err := a.openKey(); err != nil { // cut to what the snapshot knows
			return nil, err
		}
	}
	for p.written < end {
		text, lines := p.next()
		if over := p.written - end; over > 0 { // the event has two lines, and only one of them is there
			keep, size := 0, 0
			for keep < len(lines) && int64(size+lines[keep].Len) <= int64(len(text))-over {
				size += lines[keep].Len
				keep++
			}
			p.restText, p.restLines = bytes.Clone(text[size:]), append(p.restLines, lines[keep:]...)
			text, lines = text[:size], lines[:keep]
		}
		if a.key != nil {
			a.key.add(text, lines)
		}
	}
	return p, nil
}

// findEnd returns how many bytes of the run are in the log.
func (a *App) findEnd(old *snapshot, schedule pace.Schedule) (int64, error) {
	mark := old.Mark
	for _, n := range old.notes {
		if n.Mark != nil {
			mark = *n.Mark
		}
	}
	a.mark.set(mark)
	end, event, err := a.compare(old, schedule, mark)
	latest, lasts, lerr := a.lastLines()
	if err == nil && (lerr != nil || latest < event) {
		return end, nil
	}
	if err != nil {
		a.log.Warn().Str("path", a.cfg.Path).AnErr("err", err).Msg("the log is not where the run left it, looking for its last line")
	}
	found := int64(-1)
	if lerr == nil {
		if found, err = a.search(old, schedule, latest, lasts); err != nil {
			return 0, err
		}
	}
	least := max(end, old.Written, mark.Written)
	if found < 0 && end == 0 {
		a.log.Error().Str("path", a.cfg.Path).AnErr("err", lerr).Msg("no line of the run since it was last remembered is in the log any more; some events may come twice")
	}
	return max(found, least), nil
}

var errShorter = errors.New("it is shorter than it was, as after a truncation or a power cut")

// compare finds the end by the file that a mark names, and makes sure that it has the lines that the run
// would write. It returns the next event too. Where it fails the end is 0.
func (a *App) compare(old *snapshot, schedule pace.Schedule, mark logfile.Mark) (end int64, event uint64, err error) {
	p, err := a.newReplay(old, schedule)
	if err != nil {
		return 0, 0, err
	}
	if mark == (logfile.Mark{}) {
		return old.Written, p.shop.Event(), nil // nothing was written yet
	}
	file, err := logfile.Find(a.cfg.Path, mark)
	if err != nil {
		return 0, 0, err
	}
	if file == "" {
		return 0, 0, errors.New("it is gone")
	}
	size, half, _, err := logfile.Whole(file, 0)
	if err != nil {
		return 0, 0, err
	}
	end = mark.Written + size - mark.Offset
	if size < mark.Offset || end < old.Written {
		return 0, 0, errShorter
	}
	if err := p.sameAs(file, mark, end); err != nil {
		return 0, 0, err
	}
	if half > 0 && file != a.cfg.Path {
		a.log.Warn().Str("path", file).Int64("bytes", half).Msg("cut off an unterminated line at the end of a rotated log file")
		if err := logfile.CutHalf(file); err != nil {
			return 0, 0, err
		}
	}
	return end, p.shop.Event(), nil
}

// sameAs computes the run up to a byte of it, and compares it with what a file has.
func (p *replay) sameAs(file string, mark logfile.Mark, end int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var have []byte
	for p.written < end {
		from := p.written
		text, _ := p.next()
		skip := min(max(mark.Written-from, 0), int64(len(text))) // in an earlier file
		text = text[skip:min(int64(len(text)), max(end-from, skip))]
		if len(text) == 0 {
			continue
		}
		have = append(have[:0], text...)
		if _, err := f.ReadAt(have, mark.Offset+from+skip-mark.Written); err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(have, text) {
			return fmt.Errorf("%q has a line that this run does not write", file)
		}
	}
	return nil
}

// tailSize is how much is read of the end of each log file: some 250 lines.
const tailSize = 64 << 10

// lastLines looks into the ends of the log and of what it was rotated to. It returns the latest event of the
// run that is told of there, and the last lines of all files.
func (a *App) lastLines() (latest uint64, lasts map[string]bool, err error) {
	files, err := logfile.Generations(a.cfg.Path)
	if err != nil {
		return 0, nil, err
	}
	lasts = make(map[string]bool)
	for _, file := range files {
		_, _, tail, err := logfile.Whole(file, tailSize)
		if err != nil {
			continue // a file that can't be read can't help
		}
		var last []byte
		for line := range bytes.Lines(tail) {
			last = line
			if id, ok := bytes.CutPrefix(line, []byte(`{"event_id":"`)); ok && len(id) > 36 {
				if event, ok := a.world.EventOf(id[:36]); ok {
					latest = max(latest, event)
				}
			}
		}
		if last != nil {
			lasts[string(last)] = true
		}
	}
	return latest, lasts, nil
}

// search computes the run up to an event, and returns behind which byte of it is the last of the lines that
// files end with; -1 if none of them is of the run.
func (a *App) search(old *snapshot, schedule pace.Schedule, latest uint64, lasts map[string]bool) (int64, error) {
	p, err := a.newReplay(old, schedule)
	if err != nil {
		return 0, err
	}
	found := int64(-1)
	for p.shop.Event() <= latest+tailLines && p.written-old.Written < searchLimit {
		from := p.written
		text, lines := p.next()
		for _, l := range lines {
			from += int64(l.Len)
			if lasts[string(text[:l.Len])] {
				found = from
			}
			text = text[l.Len:]
		}
	}
	return found, nil
}

// tailLines is how many lines without a readable id may end a file.
const tailLines = 100

// writePending writes what was left of the last event.
func (a *App) writePending(ctx context.Context) error {
	if len(a.pendingLines) == 0 {
		return nil
	}
	a.buf, a.lines = append(a.buf[:0], a.pendingText...), append(a.lines[:0], a.pendingLines...)
	return a.put(ctx, 0)
}
