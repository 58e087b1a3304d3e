package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	nxadm "github.com/nxadm/tail"
	"go.uber.org/goleak"
)

// childEnv makes the test binary be a reader: which, and its settings.
const childEnv = "TORTURE_READER"

func TestMain(m *testing.M) {
	if what, settings, ok := strings.Cut(os.Getenv(childEnv), " "); ok {
		var r Reader
		err := json.Unmarshal([]byte(settings), &r)
		if err == nil {
			err = readers[what](r)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var readers = map[string]func(Reader) error{
	"tail":  func(r Reader) error { return r.Run(context.Background()) },
	"nxadm": readPlainly,
}

// readPlainly reads with nxadm/tail as it is, the negative control.
func readPlainly(r Reader) error {
	out, err := OpenOutput(r.Out)
	if err != nil {
		return err
	}
	t, err := nxadm.TailFile(r.Path, nxadm.Config{Follow: true, ReOpen: true, CompleteLines: true, Logger: nxadm.DiscardingLogger})
	if err != nil {
		return err
	}
	for line := range t.Lines {
		text := line.Text + "\n"
		if err := out.Append(0, line.SeekInfo.Offset-int64(len(text)), []byte(text)); err != nil {
			return err
		}
	}
	return t.Err()
}

// by starts the test binary as a reader.
func by(what string) func(Reader) *exec.Cmd {
	return func(r Reader) *exec.Cmd {
		settings, _ := json.Marshal(r)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+what+" "+string(settings))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
}

// clean fails the test if anything is wrong with a run.
func clean(t *testing.T, r Result, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s, seed %d: %v", r.Style, r.Seed, err)
	}
	if !r.Clean() {
		t.Errorf("%s, seed %d: %d missing, %d duplicate, %d torn, %d out of order of %d lines:\n%s",
			r.Style, r.Seed, r.Missing, r.Duplicate, r.Torn, r.Disorder, r.Lines, strings.Join(r.Examples, "\n"))
	}
	if err != nil || !r.Clean() {
		log, _ := os.ReadFile(filepath.Join(r.Dir, "reader.log"))
		var said []string
		for line := range strings.Lines(string(log)) {
			if !strings.Contains(line, `"level":"info"`) {
				said = append(said, line)
			}
		}
		t.Logf("the reader said: %s", strings.Join(said[:min(len(said), 20)], ""))
	}
}

// A second of it, for every `make test`; `make torture` does more.
func TestKilledReaderLosesNothingForASecond(t *testing.T) {
	r, err := Run(Options{
		Style: Create, Rate: 5000, Interval: 50 * time.Millisecond, Kills: 200 * time.Millisecond,
		Duration: time.Second, Seed: 1, Dir: t.TempDir(), Reader: by("tail"), Patience: time.Minute,
	})
	clean(t, r, err)
}
