package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var classic = regexp.MustCompile(`(?m)^offset=(\d+) key=None bucket=(low|medium|high) event_id=[0-9a-f-]{36} price=\d+\.\d+$`)

// offsets returns the offsets of the classic lines in a text.
func offsets(text string) []int {
	var all []int
	for _, m := range classic.FindAllStringSubmatch(text, -1) {
		var n int
		fmt.Sscan(m[1], &n)
		all = append(all, n)
	}
	return all
}

func demo(t *testing.T, dir string) *program {
	t.Helper()
	return start(t, nil, "eventline", "demo", "--dir", dir, "--rate", "200")
}

func TestDemoRunsStopsAndContinues(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	next := 0
	for round := range 2 {
		p := demo(t, dir)
		eventually(t, "20 classic lines", func() bool { return len(offsets(p.stdout.String())) >= 20 })
		p.signal(syscall.SIGINT)
		if code := p.wait(); code != 0 {
			t.Errorf("round %d: Ctrl-C: got exit %d, want 0", round, code)
		}
		if !strings.Contains(p.stderr.String(), dir) {
			t.Errorf("round %d: it does not say where its data is", round)
		}
		for i, offset := range offsets(p.stdout.String()) {
			// The second run may repeat lines whose commit it did not see, but
			// after a stop in good order there are none.
			if offset != next {
				t.Fatalf("round %d, line %d: got offset %d, want %d", round, i, offset, next)
			}
			next++
		}
	}
}

func TestDemoRefusesAFolderInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := demo(t, dir)
	eventually(t, "a classic line", func() bool { return len(offsets(p.stdout.String())) > 0 })
	code, _, stderr := run(t, nil, "eventline", "demo", "--dir", dir)
	if code != 78 || !strings.Contains(stderr, fmt.Sprint(p.cmd.Process.Pid)) {
		t.Errorf("second demo: got exit %d, want 78 and the first's pid %d in %q", code, p.cmd.Process.Pid, stderr)
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Errorf("first demo: got exit %d, want 0", code)
	}
}

// Brokers named in the settings file are the user's cluster as much as those of
// a flag: the demo must not start a broker of its own beside it.
func TestDemoUsesTheClusterOfTheSettingsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eventline.yaml")
	if err := os.WriteFile(file, []byte("brokers:\n  - 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "eventline", "demo", "--dir", filepath.Join(t.TempDir(), "data"), "--config", file)
	eventually(t, "the demo to say which cluster it uses", func() bool {
		return strings.Contains(p.stderr.String(), "your cluster at 127.0.0.1:1")
	})
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 0 {
		t.Errorf("Ctrl-C: got exit %d, want 0", code)
	}
}
