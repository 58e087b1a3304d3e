package bucketer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventline/internal/daemon"
)

// execute runs the command and returns its exit code and what it printed.
func execute(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = daemon.Execute(context.Background(), Command(), args, daemon.Environment{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	return code, out.String(), errs.String()
}

func settings(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bucketer.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreGood(t *testing.T) {
	code, _, stderr := execute(t, nil, "check", "--config", settings(t, ""))
	if code != daemon.ExitOK {
		t.Errorf("check of an empty file: exit code %d, %s", code, stderr)
	}
}

func TestEveryBadValueIsNamedAtOnce(t *testing.T) {
	path := settings(t, strings.Join([]string{
		`brokers: []`,
		`topic: "my events"`,
		`group: ""`,
		`instance: "host/1"`,
		`buckets: low < 200, medium < 50, low`,
		`print: windows`,
		`once: maybe`,
		`topics: events`,
		`admin:`,
		`  listen: nowhere`,
		`log:`,
		`  level: loud`,
	}, "\n"))
	want := []string{
		path + `:8: topics: unknown key; did you mean "topic"?`,
		path + `:7: once: want true or false, got the text "maybe"`,
		path + `:6: print: want all, sample or none, got "windows": there are no windows yet`,
		path + `:1: brokers: need at least one`,
		path + `:2: topic: must be of letters, digits, dot, dash and underscore, at most 249, got "my events"`,
		path + `:3: group: must not be empty`,
		path + `:4: instance: must be of letters, digits, dot, dash and underscore, at most 249, got "host/1"`,
		path + `:5: buckets: labels must differ, got "low" twice`,
		path + `:5: buckets: prices must ascend, got "50" after "200"`,
		path + `:10: admin.listen: want host:port or off, got "nowhere"`,
		path + `:12: log.level: want debug, info, warn or error, got "loud"`,
	}
	for _, command := range []string{"check", "run"} {
		code, _, stderr := execute(t, nil, command, "--config", path)
		if code != daemon.ExitConfig {
			t.Errorf("%s: exit code %d, want 78", command, code)
		}
		for _, line := range want {
			if !strings.Contains(stderr, "bucketer: "+line+"\n") {
				t.Errorf("%s does not say %q", command, line)
			}
		}
		if n := strings.Count(stderr, "\n"); n != len(want) {
			t.Errorf("%s says %d lines, want %d:\n%s", command, n, len(want), stderr)
		}
	}
}

func TestFlagsBeatTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	path := settings(t, "topic: from-file\ngroup: from-file\nbuckets: all\n")
	code, stdout, stderr := execute(t, map[string]string{
		"BUCKETER_GROUP": "from-env", "BUCKETER_PRINT": "none", "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
	}, "config", "--config", path, "--print", "all", "--buckets", "low<9.99,high")
	if code != daemon.ExitOK {
		t.Fatalf("config: exit code %d, %s", code, stderr)
	}
	for _, want := range []string{
		fmt.Sprintf("topic: from-file  # %s:1\n", path),
		"group: from-env  # BUCKETER_GROUP\n",
		"print: all  # --print\n",
		"buckets: \"low < 9.99, high\"  # --buckets\n",
		"KAFKA_BOOTSTRAP_SERVERS\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("config does not say %q:\n%s", want, stdout)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"run", "--no-such-flag"}, {"no-such-command"}, {"run", "operand"}, {}} {
		if code, _, stderr := execute(t, nil, args...); code != daemon.ExitUsage {
			t.Errorf("bucketer %v: exit code %d, want 2; %s", args, code, stderr)
		}
	}
}
