// Package logship is the daemon that ships the lines of log files to a Kafka
// topic: it finds the logs and wires for each a reader, a shipper and a stored
// position together, and all of them with Kafka.
package logship

import (
	"context"
	"fmt"
	pathpkg "path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"eventline/internal/admin"
	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/ship"
	"eventline/internal/tail"
)

// Config is what logship can be told.
type Config struct {
	Paths        []string `yaml:"paths" flag:"path" help:"absolute paths of log files, or patterns of such (*, ?, [a-z]), each file a log of its own"`
	kafka.Config `yaml:",inline"`
	Topic        string           `yaml:"topic" help:"topic that lines go to"`
	StateDir     string           `yaml:"state_dir" help:"folder for the positions and for lines no broker takes; one for each logship"`
	From         string           `yaml:"from" help:"where the very first start begins: beginning (of the oldest rotated file there is) or end"`
	Partitioner  string           `yaml:"partitioner" help:"which partition a line goes to: stripe (64 KiB of a log to each in turn) or file (all of a log to one, in order)"`
	TooLong      string           `yaml:"too_long" help:"what becomes of a line longer than the topic takes: quarantine, split (into several) or truncate"`
	Compression  kafka.Codec      `yaml:"compression" help:"none, lz4, zstd, snappy or gzip"`
	Once         bool             `yaml:"once" help:"ship what is there, then exit"`
	Memory       config.Size      `yaml:"memory" help:"most memory for lines of all logs that are not safe yet; the rest waits in the log files"`
	MaxLine      config.Size      `yaml:"max_line" help:"longest line held in memory; a longer one goes to the quarantine"`
	Reader       string           `yaml:"reader" help:"how the end of the log is read: auto (by nxadm/tail while it is calm, else in blocks) or block"`
	Admin        admin.Config     `yaml:"admin"`
	Log          daemon.LogConfig `yaml:"log"`
}

var _ config.Target = (*Config)(nil)

// Default ships /var/log/eventline/events.log to the topic events of a broker on
// this host.
func Default() Config {
	c := Config{
		Paths:    []string{"/var/log/eventline/events.log"},
		Config:   kafka.DefaultConfig(),
		Topic:    "events",
		StateDir: "/var/lib/logship",
		From:     string(tail.Beginning),

		Partitioner: "stripe",
		TooLong:     "quarantine",
		Memory:      16 << 20,
		MaxLine:     1 << 20,
		Reader:      string(tail.ReaderAuto),
		Admin:       admin.Config{Listen: "127.0.0.1:9462"},
		Log:         daemon.DefaultLog(),
	}
	c.ClientID = "logship"
	return c
}

// Validate reports every value that can't work.
func (c *Config) Validate(r *config.Report) {
	c.Config.Validate(r)
	c.validatePaths(r)
	if problem := kafka.NameProblem(c.Topic); problem != "" {
		r.Addf("topic", "%s", problem)
	}
	if !filepath.IsAbs(c.StateDir) {
		r.Addf("state_dir", "must be absolute, got %q", c.StateDir)
	}
	if c.From != string(tail.Beginning) && c.From != string(tail.End) {
		r.Addf("from", "want beginning or end, got %q", c.From)
	}
	if _, ok := partitioners[c.Partitioner]; !ok {
		r.Addf("partitioner", "want stripe or file, got %q", c.Partitioner)
	}
	if _, ok := tooLong[c.TooLong]; !ok {
		r.Addf("too_long", "want quarantine, split or truncate, got %q", c.TooLong)
	}
	if c.Memory < 2<<20 {
		r.Addf("memory", "must be at least 2MiB, got %s", c.Memory)
	}
	if most := min(c.Memory/2, 64<<20); c.MaxLine < 1<<20 || c.MaxLine > most {
		r.Addf("max_line", "must be at least 1MiB and at most %s (half of memory, never above 64MiB), got %s", most, c.MaxLine)
	}
	if c.Reader != string(tail.ReaderAuto) && c.Reader != string(tail.ReaderBlock) {
		r.Addf("reader", "want auto or block, got %q", c.Reader)
	}
}

var (
	partitioners = map[string]ship.Partitioner{"stripe": ship.Stripe, "file": ship.File}
	tooLong      = map[string]ship.Long{"quarantine": ship.Keep, "split": ship.Split, "truncate": ship.Truncate}
)

// rules are how lines are numbered.
func (c *Config) rules() ship.Rules {
	return ship.Rules{Partitioner: partitioners[c.Partitioner], Long: tooLong[c.TooLong]}
}

func (c *Config) validatePaths(r *config.Report) {
	if len(c.Paths) == 0 {
		r.Addf("paths", "need at least one")
	}
	first := make(map[string]int)
	for i, path := range c.Paths {
		key := fmt.Sprintf("paths[%d]", i)
		_, err := pathpkg.Match(path, "") // filepath's looks no further than the first difference
		earlier, twice := first[filepath.Clean(path)]
		switch {
		case !filepath.IsAbs(path):
			r.Addf(key, "must be absolute, got %q", path)
		case err != nil:
			r.Addf(key, "malformed pattern (a [ without its ], or a \\ at the end), got %q", path)
		case strings.HasSuffix(path, "/"):
			r.Addf(key, "must name files, not a folder, got %q", path)
		case twice:
			r.Addf(key, "is the same as paths[%d], got %q", earlier, path)
		default:
			first[filepath.Clean(path)] = i
		}
	}
}

// patterns are the paths that are patterns.
func (c *Config) patterns() []string {
	var patterns []string
	for _, path := range c.Paths {
		if isPattern(path) {
			patterns = append(patterns, filepath.Clean(path))
		}
	}
	return patterns
}

// Command is logship as a command.
func Command() daemon.App {
	cfg := Default()
	return daemon.App{
		Name:     "logship",
		Short:    "Ship the lines of log files to a Kafka topic",
		Settings: config.New("logship", &cfg, config.Alias{Env: "KAFKA_BOOTSTRAP_SERVERS", Key: "brokers"}),
		Log:      &cfg.Log,
		Run: func(ctx context.Context, p daemon.Process) error {
			app, err := New(cfg, p)
			if err != nil {
				return err
			}
			return app.Run(ctx)
		},
		Extra: func(settings func(*cobra.Command) func() error) []*cobra.Command {
			return []*cobra.Command{newStatus(&cfg, settings), newAdopt(&cfg, settings), newQuarantine(&cfg, settings)}
		},
		Reach: func(ctx context.Context, p daemon.Process) error { return reach(ctx, cfg, p) },
	}
}
