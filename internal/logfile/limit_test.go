package logfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const limitEnv = "LOGFILE_TEST_LIMIT"

// Asked to, the test binary writes under a limit of the file size, which would be a limit for the other
// tests too.
func TestMain(m *testing.M) {
	if path := os.Getenv(limitEnv); path != "" {
		if err := writeUnderLimit(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// writeUnderLimit meets the limit in the middle of a line twice: the first time it is raised, the second
// time the writer gives up.
func writeUnderLimit(path string) error {
	limit := func(n uint64) error {
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: 1 << 30})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	episodes := 0
	var failed error
	w := New(path, Options{Changed: func(err error) {
		switch {
		case err == nil:
		case episodes == 0:
			failed = limit(20*lineLen + 9)
			episodes++
		default:
			cancel()
		}
	}})
	if err := limit(5*lineLen + 7); err != nil {
		return err
	}
	if err := w.Write(ctx, lines(0, 10)); err != nil || failed != nil || episodes != 1 {
		return fmt.Errorf("first write: %w, %w after %d episodes", err, failed, episodes)
	}
	err := w.Write(ctx, lines(10, 20))
	var u *Unwritten
	if !errors.As(err, &u) || !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("second write: %w, want lines unwritten because of EFBIG", err)
	}
	fmt.Println(u.Lines)
	return w.Close()
}

func TestRealShortWriteIsFinishedOrCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), limitEnv+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantFile(t, path, string(lines(0, 20)))
	if got := strings.TrimSpace(string(out)); got != "10" {
		t.Errorf("%s lines reported as unwritten, want 10", got)
	}
}
