// Package bucketer is the daemon that sorts the events of a Kafka topic by price
// and prints its decisions.
package bucketer

import (
	"context"
	"os"

	"eventline/internal/admin"
	"eventline/internal/classify"
	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/sink"
)

// Config is what bucketer can be told.
type Config struct {
	kafka.Config `yaml:",inline"`
	Topic        string           `yaml:"topic" help:"topic to read"`
	Group        string           `yaml:"group" help:"consumer group; its members share the partitions"`
	Instance     string           `yaml:"instance" help:"name of this member, unlike any other of the group: it keeps its partitions through a restart; empty for none"`
	Buckets      classify.Buckets `yaml:"buckets" help:"labels, and the prices below which each but the last ends"`
	Print        sink.Print       `yaml:"print" help:"decisions to print: all, sample (all up to 200 a second, above that 1 in n) or none"`
	Once         bool             `yaml:"once" help:"read to what is the end at start, then exit"`
	Admin        admin.Config     `yaml:"admin"`
	Log          daemon.LogConfig `yaml:"log"`
}

var _ config.Target = (*Config)(nil)

// Default reads the topic events of a broker on this host.
func Default() Config {
	c := Config{
		Config:   kafka.DefaultConfig(),
		Topic:    "events",
		Group:    "bucketer",
		Instance: hostInstance(),
		Buckets:  classify.Classic(),
		Print:    sink.PrintSample,
		Admin:    admin.Config{Listen: "127.0.0.1:9463"},
		Log:      daemon.DefaultLog(),
	}
	c.ClientID = "bucketer"
	return c
}

// hostInstance is the name of this host as an instance id. It is empty, which
// works too but makes restarts slower, where the host's name would be none.
func hostInstance() string {
	host, err := os.Hostname()
	if err != nil || kafka.NameProblem(host) != "" {
		return ""
	}
	return host
}

// Validate reports every value that can't work.
func (c *Config) Validate(r *config.Report) {
	c.Config.Validate(r)
	if problem := kafka.NameProblem(c.Topic); problem != "" {
		r.Addf("topic", "%s", problem)
	}
	if c.Group == "" {
		r.Addf("group", "must not be empty")
	}
	if problem := kafka.NameProblem(c.Instance); problem != "" && c.Instance != "" {
		r.Addf("instance", "%s", problem)
	}
	for _, problem := range c.Buckets.Problems() {
		r.Addf("buckets", "%s", problem)
	}
}

// Command is bucketer as a command.
func Command() daemon.App {
	cfg := Default()
	return daemon.App{
		Name:     "bucketer",
		Short:    "Sort the events of a Kafka topic by price",
		Settings: config.New("bucketer", &cfg, config.Alias{Env: "KAFKA_BOOTSTRAP_SERVERS", Key: "brokers"}),
		Log:      &cfg.Log,
		Run: func(ctx context.Context, p daemon.Process) error {
			app, err := New(cfg, p)
			if err != nil {
				return err
			}
			return app.Run(ctx)
		},
	}
}
