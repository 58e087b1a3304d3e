// Package eventline is the operator's tool: it runs the whole pipeline as a
// demo, looks after topics, prints a topic's records, tells how the daemons are
// doing and holds what they did against an answer key.
package eventline

import (
	"context"
	"encoding/json"
	"io"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
)

// Options are what every command that speaks to a cluster takes. Like a
// daemon's settings they come from a file, the environment and flags, so that
// TLS and passwords are set once for all commands.
type Options struct {
	kafka.Config `yaml:",inline"`
	Topic        string `yaml:"topic" help:"topic to work on"`
	JSON         bool   `yaml:"json" help:"print JSON instead of text"`

	given bool // brokers were named, wherever
}

// Validate reports what can't work.
func (o *Options) Validate(r *config.Report) {
	o.Config.Validate(r)
	if problem := kafka.NameProblem(o.Topic); problem != "" {
		r.Addf("topic", "%s", problem)
	}
}

// Command is the operator's tool.
func Command() daemon.App {
	return daemon.App{
		Name:  "eventline",
		Short: "Run, look at and look after the eventline pipeline",
		Commands: []*cobra.Command{
			demoCommand(), brokerCommand(), topicsCommand(), consumeCommand(), statusCommand(), verifyCommand(),
		},
	}
}

// settingsFile is read by every command if it is there.
const settingsFile = "/etc/eventline/eventline.yaml"

// withOptions adds the options as flags to cmd and makes run its work.
func withOptions(cmd *cobra.Command, run func(ctx context.Context, o Options, cmd *cobra.Command, args []string) error) *cobra.Command {
	o := &Options{Config: kafka.DefaultConfig(), Topic: "events"}
	set := config.New("eventline", o, config.Alias{Env: "KAFKA_BOOTSTRAP_SERVERS", Key: "brokers"})
	file := cmd.Flags().String("config", settingsFile, "settings file; a missing one is an error only if it was named")
	set.BindFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		env := daemon.OS()
		if err := set.Read(*file, cmd.Flags().Changed("config"), env.LookupEnv, nil); err != nil {
			return err
		}
		o.given = set.Origin("brokers").Kind != config.FromDefault
		return run(cmd.Context(), *o, cmd, args)
	}
	return cmd
}

// withClient is withOptions for commands that need one connection. Where the
// cluster can't be reached the error says which address and why.
func withClient(cmd *cobra.Command, run func(ctx context.Context, c *kafka.Client, o Options, cmd *cobra.Command, args []string) error) *cobra.Command {
	return withOptions(cmd, func(ctx context.Context, o Options, cmd *cobra.Command, args []string) error {
		c, err := kafka.Open(o.Config, zerolog.Nop())
		if err != nil {
			return daemon.ConfigError(err)
		}
		err = run(ctx, c, o, cmd, args)
		if cerr := c.Close(); err == nil {
			err = cerr
		}
		return err
	})
}

// printJSON writes v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
