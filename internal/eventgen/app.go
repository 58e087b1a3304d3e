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
	log     zerolog.Logger
	notify  *daemon.Notifier
	admin   *admin.Server
	metrics *metrics
	world   *generate.World
	out     *logfile.Writer
	runner  *pace.Runner

	buf     []byte
	written atomic.Uint64         // events
	bytes   uint64                // of them
	waiting atomic.Pointer[error] // why nothing can be written; nil if it can
}

// New takes the admin port and builds the shop. It does not touch the log file. An App that was made has
// to Run.
func New(cfg Config, p daemon.Process) (*App, error) {
	reg := admin.NewRegistry("eventgen", daemon.BuildVersion())
	server, err := admin.Listen(cfg.Admin, reg, p.Log)
	if err != nil {
		return nil, err
	}
	if cfg.Seed == 0 {
		cfg.Seed = generate.RandomSeed()
	}
	a := &App{
		cfg: cfg, log: p.Log, notify: p.Notify, admin: server,
		world:  generate.New(uint64(cfg.Seed)),
		runner: &pace.Runner{Schedule: cfg.Rate, Count: uint64(cfg.Count), Duration: cfg.Duration},
	}
	a.metrics = newMetrics(reg, cfg.Rate, a.runner.Lag)
	options := logfile.Options{Log: p.Log, Registerer: reg, Changed: a.fileChanged}
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
// wrote all its events on time; it has exit code 78 if the file can never be written, and 3 if a finite
// run could not hold its rate, or if lines had to be given up because the file could not be written when
// ctx was done.
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

func (a *App) generate(ctx context.Context) (err error) {
	if err := a.out.Open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before there was a file: nothing was due yet
		}
		return daemon.ConfigError(err)
	}
	defer func() { err = errors.Join(err, a.out.Close()) }()
	a.log.Info().Str("path", a.cfg.Path).Stringer("rate", a.cfg.Rate).Int64("seed", a.cfg.Seed).
		Int64("count", a.cfg.Count).Stringer("duration", a.cfg.Duration).Msg("writing events")
	a.notify.Ready(a.status(a.cfg.Rate.Float()))

	began := time.Now()
	err = a.runner.Run(ctx, func(b pace.Batch) error { return a.write(ctx, b) })
	took := time.Since(began)
	a.log.Info().Uint64("events", a.written.Load()).Uint64("bytes", a.bytes).Stringer("took", took.Round(time.Millisecond)).
		Stringer("worst_lag", a.runner.WorstLag().Round(time.Microsecond)).Msg("events written")
	var unwritten *logfile.Unwritten
	switch {
	case err == nil:
		return a.onTime(took)
	case errors.As(err, &unwritten) && ctx.Err() != nil:
		return daemon.Exit(daemon.ExitDegraded, err)
	case ctx.Err() != nil:
		return nil
	}
	return err
}

// write makes the events of b and puts them into the file.
func (a *App) write(ctx context.Context, b pace.Batch) error {
	if b.Step != 0 {
		a.log.Warn().Stringer("step", b.Step.Round(time.Millisecond)).Msg("wall clock was set, event times follow it")
	}
	a.buf = a.buf[:0]
	for i := b.First; i < b.First+uint64(b.N); i++ {
		a.buf = a.world.AppendLine(a.buf, i, b.Start.Add(a.cfg.Rate.Due(i)))
	}
	events, size := b.N, len(a.buf)
	err := a.out.Write(ctx, a.buf)
	var unwritten *logfile.Unwritten
	if errors.As(err, &unwritten) {
		events, size = events-unwritten.Lines, size-unwritten.Bytes
		a.metrics.dropped.Add(float64(unwritten.Lines))
	}
	a.metrics.events.Add(float64(events))
	a.metrics.bytes.Add(float64(size))
	a.written.Add(uint64(events))
	a.bytes += uint64(size)
	return err
}

// onTime judges a finite run that took so long.
func (a *App) onTime(took time.Duration) error {
	due := time.Duration(0)
	if n := a.written.Load(); n > 0 {
		due = a.cfg.Rate.Due(n - 1)
	}
	behind := took - due
	if behind <= max(toleratedDelay, due/toleratedShare) {
		return nil
	}
	return daemon.Exit(daemon.ExitDegraded, fmt.Errorf("could not hold %s: the last event was written %s late", a.cfg.Rate, behind.Round(time.Millisecond)))
}
