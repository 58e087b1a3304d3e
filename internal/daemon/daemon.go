// Package daemon is the process around an app: its command line, exit codes,
// signals, logger and what it tells systemd. All daemons use it alike, so that
// they behave alike.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes of every command.
const (
	ExitOK       = 0
	ExitFailed   = 1  // failed at run time
	ExitUsage    = 2  // unknown flag or command, missing operand
	ExitDegraded = 3  // finished, but not as asked
	ExitConfig   = 78 // EX_CONFIG of sysexits(3): starting again can't help
)

// DrainTimeout bounds what a daemon may still do after the first signal. The
// units' TimeoutStopSec is above it, so that systemd never has to kill a daemon
// that keeps its word.
const DrainTimeout = 30 * time.Second

// sameSignal is how long after the first signal another one does not count.
const sameSignal = 250 * time.Millisecond

// Settings is what the process needs of an app's settings.
type Settings interface {
	// BindFlags adds a flag for each setting.
	BindFlags(flags *pflag.FlagSet)
	// Read reads file, which must exist if required, then the environment, then
	// the bound flags. Every problem is in the one error, which has an
	// ExitCode method.
	Read(file string, required bool, lookup func(string) (string, bool), environ []string) error
	// Print writes the effective settings and where each came from.
	Print(w io.Writer) error
	// Warnings lists what was odd but harmless in what was read.
	Warnings() []string
}

// App is what a command supplies to Main.
type App struct {
	// Name is the command's name; its settings file is /etc/NAME/NAME.yaml.
	Name string
	// Short says in one line what it is for.
	Short string
	// Settings and Log are nil for a command that has none. Log points into
	// the settings' target and is read after Settings.Read.
	Settings Settings
	Log      *LogConfig
	// Run does the work until ctx ends. It returns nil when it was stopped in
	// good order.
	Run func(ctx context.Context, p Process) error
	// Reach asks those that the process works with whether they will do their part, for
	// check --connect; nil if there is nobody to ask. Its error may be several, joined.
	Reach func(ctx context.Context, p Process) error
	// Commands are added beside the ones every command has. Extra makes more of them:
	// settings adds the flags of the settings to one, and returns what reads them.
	Commands []*cobra.Command
	Extra    func(settings func(*cobra.Command) (read func() error)) []*cobra.Command
}

// Process is what an app gets from the process it runs in.
type Process struct {
	Name   string
	Log    zerolog.Logger
	Notify *Notifier
	Environment
}

// Environment is the outside of a process, as an argument so that tests can
// stand in for it.
type Environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	LookupEnv      func(string) (string, bool)
	Environ        []string
}

// OS is the environment of the running process.
func OS() Environment {
	return Environment{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		LookupEnv: os.LookupEnv, Environ: os.Environ(),
	}
}

// Main runs the app with the process's arguments and exits. The first SIGINT or
// SIGTERM ends the context that the app runs in; a second one kills the process
// at once, as does a drain that takes longer than DrainTimeout.
func Main(app App) {
	ctx, stop := signalContext(OS().Stderr, app.Name)
	code := Execute(ctx, app, os.Args[1:], OS())
	stop()
	os.Exit(code)
}

// Execute runs the app with args and returns its exit code. It blocks until the
// command has ended.
func Execute(ctx context.Context, app App, args []string, env Environment) int {
	root := newRoot(app, env)
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	code := exitCode(err)
	var quiet interface{ Quiet() bool }
	if !errors.As(err, &quiet) {
		complain(app.Name, err, env)
	}
	if code == ExitUsage {
		fmt.Fprintf(env.Stderr, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

// complain prints each line of err on standard error. Where that is the journal,
// a line begins with the priority "error" (sd-daemon(3)).
func complain(name string, err error, env Environment) {
	prefix := ""
	if f, ok := env.Stderr.(*os.File); ok && IsJournal(f, env.LookupEnv) {
		prefix = "<3>"
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(env.Stderr, "%s%s: %s\n", prefix, name, line)
	}
}

// signalContext returns a context that ends at the first SIGINT or SIGTERM.
// After it the signals have their default effect again, and a timer ends a
// drain that hangs.
func signalContext(stderr io.Writer, name string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case sig := <-signals:
			cancel(signalError{sig})
		case <-done:
			return
		}
		// What a supervisor sends to the process and to its group at once is one
		// signal.
		select {
		case <-time.After(sameSignal):
		case <-done:
			return
		}
		signal.Stop(signals)
		signal.Reset(syscall.SIGINT, syscall.SIGTERM)
		select {
		case <-time.After(DrainTimeout):
			fmt.Fprintf(stderr, "%s: stop: still busy %s after the signal; giving up\n", name, DrainTimeout)
			os.Exit(ExitFailed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

type signalError struct{ os.Signal }

func (e signalError) Error() string { return "received " + e.String() }
