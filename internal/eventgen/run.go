package eventgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"time"

	"eventline/internal/daemon"
	"eventline/internal/event"
	"eventline/internal/generate"
	"eventline/internal/logfile"
	"eventline/internal/pace"
	"eventline/internal/truth"
)

const (
	// A snapshot is taken after saveEvents, but not more often than saveEvery, and after saveLatest anyway:
	// computing 100,000 events again takes a tenth of a second.
	saveEvents = 100_000
	saveEvery  = time.Second
	saveLatest = 30 * time.Second
)

// run is what is being written and where it is.
type run struct {
	seed     int64
	start    int64 // nanoseconds since 1970, of event 0
	world    *generate.World
	shop     *generate.Shop
	schedule pace.Schedule
	clock    clock
	total    int64 // bytes since event 0

	memory *memory    // nil if nothing is remembered
	key    *answerKey // nil if there is none

	buf          []byte
	lines        []generate.Line
	pendingText  []byte // lines to be written before the next event
	pendingLines []generate.Line
	savedAt      time.Time
	savedEvent   uint64
	mark         markBox
}

// begin sets up the run: a new one, or the one that is remembered.
func (a *App) begin() error {
	if a.cfg.StateDir != "" {
		m, err := openMemory(a.cfg.StateDir, a.log)
		if err != nil {
			return daemon.ConfigError(err)
		}
		a.memory = m
		old, err := m.load()
		if err != nil {
			return daemon.ConfigError(err)
		}
		if old != nil {
			if why := a.differs(&old.header); why == "" {
				return a.resume(old)
			} else if a.cfg.Truth != "" && a.cfg.Truth == old.Truth {
				return daemon.ConfigError(fmt.Errorf("truth: %q is the answer key of the run in %s, but %s; name another file, or empty the folder", a.cfg.Truth, a.cfg.StateDir, why))
			} else {
				a.log.Warn().Str("state_dir", a.cfg.StateDir).Str("why", why).Msg("a new run begins")
			}
		}
	}
	return a.fresh()
}

// differs says why the settings are not those of a remembered run; "" if they are.
func (a *App) differs(h *header) string {
	switch {
	case a.cfg.Seed != 0 && a.cfg.Seed != h.Seed:
		return fmt.Sprintf("its seed is %d, now %d is asked for", h.Seed, a.cfg.Seed)
	case a.profile.Profile.Sum() != h.Profile.Profile.Sum():
		return "the profile has changed"
	case h.Path != a.cfg.Path:
		return fmt.Sprintf("it was written to %q", h.Path)
	case h.Fixed != !a.cfg.Start.IsZero() || h.Fixed && h.Start != a.cfg.Start.UnixNano():
		return "its start was another one"
	case h.Fixed && (h.Rate != a.cfg.Rate || !reflect.DeepEqual(h.Profile.Rate, a.profile.Rate)):
		return "its rate was another one, and with it the times of events"
	case h.Truth != a.cfg.Truth:
		return "its answer key was kept elsewhere or not at all"
	case h.Truth != "" && h.Window != a.cfg.Window:
		return "the windows in its answer key have another length"
	}
	return ""
}

// fresh sets up a new run.
func (a *App) fresh() (err error) {
	a.seed = a.cfg.Seed
	if a.seed == 0 {
		a.seed = generate.RandomSeed()
	}
	begin := a.cfg.Start.Or(time.Now()).Truncate(time.Microsecond)
	a.began(begin)
	a.start = begin.UnixNano()
	a.world = generate.New(uint64(a.seed), a.profile.Profile)
	a.shop = a.world.NewShop()
	if err = a.makeSchedule(); err != nil {
		return err
	}
	if a.cfg.Truth == "" {
		return nil
	}
	a.makeKey()
	if err := belongsTo(a.cfg.Truth, a.key.head); err != nil {
		return daemon.ConfigError(err)
	}
	if info, err := os.Stat(a.cfg.Path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		a.log.Warn().Str("path", a.cfg.Path).Int64("size", info.Size()).Msg("the log has lines already, which the answer key does not know")
	}
	return a.openKey()
}

// began sets the clock at the moment from which on the schedule counts.
func (a *App) began(at time.Time) {
	c := clock{Origin: at.UnixNano(), Began: at.UnixNano()}
	if a.shop != nil {
		c.Base = a.shop.Event()
		c.Used = a.clock.lasted(a.schedule, c.Base)
	}
	a.clock = c
}

func (a *App) makeSchedule() (err error) {
	if a.schedule, err = a.clock.schedule(a.profile.Rate, a.cfg.Rate, a.seed); err != nil {
		return daemon.ConfigError(err)
	}
	return nil
}

func (a *App) makeKey() {
	profile := a.world.Profile()
	head := truth.Key{
		Seed: a.seed, ProfileSHA256: profile.Sum(),
		Start: string(event.AppendTime(nil, time.Unix(0, a.start))),
	}
	a.key = newAnswerKey(a.cfg.Truth, a.cfg.Window, a.world, head, a.log)
}

// openKey opens the file of line digests. A folder that is not there, or may not be written, is a mistake in
// the settings, and a file of another run too; a disk that is full is not.
func (a *App) openKey() error {
	err := a.key.open()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, errNotOurs), logfile.Permanent(err):
		return daemon.ConfigError(err)
	}
	a.key.lost = true
	_ = a.key.said(err)
	return nil
}

// follow takes up what the clock and the schedule did since the last batch.
func (a *App) follow(b pace.Batch) {
	if next := a.clock.Base + b.First; next > a.shop.Event() {
		n := next - a.shop.Event()
		a.log.Warn().Uint64("events", n).Stringer("max_lag", a.cfg.MaxLag).Msg("too far behind, events left out")
		a.metrics.dropped.Add(float64(n))
		if a.key != nil {
			a.key.rec.Drop(n)
		}
		a.shop.LeaveOut(next)
		a.note(note{Written: a.total, Skip: next})
	}
	if !a.cfg.Start.IsZero() {
		return
	}
	if b.Step != 0 {
		a.log.Warn().Stringer("step", b.Step.Round(time.Millisecond)).Msg("wall clock was set, event times follow it")
	}
	if at := b.Start.UnixNano(); at != a.clock.Origin {
		a.clock.Origin = at
		if a.shop.Event() == 0 {
			a.start = at
			if a.key != nil {
				a.key.head.Start = string(event.AppendTime(nil, b.Start))
			}
		}
		c := a.clock
		a.note(note{Written: a.total, Clock: &c})
	}
}

func (a *App) note(n note) {
	if a.memory != nil {
		a.memory.add(n)
	}
}

// keep saves the run and the answer key if it is time. All lines up to the one due last are written.
func (a *App) keep(last time.Time) error {
	now := time.Now()
	if a.key != nil {
		a.key.rec.Due(last.UnixMicro())
		if a.key.due(now) {
			_ = a.key.save(false) // said, and tried again
		}
	}
	since, events := now.Sub(a.savedAt), a.shop.Event()-a.savedEvent
	if a.memory != nil && since >= saveEvery && (events >= saveEvents || since >= saveLatest) {
		return a.remember(false)
	}
	return nil
}

// remember takes a snapshot. If wait is set it is stored when remember returns.
func (a *App) remember(wait bool) error {
	if a.memory == nil {
		return nil
	}
	if a.key != nil {
		_ = a.key.flush() // said; what is not in the file then is computed again
	}
	a.savedAt, a.savedEvent = time.Now(), a.shop.Event()
	h := header{
		Seed: a.seed, Profile: a.profile, Rate: a.cfg.Rate, Path: a.cfg.Path, Start: a.start, Fixed: !a.cfg.Start.IsZero(),
		Truth: a.cfg.Truth, Window: a.cfg.Window, clock: a.clock, Written: a.total, Mark: a.mark.get(),
	}
	err := a.memory.save(h, a.shop, a.key, wait)
	if !wait {
		return nil
	}
	return err
}

// finish stores what the run has come to. A run that was given up in the middle of a batch keeps its last
// snapshot: what is missing is computed again from the log.
func (a *App) finish(finished bool, cause error) error {
	var problems []error
	if a.key != nil {
		if err := a.key.save(finished); err != nil {
			problems = append(problems, daemon.Exit(daemon.ExitDegraded, err))
		}
	}
	var unwritten *logfile.Unwritten
	if !errors.As(cause, &unwritten) {
		if err := a.remember(true); err != nil {
			problems = append(problems, daemon.Exit(daemon.ExitDegraded, err))
		}
	}
	return errors.Join(problems...)
}

// end gives the state and the answer key free.
func (a *App) end() error {
	var err error
	if a.key != nil {
		err = a.key.close()
	}
	if a.memory != nil {
		err = errors.Join(err, a.memory.close())
	}
	return err
}
