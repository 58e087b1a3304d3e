package eventline

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"eventline/internal/broker"
	"eventline/internal/daemon"
)

func brokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "broker", Args: cobra.NoArgs,
		Short: "Run the embedded demo broker alone (not Apache Kafka)",
		Long: "Run the embedded demo broker alone. It speaks Kafka's protocol and keeps its data on\n" +
			"disk, but it is a single process made for trying things out, not Apache Kafka.",
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:9092", "host:port to listen on")
	dir := cmd.Flags().String("data-dir", "", "absolute path of the folder for its data (default: the demo's)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		env := daemon.OS()
		if *dir == "" {
			base, err := stateDir(env.LookupEnv)
			if err != nil {
				return daemon.ConfigError(err)
			}
			*dir = filepath.Join(base, "broker")
		}
		if !filepath.IsAbs(*dir) {
			return daemon.ConfigError(fmt.Errorf("--data-dir: must be absolute, got %q", *dir))
		}
		log, err := daemon.NewLogger(daemon.DefaultLog(), env, "eventline")
		if err != nil {
			return err
		}
		b, err := broker.New(broker.Options{Listen: *listen, DataDir: *dir, Log: log})
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "demo broker on %s, data in %s\n", b.Addr(), *dir)
		return b.Run(cmd.Context())
	}
	return cmd
}

// stateDir is where the demo keeps its data: $XDG_STATE_HOME/eventline (XDG
// Base Directory Specification 0.8).
func stateDir(lookup func(string) (string, bool)) (string, error) {
	if dir, ok := lookup("XDG_STATE_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "eventline"), nil
	}
	home, ok := lookup("HOME")
	if !ok || !filepath.IsAbs(home) {
		return "", fmt.Errorf("find the folder for the demo's data: neither $XDG_STATE_HOME nor $HOME is set; name one with --dir")
	}
	return filepath.Join(home, ".local", "state", "eventline"), nil
}
