package eventgen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/generate"
	"eventline/internal/logfile"
	"eventline/internal/pace"
)

// A finite run is degraded if it ends later than this after its last event was due, or than
// toleratedShare of its length, whichever is more.
const (
	toleratedDelay = time.Second
	toleratedShare = 20 // a twentieth, 5 %
)

// App is eventgen in a process of its own or of someone else.
type App struct {
	cfg     Config
	profile Profile
	log     zerolog.Logger
	notify  *daemon.Notifier
	admin   *admin.Server
	metrics *metrics
	out     *logfile.Writer
	runner  atomic.Pointer[pace.Runner] // nil before the run is set up
	bar     *progress

	// The run. Everything below is its one goroutine's.
	run
	written atomic.Uint64         // events, by this process
	bytes   uint64                // of lines, by this process
	waiting atomic.Pointer[error] // why nothing can be written; nil if it can
}

// New takes the admin port and reads the profile. It touches neither the log file nor the state. An App
// that was made has to Run.
func New(cfg Config, p daemon.Process) (*App, error) {
	profile, err := cfg.profile()
	if err != nil {
		return nil, err
	}
	cfg.StateDir = cfg.stateDir(p.LookupEnv)
	reg := admin.NewRegistry("eventgen", daemon.BuildVersion())
	server, err := admin.Listen(cfg.Admin, reg, p.Log)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, profile: profile, log: p.Log, notify: p.Notify, admin: server}
	a.metrics = newMetrics(reg, cfg.Rate, a.lag)
	a.bar = newProgress(p.Stderr, cfg)
	options := logfile.Options{Log: p.Log, Registerer: reg, Changed: a.fileChanged, Opened: a.fileOpened}
	if cfg.Path == stdout {
		a.out = logfile.NewStream(p.Stdout, "standard output", options)
	} else {
		a.out = logfile.New(cfg.Path, options)
	}
	server.Ready(a.ready)
	return a, nil
}

// AdminAddr is the host:port of the admin pages, "" if there are none.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// Reopen makes the App write to a new file if the one it writes is no longer at its path. It may be
// called at any time and does not block.
func (a *App) Reopen() { a.out.Reopen() }

// Run writes events until ctx is done, or until as many as asked for are written. It blocks.
//
// When ctx is done, the batch in hand is finished. The error is nil for a run that was stopped or that
// wrote all its events on time; it has exit code 78 if the file can never be written or the state can't be
// used, and 3 if a finite run could not hold its rate or had to leave events out, if the answer key could
// not be written, or if lines had to be given up because the file could not be written when ctx was done.
func (a *App) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	serving, finish := context.WithCancel(context.WithoutCancel(ctx)) // until the last line is written
	group.Go(func() error { return a.admin.Serve(serving) })
	group.Go(func() error { a.tellStatus(serving); return nil })
	group.Go(func() error {
		defer finish()
		return a.generate(ctx)
	})
	return group.Wait()
}

// lag is how long the oldest event that is due has been waiting.
func (a *App) lag() time.Duration {
	if r := a.runner.Load(); r != nil {
		return r.Lag()
	}
	return 0
}

func (a *App) generate(ctx context.Context) (err error) {
	if err := a.begin(); err != nil {
		return errors.Join(err, a.end())
	}
	defer func() { err = errors.Join(err, a.end()) }()
	if !a.left() && len(a.pendingLines) == 0 {
		a.log.Info().Str("state_dir", a.cfg.StateDir).Uint64("events", a.shop.Event()).Msg("the run is complete already")
		return a.finish(true, nil) // it may have been killed before its answer key was
	}
	if err := a.out.Open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before there was a file: nothing was due yet
		}
		return daemon.ConfigError(err)
	}
	defer func() { err = errors.Join(err, a.out.Close()) }()
	a.log.Info().Str("path", a.cfg.Path).Stringer("rate", a.cfg.Rate).Int64("seed", a.seed).Uint64("first_event", a.shop.Event()).
		Int64("count", a.cfg.Count).Stringer("duration", a.cfg.Duration).Msg("writing events")
	a.notify.Ready(a.status(a.cfg.Rate.Float()))

	runner := a.newRunner()
	a.runner.Store(runner)
	began := time.Now()
	if err = a.writePending(ctx); err == nil {
		if err := a.remember(true); err != nil {
			return daemon.ConfigError(err)
		}
	}
	if err == nil && a.left() {
		err = runner.Run(ctx, func(b pace.Batch) error { return a.write(ctx, b) })
	}
	took := time.Since(began)
	finished := err == nil
	a.bar.finish()
	a.log.Info().Uint64("events", a.written.Load()).Uint64("bytes", a.bytes).Stringer("took", took.Round(time.Millisecond)).
		Stringer("worst_lag", runner.WorstLag().Round(time.Microsecond)).Uint64("dropped", runner.Dropped()).
		Float64("rate", float64(a.written.Load())/max(took.Seconds(), 1e-9)).Msg("events written")
	a.bar.summary(a, took, runner)
	saved := a.finish(finished, err)
	var unwritten *logfile.Unwritten
	switch {
	case finished:
		return errors.Join(a.onTime(took), saved)
	case errors.As(err, &unwritten) && ctx.Err() != nil:
		return daemon.Exit(daemon.ExitDegraded, err)
	case ctx.Err() != nil:
		return saved
	}
	return err
}

// newRunner sets up the schedule from the next event on.
func (a *App) newRunner() *pace.Runner {
	r := &pace.Runner{Schedule: a.schedule, First: a.shop.Event() - a.clock.Base, MaxLag: a.cfg.MaxLag, Unpaced: a.cfg.Unpaced}
	if a.cfg.Count > 0 {
		r.Count = max(uint64(a.cfg.Count), a.clock.Base) - a.clock.Base
	}
	if a.cfg.Duration > 0 {
		r.Duration = a.cfg.Duration - a.clock.Used
	}
	return r
}

// left says whether there are events to come.
func (a *App) left() bool {
	next := a.shop.Event()
	return (a.cfg.Count == 0 || next < uint64(a.cfg.Count)) &&
		(a.cfg.Duration == 0 || a.clock.lasted(a.schedule, next) < a.cfg.Duration)
}

// onTime judges a finite run that took so long.
func (a *App) onTime(took time.Duration) error {
	r := a.runner.Load()
	if n := r.Dropped(); n > 0 {
		return daemon.Exit(daemon.ExitDegraded, fmt.Errorf("could not hold %s: %d events were left out, because they could not be written for %s", a.cfg.Rate, n, a.cfg.MaxLag))
	}
	if a.cfg.Unpaced || a.written.Load() == 0 {
		return nil
	}
	first := a.shop.Event() - a.clock.Base - a.written.Load()
	due := a.schedule.Due(a.shop.Event()-a.clock.Base-1) - a.schedule.Due(first)
	behind := took - due
	if behind <= max(toleratedDelay, due/toleratedShare) {
		return nil
	}
	return daemon.Exit(daemon.ExitDegraded, fmt.Errorf("could not hold %s: the last event was written %s late", a.cfg.Rate, behind.Round(time.Millisecond)))
}

// write makes the events of b and puts them into the file.
func (a *App) write(ctx context.Context, b pace.Batch) error {
	a.follow(b)
	a.buf, a.lines = a.buf[:0], a.lines[:0]
	var last time.Time
	for i := b.First; i < b.First+uint64(b.N); i++ {
		due := a.schedule.Due(i)
		last = a.clock.after(due)
		a.buf, a.lines = a.shop.Append(a.buf, a.clock.Used+due, last, a.lines)
	}
	if err := a.put(ctx, b.N); err != nil {
		return err
	}
	a.bar.set(a)
	return a.keep(last)
}

// put writes the lines in hand, which are of so many events, and notes which are in the file.
func (a *App) put(ctx context.Context, events int) error {
	text, lines := a.buf, a.lines
	var err error
	for len(lines) > 0 && err == nil {
		n, size, first := a.portion(lines)
		err = a.out.WriteInTwo(ctx, text[:size], first, a.profile.Dirt.HalvesPause)
		var unwritten *logfile.Unwritten
		if errors.As(err, &unwritten) {
			n, size = n-unwritten.Lines, size-unwritten.Bytes
		} else if err != nil {
			n, size = 0, 0
		}
		a.noted(text[:size], lines[:n])
		text, lines = text[size:], lines[n:]
	}
	for i := range lines { // not written
		if lines[i].Kind != generate.Duplicate {
			events--
			a.metrics.dropped.Inc()
		}
	}
	a.metrics.events.Add(float64(events))
	a.written.Add(uint64(events))
	return err
}

// portion is how much of lines can be written at once: up to one that is written in two halves. first is
// where the second half begins.
func (a *App) portion(lines []generate.Line) (n, size, first int) {
	for i := range lines {
		size += lines[i].Len
		if lines[i].Half > 0 {
			return i + 1, size, size - lines[i].Len + lines[i].Half
		}
	}
	return len(lines), size, 0
}

// noted counts lines that are in the file.
func (a *App) noted(text []byte, lines []generate.Line) {
	a.bytes += uint64(len(text))
	a.total += int64(len(text))
	a.metrics.bytes.Add(float64(len(text)))
	a.metrics.lines.Add(float64(len(lines)))
	for i := range lines {
		if lines[i].Kind != generate.Clean {
			a.metrics.defects[lines[i].Kind].Inc()
		}
	}
	if a.key != nil {
		a.key.add(text, lines)
	}
}
