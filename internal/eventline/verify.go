package eventline

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/verify"
)

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Args: cobra.NoArgs,
		Short: "Hold the topic and the windows against eventgen's answer key; exit code 3 on any difference",
		Long: "Hold the topic against the answer key that `eventgen run --truth FILE` wrote: every line once,\n" +
			"unaltered, in order per partition. If there is a topic of results, also hold every window and\n" +
			"bucket against it: final results, late events and dead letters together, exactly.\n" +
			"Exit code 3 if there is any difference or a window is still open. All topics are only read.",
	}
	path := cmd.Flags().String("truth", "", "answer key to hold the topic against")
	wait := cmd.Flags().Bool("wait", false, "wait for lines that are not in the topic yet, and for open windows to close")
	timeout := cmd.Flags().Duration("timeout", 10*time.Minute, "how long --wait waits before it judges what is there")
	buckets := cmd.Flags().String("buckets-topic", "", "topic of results (default the topic's name and .buckets)")
	_ = cmd.MarkFlagRequired("truth") // it is there
	return withOptions(cmd, func(ctx context.Context, o Options, cmd *cobra.Command, _ []string) error {
		v := verify.Options{Topic: o.Topic, Buckets: *buckets, Late: o.Topic + ".late", DeadLetters: o.Topic + ".dlq"}
		if v.Buckets == "" {
			v.Buckets = o.Topic + ".buckets"
		}
		if problem := kafka.NameProblem(v.Buckets); problem != "" {
			return daemon.ConfigError(fmt.Errorf("--buckets-topic: %s", problem))
		}
		if *timeout <= 0 {
			return daemon.ConfigError(fmt.Errorf("--timeout: must be above 0, got %s", *timeout))
		}
		if *wait {
			v.Wait = *timeout
		}
		c, err := connection(o.Config)
		if err != nil {
			return daemon.ConfigError(err)
		}
		// Most of the heap are tables that stay: what is let go of is small beside them,
		// and need not wait until it is as much.
		defer debug.SetGCPercent(debug.SetGCPercent(40))
		answers, err := verify.Load(*path)
		if err != nil {
			return daemon.ConfigError(err)
		}
		bar := daemon.NewBar(cmd.ErrOrStderr(), "reading", "records")
		v.Progress = bar.Set
		report, err := verify.Run(ctx, c, answers, v)
		bar.Clear()
		if ctx.Err() != nil {
			return fmt.Errorf("verify topic %q: interrupted, there is no verdict", o.Topic)
		}
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if o.JSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = report.Print(cmd.OutOrStdout())
		}
		if err == nil && !report.Equal {
			err = daemon.Exit(daemon.ExitDegraded, nil)
		}
		return err
	})
}

// connection says for the judge's client what cfg says for ours. It reads the
// files that cfg names.
func connection(cfg kafka.Config) (verify.Connection, error) {
	c := verify.Connection{
		Brokers: cfg.Brokers, ClientID: cfg.ClientID, DialTimeout: cfg.DialTimeout, RequestTimeout: cfg.RequestTimeout,
		Mechanism: cfg.SASL.Mechanism, User: cfg.SASL.User,
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	if c.Mechanism != "" {
		password, err := cfg.SASL.PasswordFile.Read()
		if err != nil {
			return c, fmt.Errorf("sasl.password_file: %w", err)
		}
		c.Password = password.Reveal()
	}
	var err error
	if cfg.TLS.Enabled {
		c.TLS, err = cfg.TLS.Load()
	}
	return c, err
}
