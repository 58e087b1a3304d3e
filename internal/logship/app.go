package logship

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"eventline/internal/admin"
	"eventline/internal/checkpoint"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/ship"
	"eventline/internal/tail"
)

// drain bounds how long answers of the broker are waited for after a signal. The
// process has daemon.DrainTimeout for all it has to do.
const drain = 5 * time.Second

// App is logship in a process of its own or of someone else.
type App struct {
	cfg    Config
	log    zerolog.Logger
	notify *daemon.Notifier
	admin  *admin.Server
	client *kafka.Client
	store  *checkpoint.Store
	tail   *tail.Tail
	ship   *ship.Shipper

	blocked atomic.Pointer[error] // why the log can't be read; nil if it can
}

// New locks the state directory, reads the position and takes the admin port. It
// does no network I/O. Errors that starting again can't heal have exit code 78.
// An App that was made has to Run.
func New(cfg Config, p daemon.Process) (app *App, err error) {
	a := &App{cfg: cfg, log: p.Log, notify: p.Notify}
	var opened []func() error
	defer func() {
		for i := len(opened) - 1; err != nil && i >= 0; i-- {
			_ = opened[i]()
		}
	}()
	if a.store, err = checkpoint.Open(cfg.StateDir); err != nil {
		return nil, daemon.ConfigError(err)
	}
	opened = append(opened, a.store.Close)
	saved, err := loadPosition(a.store, cfg, p.Log)
	if err != nil {
		return nil, daemon.ConfigError(err)
	}
	if a.client, err = kafka.Open(cfg.Config, p.Log); err != nil {
		return nil, daemon.ConfigError(err)
	}
	opened = append(opened, a.client.Close)
	reg := admin.NewRegistry("logship", daemon.BuildVersion())
	if a.admin, err = admin.Listen(cfg.Admin, reg, p.Log); err != nil {
		return nil, err
	}
	opened = append(opened, a.admin.Close)
	a.tail, err = tail.New(tail.Config{
		Path: cfg.Paths[0], From: tail.From(cfg.From), State: saved,
		MaxLine: int(cfg.MaxLine), Budget: int(cfg.Memory), Once: cfg.Once, Reader: tail.Reader(cfg.Reader),
		Changed: a.logChanged, Log: p.Log, Registerer: reg,
	})
	if err != nil {
		return nil, daemon.ConfigError(fmt.Errorf("read position in %s: %w", cfg.StateDir, err))
	}
	a.ship = ship.New(ship.Options{
		Topic:      topic{a.client.Topic(cfg.Topic, kafka.ProduceOptions{Compression: cfg.Compression})},
		Blocks:     a.tail.Blocks(),
		State:      a.tail.State,
		Save:       func(s tail.State) error { return savePosition(a.store, cfg, s) },
		Quarantine: filepath.Join(cfg.StateDir, "quarantine"),
		Delay:      cfg.Retry.Jittered,
		Class:      func(err error) string { return string(kafka.ClassOf(err)) },
		Drain:      drain,
		Log:        p.Log,
		Registerer: reg,
	})
	a.admin.Ready(a.ready)
	return a, nil
}

// AdminAddr is the host:port of the admin pages, "" if there are none.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// Run ships until ctx is done, or, with Once, until what was there is safe. It
// blocks. When ctx is done, answers that are under way are waited for, and the
// position is stored.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.client.Close(), a.store.Close()) }()
	a.notify.Ready(a.statusText(0))
	group, ctx := errgroup.WithContext(ctx)
	serving, finish := context.WithCancel(context.WithoutCancel(ctx)) // until the position is stored
	group.Go(func() error { return a.admin.Serve(serving) })
	group.Go(func() error { a.tellStatus(serving); return nil })
	var unread error // must not keep what was read from being sent
	group.Go(func() error { unread = a.tail.Run(ctx); return nil })
	group.Go(func() error {
		defer finish()
		return a.ship.Run(ctx)
	})
	return errors.Join(group.Wait(), unread)
}

// logChanged is told why the log can't be read, and nil when it can.
func (a *App) logChanged(err error) {
	if err == nil {
		a.blocked.Store(nil)
		return
	}
	a.blocked.Store(&err)
}
