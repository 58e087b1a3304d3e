package eventgen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"eventline/internal/daemon"
)

// TestMain makes the test binary an eventgen too, for scripts and for tests that send signals.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"eventgen": func() { daemon.Main(Command()) }})
}

type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// Too large for the script.
			return os.WriteFile(e.WorkDir+"/binary", make([]byte, 17<<20), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":          exits,
			"lines":          countLines,
			"append":         appendText,
			"same-but-times": sameButTimes,
		},
	})
}

// exits runs a command that has to end with an exit code: exits CODE COMMAND ARG...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// countLines holds the number of lines of a file, all of them whole events: lines N FILE
func countLines(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[1])
	if text != "" && text[len(text)-1] != '\n' {
		ts.Fatalf("%s ends in half a line", args[1])
	}
	n := 0
	for line := range bytes.Lines([]byte(text)) {
		if !wholeEvent.Match(line) {
			ts.Fatalf("line %d of %s is no event: %q", n+1, args[1], line)
		}
		n++
	}
	if want := args[0]; strconv.Itoa(n) != want {
		ts.Fatalf("%s has %d lines, want %s", args[1], n, want)
	}
}

var (
	wholeEvent = regexp.MustCompile(`^\{"event_id":"[0-9a-f-]{36}","timestamp":"[^"]{27}","product":"[^"]+",.*"quantity":\d+\}\n$`)
	timestamps = regexp.MustCompile(`"timestamp":"[^"]*"`)
)

func appendText(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0]) + args[1]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// sameButTimes compares two files of events.
func sameButTimes(ts *testscript.TestScript, neg bool, args []string) {
	a := timestamps.ReplaceAllString(ts.ReadFile(args[0]), "")
	b := timestamps.ReplaceAllString(ts.ReadFile(args[1]), "")
	if (a == b) == neg {
		ts.Fatalf("%s and %s have the same events: %v, want %v", args[0], args[1], a == b, !neg)
	}
}
