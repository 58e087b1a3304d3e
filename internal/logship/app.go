package logship

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	dir    *checkpoint.Dir
	host   host

	// What all sources share.
	route   *route
	group   *ship.Group
	memory  *tail.Memory
	watcher *tail.Watcher
	metrics *tail.Metrics

	// Who looks for logs has these to himself.
	positions *positions
	finder    *finder
	looked    time.Time            // when all that was found was considered
	unsettled bool                 // that has to be done again
	alone     map[string]time.Time // files that may be of a log that is just being rotated
	opened    []*source            // by New, for Run

	running sync.WaitGroup
	mu      sync.Mutex
	sources map[string]*source
	refused map[string]string // what is left alone, and why
	empty   []string          // patterns that nothing matches
	folders map[string]error  // that can't be listed
	failed  []error           // of sources that ended so

	stop context.CancelFunc // of keep
}

// New locks the state directory, reads the positions and takes the admin port. It
// does no network I/O. Errors that starting again can't heal have exit code 78.
// An App that was made has to Run.
func New(cfg Config, p daemon.Process) (app *App, err error) {
	a := &App{
		cfg: cfg, log: p.Log, notify: p.Notify,
		alone: make(map[string]time.Time), sources: make(map[string]*source), refused: make(map[string]string), folders: make(map[string]error),
	}
	var opened []func() error
	defer func() {
		for i := len(opened) - 1; err != nil && i >= 0; i-- {
			_ = opened[i]()
		}
	}()
	if a.dir, err = checkpoint.OpenDir(cfg.StateDir); err != nil {
		return nil, daemon.ConfigError(err)
	}
	opened = append(opened, a.dir.Close)
	if a.host, err = ownHost(cfg.StateDir); err != nil {
		return nil, daemon.ConfigError(err)
	}
	if a.positions, err = openPositions(a.dir, cfg, p.Log); err != nil {
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
	a.route = newRoute(a.client.Topic(cfg.Topic, kafka.ProduceOptions{Compression: cfg.Compression}), cfg.Retry.Jittered)
	a.group = ship.NewGroup(classOf, p.Log, reg)
	a.memory = tail.NewMemory(int(cfg.Memory))
	a.watcher = tail.NewWatcher(p.Log)
	a.metrics = tail.NewMetrics(reg)
	a.finder = newFinder(cfg.patterns(), a.watcher)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logship_sources", Help: "Logs that are being read or waited for.",
	}, func() float64 { return float64(len(a.all())) }))
	if a.opened, err = a.begin(); err != nil {
		return nil, err
	}
	a.admin.Ready(a.ready)
	return a, nil
}

// AdminAddr is the host:port of the admin pages, "" if there are none.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// Run ships until ctx is done, or, with Once, until what was there is safe. It
// blocks. When ctx is done, answers that are under way are waited for, and the
// positions are stored.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.client.Close(), a.dir.Close()) }()
	a.notify.Ready(a.statusText(0))
	group, ctx := errgroup.WithContext(ctx)
	serving, finish := context.WithCancel(context.WithoutCancel(ctx)) // until the positions are stored
	group.Go(func() error { return a.admin.Serve(serving) })
	group.Go(func() error { a.tellStatus(serving); return nil })
	group.Go(func() error { return a.watcher.Run(serving) })
	group.Go(func() error {
		defer finish()
		if a.cfg.Once {
			return a.once(ctx, a.opened)
		}
		return a.keep(ctx, a.opened)
	})
	return group.Wait()
}
