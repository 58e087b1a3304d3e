package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

// Asked to, the test binary is the daemon that the signal tests watch.
func TestMain(m *testing.M) {
	if mode := os.Getenv("DAEMON_TEST_MODE"); mode != "" {
		Main(fakeApp(func(ctx context.Context, _ Process) error {
			fmt.Println("running")
			<-ctx.Done()
			fmt.Println("draining")
			if mode == "hangs" {
				select {}
			}
			return nil
		}))
	}
	goleak.VerifyTestMain(m)
}

// fakeSettings has one setting, whose value "bad" is refused.
type fakeSettings struct{ value string }

func (s *fakeSettings) BindFlags(f *pflag.FlagSet) {
	f.StringVar(&s.value, "value", "good", "good or bad")
}

func (s *fakeSettings) Read(string, bool, func(string) (string, bool), []string) error {
	if s.value == "bad" {
		return Exit(ExitConfig, errors.New("f.yaml:1: value: is bad\nf.yaml:2: other: is bad"))
	}
	return nil
}

func (s *fakeSettings) Print(w io.Writer) error {
	_, err := fmt.Fprintln(w, "value:", s.value)
	return err
}
func (s *fakeSettings) Warnings() []string { return nil }

func fakeApp(run func(context.Context, Process) error) App {
	log := DefaultLog()
	return App{Name: "demo", Short: "A daemon for tests", Settings: &fakeSettings{}, Log: &log, Run: run}
}

func execute(app App, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	env := Environment{Stdout: &out, Stderr: &errs, LookupEnv: func(string) (string, bool) { return "", false }}
	code = Execute(context.Background(), app, args, env)
	return code, out.String(), errs.String()
}

func TestExitCodesSayWhatHappened(t *testing.T) {
	returns := func(err error) App {
		return fakeApp(func(context.Context, Process) error { return err })
	}
	for _, c := range []struct {
		it     string
		app    App
		args   []string
		code   int
		stderr string
	}{
		{"stopped in good order", returns(nil), []string{"run"}, 0, ""},
		{"a failure is 1", returns(errors.New("disk on fire")), []string{"run"}, 1, "demo: disk on fire\n"},
		{"degraded is 3 and can be silent", returns(Exit(ExitDegraded, nil)), []string{"run"}, 3, ""},
		{"a wrapped code survives", returns(fmt.Errorf("open: %w", ConfigError(errors.New("in use")))), []string{"run"}, 78, "demo: open: in use\n"},
		{"bad settings are 78 for run", returns(nil), []string{"run", "--value", "bad"}, 78, "demo: f.yaml:1: value: is bad\ndemo: f.yaml:2: other: is bad\n"},
		{"bad settings are 78 for check", returns(nil), []string{"check", "--value=bad"}, 78, "demo: f.yaml:2: other: is bad\n"},
		{"an unknown flag is 2", returns(nil), []string{"run", "--vlaue", "x"}, 2, "demo: unknown flag: --vlaue\nSee 'demo run --help'.\n"},
		{"a flag without its value is 2", returns(nil), []string{"run", "--value"}, 2, "needs an argument"},
		{"an unknown command is 2", returns(nil), []string{"rum"}, 2, `unknown command "rum"`},
		{"an operand too many is 2", returns(nil), []string{"run", "now"}, 2, "unknown command"},
		{"no command is 2 and prints help", returns(nil), nil, 2, "no command given"},
		{"help is 0", returns(nil), []string{"--help"}, 0, ""},
		{"version is 0", returns(nil), []string{"version"}, 0, ""},
		{"completion is 0", returns(nil), []string{"completion", "bash"}, 0, ""},
	} {
		code, _, stderr := execute(c.app, c.args...)
		if code != c.code {
			t.Errorf("%s: demo %v: got exit %d, want %d (stderr %q)", c.it, c.args, code, c.code, stderr)
		}
		if !strings.Contains(logless(stderr), c.stderr) {
			t.Errorf("%s: demo %v: got stderr %q, want %q in it", c.it, c.args, stderr, c.stderr)
		}
	}
}

// logless drops the logger's JSON lines.
func logless(s string) string {
	var keep strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "{") {
			keep.WriteString(line)
		}
	}
	return keep.String()
}

func TestHelpNamesEveryCommandOfTheContract(t *testing.T) {
	app := fakeApp(func(context.Context, Process) error { return nil })
	app.Commands = []*cobra.Command{{Use: "top", Short: "own", Run: func(*cobra.Command, []string) {}}}
	_, stdout, _ := execute(app, "--help")
	for _, name := range []string{"run", "check", "config", "version", "completion", "top"} {
		if !strings.Contains(stdout, "\n  "+name+" ") {
			t.Errorf("demo --help: %q is not in\n%s", name, stdout)
		}
	}
}

func startSelf(t *testing.T, mode string) (*exec.Cmd, *lines) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "run")
	cmd.Env = append(os.Environ(), "DAEMON_TEST_MODE="+mode)
	out := newLines()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	out.wait(t, "running")
	return cmd, out
}

func TestFirstSignalDrains(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd, out := startSelf(t, "drains")
		_ = cmd.Process.Signal(sig)
		out.wait(t, "draining")
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: got %v, want exit 0", sig, err)
		}
	}
}

func TestSecondSignalKills(t *testing.T) {
	cmd, out := startSelf(t, "hangs")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	out.wait(t, "draining")
	dead := make(chan error, 1)
	go func() { dead <- cmd.Wait() }()
	var err error
	for alive := true; alive; { // one that comes at once does not count
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-dead:
			alive = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("second signal: got %v, want death by SIGTERM", err)
	}
}

// timeout(1) signals its child and then the group that both are in.
func TestTwoSignalsAtOnceAreOne(t *testing.T) {
	cmd, out := startSelf(t, "drains")
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Process.Signal(syscall.SIGINT)
	out.wait(t, "draining")
	if err := cmd.Wait(); err != nil {
		t.Errorf("two signals at once: got %v, want exit 0", err)
	}
}

// lines is an io.Writer that a test can wait on.
type lines struct{ ch chan string }

func newLines() *lines { return &lines{ch: make(chan string, 100)} }

func (l *lines) Write(p []byte) (int, error) {
	l.ch <- string(p)
	return len(p), nil
}

func (l *lines) wait(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case got := <-l.ch:
			if strings.Contains(got, want) {
				return
			}
		case <-deadline:
			t.Fatalf("wait for %q: nothing came", want)
		}
	}
}
