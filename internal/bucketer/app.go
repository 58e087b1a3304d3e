package bucketer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"eventline/internal/admin"
	"eventline/internal/classify"
	"eventline/internal/daemon"
	"eventline/internal/event"
	"eventline/internal/kafka"
	"eventline/internal/rollup"
	"eventline/internal/sink"
)

// repeatWarning is how often a trouble that lasts is said again.
const repeatWarning = time.Minute

// App is bucketer in a process of its own or of someone else.
type App struct {
	cfg     Config
	log     zerolog.Logger
	notify  *daemon.Notifier
	admin   *admin.Server
	figures *prometheus.Registry // what the stages count, without the process's own figures
	client  *kafka.Client
	table   *classify.Table
	sink    rollup.Sink
	sampler *sink.Sampler

	mu      sync.Mutex
	link    link
	output  trouble // of giving decisions out
	decided uint64  // records decided on, for the status
}

// link is the state of the connection to the group.
type link struct {
	connected bool
	trouble
}

// trouble is what is in the way just now.
type trouble struct {
	err   error     // nil if there is none
	since time.Time // zero if there is none
	said  time.Time
}

// comes takes note of err and reports whether it is to be said: because it is a
// new one, or has lasted.
func (t *trouble) comes(err error, now time.Time) bool {
	if t.since.IsZero() {
		t.since = now
	}
	known := t.err != nil && t.err.Error() == err.Error() && now.Sub(t.said) < repeatWarning
	t.err = err
	if known {
		return false
	}
	t.said = now
	return true
}

// ends reports how long the trouble was there, 0 if there was none.
func (t *trouble) ends(now time.Time) time.Duration {
	var lasted time.Duration
	if !t.since.IsZero() {
		lasted = max(now.Sub(t.since).Round(time.Millisecond), time.Millisecond)
	}
	*t = trouble{}
	return lasted
}

// New takes the admin port. It does no network I/O. Errors that starting again
// can't heal have exit code 78. An App that was made has to Run.
func New(cfg Config, p daemon.Process) (*App, error) {
	table, err := classify.New(cfg.Buckets)
	if err != nil {
		return nil, daemon.ConfigError(err)
	}
	client, err := kafka.Open(cfg.Config, p.Log)
	if err != nil {
		return nil, daemon.ConfigError(err)
	}
	a := &App{cfg: cfg, log: p.Log, notify: p.Notify, client: client, table: table, sink: sinkFor(p, sink.JournalSocket)}
	a.figures = prometheus.NewRegistry()
	reg := admin.NewRegistry("bucketer", daemon.BuildVersion())
	reg.MustRegister(a.figures)
	if a.admin, err = admin.Listen(cfg.Admin, reg, p.Log); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	a.sampler = sink.NewSampler(cfg.Print, p.Log)
	a.admin.Ready(a.ready)
	return a, nil
}

// sinkFor prints where the process prints: once, on standard output or, if that
// is the journal, as an entry with fields.
func sinkFor(p daemon.Process, journal string) rollup.Sink {
	if f, ok := p.Stdout.(*os.File); ok && p.LookupEnv != nil && daemon.IsJournal(f, p.LookupEnv) {
		return sink.NewJournal(journal, p.Name)
	}
	return sink.NewStream(p.Stdout)
}

// AdminAddr is the host:port of the admin pages, "" if there are none.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// Run consumes until ctx is done, or, with Once, up to what is the end when it
// starts. It blocks. When ctx is done, what was printed is committed.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, a.client.Close())
		if c, ok := a.sink.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}()
	a.notify.Ready("connecting to Kafka")
	group, ctx := errgroup.WithContext(ctx)
	serving, finish := context.WithCancel(context.WithoutCancel(ctx)) // until the last commit
	group.Go(func() error { return a.admin.Serve(serving) })
	group.Go(func() error { a.tellStatus(serving); return nil })
	group.Go(func() error {
		defer finish()
		return a.consume(ctx)
	})
	return group.Wait()
}

func (a *App) consume(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := a.endsForOnce(ctx)
	if ctx.Err() != nil {
		return nil
	}
	r := rollup.New(rollup.Options{
		Topic: a.cfg.Topic, Table: a.table, Names: event.DefaultNames(),
		Keep: a.keep, Sink: a.sink, Once: ends,
		Changed: a.linkChanged, Delay: a.cfg.Retry.Delay, Blocked: a.outputBlocked,
		Log: a.log, Registerer: a.figures,
	})
	defer r.Close()
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		select {
		case <-r.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := a.client.RunGroup(ctx, kafka.GroupConfig{
		Group: a.cfg.Group, Topic: a.cfg.Topic, InstanceID: a.cfg.Instance, Retry: a.cfg.Retry,
	}, r)
	cancel()
	<-stop
	return err
}

// keep counts decisions for the status and leaves the choice to the sampler.
func (a *App) keep(lines []event.Line, now time.Time) []event.Line {
	a.mu.Lock()
	a.decided += uint64(len(lines))
	a.mu.Unlock()
	return a.sampler.Keep(lines, now)
}

// endsForOnce asks, until it is answered, where the partitions end; nil if that
// is of no interest.
func (a *App) endsForOnce(ctx context.Context) map[int32]int64 {
	if !a.cfg.Once {
		return nil
	}
	for attempt := 1; ; attempt++ {
		ends, err := a.client.EndOffsets(ctx, a.cfg.Topic)
		if err == nil || ctx.Err() != nil {
			return ends
		}
		wait := a.cfg.Retry.Delay(attempt)
		a.linkChanged(false, err, wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// linkChanged takes note of the connection, and says what is new.
func (a *App) linkChanged(connected bool, err error, retryIn time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.link.connected = connected
	switch {
	case connected:
		if lasted := a.link.ends(now); lasted > 0 {
			a.log.Info().Stringer("after", lasted).Msg("kafka reachable again")
		}
	case err == nil || !a.link.comes(err, now):
	case kafka.ClassOf(err) == kafka.TopicMissing:
		a.log.Warn().Err(err).Stringer("retry_in", retryIn.Round(time.Millisecond)).Msg("topic missing, waiting for it")
	default:
		a.log.Warn().Err(err).Stringer("retry_in", retryIn.Round(time.Millisecond)).Msg("kafka unreachable, records wait in the topic")
	}
}

// outputBlocked takes note of decisions that can't be printed, and says what is
// new.
func (a *App) outputBlocked(err error, retryIn time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		if lasted := a.output.ends(now); lasted > 0 {
			a.log.Info().Stringer("after", lasted).Msg("decisions are printed again")
		}
	case a.output.comes(err, now):
		a.log.Warn().Err(err).Stringer("retry_in", retryIn.Round(time.Millisecond)).Msg("decisions can't be printed, records wait in the topic")
	}
}

// ready says what the daemon waits for.
func (a *App) ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.link.err != nil:
		return fmt.Errorf("waiting for Kafka: %w", a.link.err)
	case !a.link.connected:
		return errors.New("connecting to Kafka")
	case a.output.err != nil:
		return fmt.Errorf("waiting to print decisions: %w", a.output.err)
	}
	return nil
}
