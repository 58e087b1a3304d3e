// Package eventgen is the daemon that writes the events of a synthetic shop to a log file at an exact
// rate.
//
// One goroutine makes and writes them all: a core makes and writes more than a million lines a second,
// the order needs no coordination, and a full disk holds back the generator without a queue in between.
// What is due while the file can't be written is written later, with the times at which it was due.
package eventgen

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"eventline/internal/admin"
	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/pace"
)

// stdout is the path that means standard output.
const stdout = "-"

// What state_dir may be beside a path.
const (
	stateAuto = "auto" // $STATE_DIRECTORY of systemd.exec(5), if it is set
	stateOff  = "off"
)

// Config is what eventgen can be told.
type Config struct {
	Path     string           `yaml:"path" help:"absolute path of the log file; - is standard output"`
	Rate     pace.Rate        `yaml:"rate" help:"events per second, such as 5, 0.1 or 50k; the profile may make it a curve"`
	Count    int64            `yaml:"count" help:"end after so many events; 0 is endless"`
	Duration time.Duration    `yaml:"duration" help:"end after so long, such as 90s or 1h30m; 0s is endless"`
	Seed     int64            `yaml:"seed" help:"the same seed gives the same shop and events; 0 takes a random one and reports it"`
	Start    Instant          `yaml:"start" help:"time of event 0, such as 2026-11-22T10:00:00Z: with it the same seed and profile give the same bytes; empty is now"`
	Profile  string           `yaml:"profile" help:"YAML file that says what the shop is like, as eventgen profile prints it"`
	MaxLag   time.Duration    `yaml:"max_lag" help:"leave out events that could not be written for so long, and count them; 0s catches up with all"`
	Unpaced  bool             `yaml:"unpaced" help:"write a finite run as fast as possible, with the times that its rate gives"`
	StateDir string           `yaml:"state_dir" help:"folder to remember where the run is, so that it goes on there after a stop or a crash; auto is the one that systemd gives, off begins anew each time"`
	Truth    string           `yaml:"truth" help:"file for the answer key: what was written, and what is wrong with it on purpose"`
	Window   time.Duration    `yaml:"truth_window" help:"length of the windows in the answer key, in whole seconds"`
	Admin    admin.Config     `yaml:"admin"`
	Log      daemon.LogConfig `yaml:"log"`
}

var _ config.Target = (*Config)(nil)

// Default is five events a second into /var/log/eventline/events.log, for ever.
func Default() Config {
	return Config{
		Path:     "/var/log/eventline/events.log",
		Rate:     5 * pace.PerSecond,
		StateDir: stateAuto,
		Window:   time.Minute,
		Admin:    admin.Config{Listen: "127.0.0.1:9461"},
		Log:      daemon.DefaultLog(),
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
	if c.MaxLag < 0 {
		r.Addf("max_lag", "must be 0s (catch up with all) or above, got %s", c.MaxLag)
	}
	if c.Unpaced && c.Count == 0 && c.Duration == 0 {
		r.Addf("unpaced", "needs count or duration: an endless run would fill the disk")
	}
	if c.Window < time.Second || c.Window%time.Second != 0 || c.Window > 24*time.Hour {
		r.Addf("truth_window", "must be whole seconds, between 1s and 24h, got %s", c.Window)
	}
	for key, path := range map[string]string{"truth": c.Truth, "profile": c.Profile} {
		if path != "" && !filepath.IsAbs(path) {
			r.Addf(key, "must be absolute, got %q", path)
		}
	}
	switch {
	case c.StateDir == stateAuto, c.StateDir == stateOff:
	case !filepath.IsAbs(c.StateDir):
		r.Addf("state_dir", "must be absolute, auto or off, got %q", c.StateDir)
	case c.Path == stdout:
		r.Addf("state_dir", "can't go on in the middle of standard output; leave it out, or name a file in path")
	}
	if c.Profile != "" && filepath.IsAbs(c.Profile) {
		p, err := LoadProfile(c.Profile)
		if err == nil {
			_, err = p.Rate.Schedule(c.Rate, c.Start.Or(time.Now()), 0)
		}
		if err != nil {
			r.Include("profile", err)
		}
	}
}

// stateDir is the folder where the run is remembered; "" for none.
func (c *Config) stateDir(lookup func(string) (string, bool)) string {
	switch {
	case c.StateDir == stateOff, c.StateDir == "", c.Path == stdout:
		return ""
	case c.StateDir != stateAuto:
		return c.StateDir
	case lookup == nil:
		return ""
	}
	given, _ := lookup("STATE_DIRECTORY")
	first, _, _ := strings.Cut(given, ":")
	return first
}

// Instant is a time that may be missing. Its text is RFC 3339.
type Instant struct{ time.Time }

const instantWants = "a time such as 2026-11-22T10:00:00Z"

// UnmarshalText reads RFC 3339, and nothing as missing.
func (i *Instant) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*i = Instant{}
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return fmt.Errorf("want %s, between 1970 and 2200, got %q", instantWants, text)
	}
	i.Time = t.UTC()
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (i Instant) MarshalText() ([]byte, error) {
	if i.IsZero() {
		return nil, nil
	}
	return []byte(i.Format(time.RFC3339Nano)), nil
}

// Wants says in messages what an Instant looks like.
func (Instant) Wants() string { return instantWants }

// TypeName names the type in help texts.
func (Instant) TypeName() string { return "time" }

// Or is the time, or another one if it is missing.
func (i Instant) Or(other time.Time) time.Time {
	if i.IsZero() {
		return other
	}
	return i.Time
}

// Command is eventgen as a command.
func Command() daemon.App {
	cfg := Default()
	return daemon.App{
		Name:     "eventgen",
		Short:    "Write the events of a synthetic shop to a log file at an exact rate",
		Settings: config.New("eventgen", &cfg, config.Alias{Env: "PRODUCE_RATE_PER_SEC", Key: "rate"}),
		Log:      &cfg.Log,
		Extra:    extraCommands(&cfg),
		Run: func(ctx context.Context, p daemon.Process) error {
			oneProcessor(cfg, p.LookupEnv)
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

// slowRate is one at which a process mostly sleeps.
const slowRate = 1000 * pace.PerSecond

// oneProcessor lets a slow run have one processor, unless the environment says how many. There is one
// goroutine with work; with more processors the runtime wakes a second thread at each event only to find
// nothing for it, which is a third of what five events a second cost.
func oneProcessor(c Config, lookup func(string) (string, bool)) {
	if _, said := lookup("GOMAXPROCS"); !said && c.Rate <= slowRate && !c.Unpaced {
		runtime.GOMAXPROCS(1)
	}
}
