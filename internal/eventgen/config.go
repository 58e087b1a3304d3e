// Package eventgen is the daemon that writes the events of a synthetic shop to a log file at an exact
// rate.
//
// One goroutine makes and writes them all: a core makes and writes more than a million lines a second,
// the order needs no coordination, and a full disk holds back the generator without a queue in between.
// What is due while the file can't be written is written later, with the times at which it was due.
package eventgen

import (
	"context"
	"path/filepath"
	"time"

	"eventline/internal/admin"
	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/pace"
)

// stdout is the path that means standard output.
const stdout = "-"

// Config is what eventgen can be told.
type Config struct {
	Path     string           `yaml:"path" help:"absolute path of the log file; - is standard output"`
	Rate     pace.Rate        `yaml:"rate" help:"events per second, such as 5, 0.1 or 50k"`
	Count    int64            `yaml:"count" help:"end after so many events; 0 is endless"`
	Duration time.Duration    `yaml:"duration" help:"end after so long, such as 90s or 1h30m; 0s is endless"`
	Seed     int64            `yaml:"seed" help:"the same seed gives the same shop and events; 0 takes a random one and reports it"`
	Admin    admin.Config     `yaml:"admin"`
	Log      daemon.LogConfig `yaml:"log"`
}

var _ config.Target = (*Config)(nil)

// Default is five events a second into /var/log/eventline/events.log, for ever.
func Default() Config {
	return Config{
		Path:  "/var/log/eventline/events.log",
		Rate:  5 * pace.PerSecond,
		Admin: admin.Config{Listen: "127.0.0.1:9461"},
		Log:   daemon.DefaultLog(),
	}
}

// Validate reports every value that can't work.
func (c *Config) Validate(r *config.Report) {
	if c.Path != stdout && !filepath.IsAbs(c.Path) {
		r.Addf("path", "must be absolute, got %q", c.Path)
	}
	if c.Rate <= 0 || c.Rate > pace.MaxRate {
		r.Addf("rate", "must be above 0 and at most %s, got %q", pace.MaxRate, c.Rate)
	}
	if c.Count < 0 {
		r.Addf("count", "must be 0 (endless) or above, got %d", c.Count)
	}
	if c.Duration < 0 {
		r.Addf("duration", "must be 0s (endless) or above, got %s", c.Duration)
	}
}

// Command is eventgen as a command.
func Command() daemon.App {
	cfg := Default()
	return daemon.App{
		Name:     "eventgen",
		Short:    "Write the events of a synthetic shop to a log file at an exact rate",
		Settings: config.New("eventgen", &cfg, config.Alias{Env: "PRODUCE_RATE_PER_SEC", Key: "rate"}),
		Log:      &cfg.Log,
		Run: func(ctx context.Context, p daemon.Process) error {
			app, err := New(cfg, p)
			if err != nil {
				return err
			}
			if cfg.Path != stdout { // without a file, SIGHUP means what it means: the terminal has gone
				defer onHangup(app.Reopen)()
			}
			return app.Run(ctx)
		},
	}
}
