package daemon

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// Version is the version of the build, set by the linker. A build without it
// takes the one that Go recorded.
var Version = ""

// BuildVersion returns the version that `version` prints.
func BuildVersion() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.0.0-dev"
}

func newRoot(app App, env Environment) *cobra.Command {
	root := &cobra.Command{
		Use:           app.Name,
		Short:         app.Short,
		Long:          app.Short,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       BuildVersion(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return UsageError(fmt.Errorf("no command given"))
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return UsageError(err) })
	root.CompletionOptions.HiddenDefaultCmd = false
	if app.Run != nil {
		root.AddCommand(newRun(app, env))
	}
	if app.Settings != nil {
		root.AddCommand(newCheck(app, env), newConfig(app, env))
	}
	root.AddCommand(newVersion(app))
	root.AddCommand(app.Commands...)
	if app.Extra != nil {
		root.AddCommand(app.Extra(func(cmd *cobra.Command) func() error { return settingsFlags(cmd, app, env) })...)
	}
	return root
}

// settingsFlags adds --config and a flag for each setting, and returns what
// reads them.
func settingsFlags(cmd *cobra.Command, app App, env Environment) (read func() error) {
	standard := fmt.Sprintf("/etc/%[1]s/%[1]s.yaml", app.Name)
	file := cmd.Flags().String("config", standard, "settings file; a missing one is an error only if it was named")
	app.Settings.BindFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return func() error {
		return app.Settings.Read(*file, cmd.Flags().Changed("config"), env.LookupEnv, env.Environ)
	}
}

func newRun(app App, env Environment) *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Run until a signal comes", Args: cobra.NoArgs}
	read := settingsFlags(cmd, app, env)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := read(); err != nil {
			return err
		}
		log, err := NewLogger(*app.Log, env, app.Name)
		if err != nil {
			return ConfigError(err)
		}
		for _, w := range app.Settings.Warnings() {
			log.Warn().Msg(w)
		}
		p := Process{Name: app.Name, Log: log, Notify: Systemd(), Environment: env}
		log.Info().Str("version", BuildVersion()).Int("pid", os.Getpid()).Msg("starting")
		told := context.AfterFunc(cmd.Context(), func() { p.Notify.Stopping("") })
		defer told()
		err = app.Run(cmd.Context(), p)
		p.Notify.Stopping("")
		if err == nil {
			log.Info().Msg("stopped")
		}
		return err
	}
	return cmd
}

func newCheck(app App, env Environment) *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Check the settings: every problem at once, exit 78 if there is one", Args: cobra.NoArgs}
	read := settingsFlags(cmd, app, env)
	connect := new(bool)
	if app.Reach != nil {
		connect = cmd.Flags().Bool("connect", false, "also ask Kafka: is the topic there, and are the rights given")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := read(); err != nil {
			return err
		}
		for _, w := range app.Settings.Warnings() {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", app.Name, w)
		}
		fmt.Fprintln(cmd.OutOrStdout(), "settings are good")
		if !*connect {
			return nil
		}
		if err := app.Reach(cmd.Context(), Process{Name: app.Name, Log: zerolog.Nop(), Notify: Systemd(), Environment: env}); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "kafka is reached, the topic is there and every right is given")
		return nil
	}
	return cmd
}

func newConfig(app App, env Environment) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Print the effective settings and where each came from", Args: cobra.NoArgs}
	read := settingsFlags(cmd, app, env)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := read()
		if perr := app.Settings.Print(cmd.OutOrStdout()); perr != nil && err == nil {
			err = perr
		}
		return err
	}
	return cmd
}

func newVersion(app App) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s %s/%s\n", app.Name, BuildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
