package eventline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"eventline/internal/admin"
	"eventline/internal/broker"
	"eventline/internal/bucketer"
	"eventline/internal/daemon"
	"eventline/internal/eventgen"
	"eventline/internal/kafka"
	"eventline/internal/logship"
)

// demoBroker is where the demo's own broker listens if the port is free.
const demoBroker = "127.0.0.1:9092"

func demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "demo", Args: cobra.NoArgs,
		Short: "Run the whole pipeline on this machine until Ctrl-C",
		Long: "Run the whole pipeline in one process until Ctrl-C: an embedded broker (not Apache Kafka),\n" +
			"eventgen, logship and bucketer. Data stays in one folder, and the next run goes on from there.\n" +
			"With --brokers a cluster of yours is used instead of the embedded broker.",
	}
	dir := cmd.Flags().String("dir", "", "absolute path of the folder for all data (default $XDG_STATE_HOME/eventline)")
	rate := cmd.Flags().String("rate", "5", "events per second, such as 5, 0.5 or 50k")
	return withOptions(cmd, func(ctx context.Context, o Options, _ *cobra.Command, _ []string) error {
		env := daemon.OS()
		d := &demo{options: o, env: env, dir: *dir, own: !o.given}
		if d.dir == "" {
			var err error
			if d.dir, err = stateDir(env.LookupEnv); err != nil {
				return daemon.ConfigError(err)
			}
		}
		if !filepath.IsAbs(d.dir) {
			return daemon.ConfigError(fmt.Errorf("--dir: must be absolute, got %q", d.dir))
		}
		d.generate = eventgen.Default()
		if err := d.generate.Rate.UnmarshalText([]byte(*rate)); err != nil {
			return daemon.ConfigError(fmt.Errorf("--rate: %w", err))
		}
		return d.run(ctx)
	})
}

// demo is the pipeline in one process.
type demo struct {
	options  Options
	env      daemon.Environment
	dir      string
	own      bool // the broker is the embedded one
	generate eventgen.Config

	screen *screen
	board  *board
	log    zerolog.Logger
	parts  parts
}

func (d *demo) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return daemon.ConfigError(fmt.Errorf("make the folder for the demo's data: %w", err))
	}
	d.screen = newScreen(d.env)
	d.log = zerolog.New(zerolog.ConsoleWriter{Out: d.screen.beside(d.env.Stderr), TimeFormat: time.TimeOnly, NoColor: d.screen.size == nil}).
		With().Timestamp().Logger()
	d.board = &board{screen: d.screen}
	defer func() {
		// The stack of parts ends from its top: what writes before what reads,
		// and the broker last, so that it keeps its state.
		err = errors.Join(err, d.parts.stop())
		d.screen.clear()
		if err == nil {
			fmt.Fprintf(d.env.Stderr, "\nStopped. The data is in %s.\nThe next run goes on from there; without that folder it starts afresh.\n", d.dir)
		}
	}()
	if d.own {
		if err := d.startBroker(); err != nil {
			return err
		}
	}
	if err := d.ensureTopic(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	addresses, err := d.startDaemons()
	if err != nil {
		return err
	}
	d.introduce(addresses)
	d.board.show(ctx, d.parts.failed())
	return nil
}

func (d *demo) startBroker() error {
	b, err := broker.New(broker.Options{Listen: freeOr(demoBroker), DataDir: filepath.Join(d.dir, "broker"), Log: d.partLog("broker")})
	if err != nil {
		return daemon.ConfigError(err)
	}
	d.options.Brokers = []string{b.Addr()}
	d.parts.start("broker", b.Run)
	return nil
}

// startDaemons starts from the far end, so that the first event finds all in
// place. It returns the admin addresses by name.
func (d *demo) startDaemons() (map[string]string, error) {
	addresses := make(map[string]string)
	log := filepath.Join(d.dir, "events.log")

	bc := bucketer.Default()
	bc.Config, bc.Topic, bc.Print = d.options.Config, d.options.Topic, "all"
	// On a cluster of the user's it must not take partitions from a real bucketer.
	bc.Group, bc.Instance = "eventline-demo", "demo"
	bc.Admin.Listen = freeOr(bc.Admin.Listen)
	b, err := bucketer.New(bc, d.process("bucketer"))
	if err != nil {
		return nil, fmt.Errorf("bucketer: %w", err)
	}
	d.parts.start("bucketer", b.Run)
	addresses["bucketer"] = b.AdminAddr()

	lc := logship.Default()
	lc.Config, lc.Topic, lc.Paths, lc.StateDir = d.options.Config, d.options.Topic, []string{log}, filepath.Join(d.dir, "logship")
	lc.Admin.Listen = freeOr(lc.Admin.Listen)
	l, err := logship.New(lc, d.process("logship"))
	if err != nil {
		return nil, fmt.Errorf("logship: %w", err)
	}
	d.parts.start("logship", l.Run)
	addresses["logship"] = l.AdminAddr()

	d.generate.Path = log
	d.generate.Admin.Listen = freeOr(d.generate.Admin.Listen)
	g, err := eventgen.New(d.generate, d.process("eventgen"))
	if err != nil {
		return nil, fmt.Errorf("eventgen: %w", err)
	}
	d.parts.start("eventgen", g.Run)
	addresses["eventgen"] = g.AdminAddr()
	return addresses, nil
}

// ensureTopic creates the topic, as the demo may.
func (d *demo) ensureTopic(ctx context.Context) error {
	c, err := kafka.Open(d.options.Config, zerolog.Nop())
	if err != nil {
		return daemon.ConfigError(err)
	}
	defer c.Close()
	err = c.CreateTopic(ctx, d.options.Topic, 1, 0, nil)
	if err == nil || kafka.ClassOf(err) == kafka.TopicExists || ctx.Err() != nil {
		return nil
	}
	// A cluster that is down comes back; the daemons wait for it and for the topic.
	d.log.Warn().Err(err).Str("topic", d.options.Topic).Msg("topic not created")
	return nil
}

func (d *demo) introduce(addresses map[string]string) {
	what := "your cluster at " + d.options.Brokers[0]
	if d.own {
		what = "demo broker (not Apache Kafka) on " + d.options.Brokers[0] + ", data in " + filepath.Join(d.dir, "broker")
	}
	status := "eventline status"
	for _, w := range pipeline {
		if addr := addresses[w.name]; addr != "127.0.0.1:"+w.port {
			status += " --" + w.name + " " + addr
		}
	}
	fmt.Fprintf(d.screen.beside(d.env.Stderr), `The pipeline, until Ctrl-C:
  eventgen  writes %s to %s   http://%s/metrics
  logship   ships its lines to topic %s              http://%s/metrics
  broker    %s
  bucketer  prints a line per event and its bucket   http://%s/metrics
Look with:  %s
            eventline consume --from-beginning --brokers %s

`, d.generate.Rate, d.generate.Path, addresses["eventgen"], d.options.Topic, addresses["logship"], what, addresses["bucketer"], status, d.options.Brokers[0])
}

// process is what a daemon of the demo gets in place of its own process.
func (d *demo) process(name string) daemon.Process {
	env := d.env
	env.Stdout = d.screen
	env.LookupEnv = func(string) (string, bool) { return "", false }
	return daemon.Process{
		Name: name, Log: d.partLog(name), Environment: env,
		Notify: daemon.NewNotifier(func(state string) { d.board.notified(name, state) }),
	}
}

func (d *demo) partLog(name string) zerolog.Logger {
	// What each part starts with is said by the demo itself.
	return d.log.With().Str("part", name).Logger().Level(zerolog.WarnLevel)
}

// freeOr returns addr, or a free port of its host where it is taken.
func freeOr(addr string) string {
	if addr == admin.Off {
		return addr
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close()
	return addr
}
