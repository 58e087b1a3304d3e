package packagetest

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"eventline/internal/bucketer"
	"eventline/internal/daemon"
	"eventline/internal/eventgen"
	"eventline/internal/logship"
)

// apps makes each daemon anew: a Config is bound once.
var apps = map[string]func() daemon.App{
	"eventgen": eventgen.Command, "logship": logship.Command, "bucketer": bucketer.Command,
}

// execute runs a command of a daemon with nothing in its environment.
func execute(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out, err bytes.Buffer
	code := daemon.Execute(context.Background(), apps[name](), args, daemon.Environment{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	if code != 0 {
		t.Fatalf("%s %v: exit code %d: %s", name, args, code, &err)
	}
	return out.String()
}

// keys returns the settings of a daemon by their full names, from `config`.
func keys(config string) []string {
	var all []string
	section := ""
	for line := range strings.Lines(config) {
		name, rest, ok := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		switch {
		case strings.HasPrefix(name, " "):
			all = append(all, section+"."+strings.TrimSpace(name))
		case strings.TrimSpace(rest) == "":
			section = name
		default:
			all = append(all, name)
		}
	}
	return all
}

// values is what `config` prints without where each value came from, and without
// the one default that is the host's name.
func values(config string) string {
	config = regexp.MustCompile(`(?m) +# .*$`).ReplaceAllString(config, "")
	return regexp.MustCompile(`(?m)^instance: .*$`).ReplaceAllString(config, "")
}

func TestShippedSettingsAreTheDefaults(t *testing.T) {
	for name := range apps {
		file := "../" + name + "/" + name + ".yaml"
		defaults := values(execute(t, name, "config", "--config", "/dev/null"))
		shipped := values(execute(t, name, "config", "--config", file))
		if shipped != defaults {
			t.Errorf("%s: the shipped file changes settings: got\n%s\nwant\n%s", name, shipped, defaults)
		}
	}
}

// Everything that a shipped file shows as a comment is what it says: with all
// comment marks of keys taken away the file loads too, and has every key.
func TestShippedSettingsShowEveryKeyWithItsDefault(t *testing.T) {
	for name := range apps {
		text, err := os.ReadFile("../" + name + "/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		bare := regexp.MustCompile(`(?m)^#((?:  )?[a-z_]+:.*)$`).ReplaceAllString(string(text), "$1")
		file := t.TempDir() + "/" + name + ".yaml"
		if err := os.WriteFile(file, []byte(bare), 0o600); err != nil {
			t.Fatal(err)
		}
		config := execute(t, name, "config", "--config", file)
		for line := range strings.Lines(config) {
			if strings.Contains(line, "# default") && !strings.Contains(line, "instance:") {
				t.Errorf("%s.yaml: does not show %s", name, strings.TrimSpace(line))
			}
		}
		if got, want := values(config), values(execute(t, name, "config", "--config", "/dev/null")); got != want {
			t.Errorf("%s.yaml: shows values that are not the defaults: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestManPagesNameEveryKeyAndFlag(t *testing.T) {
	for name := range apps {
		config := execute(t, name, "config", "--config", "/dev/null")
		wanted := keys(config)
		if len(wanted) < 8 {
			t.Fatalf("%s config: found keys %v only: the parsing is broken", name, wanted)
		}
		page, err := os.ReadFile("../" + name + "/" + name + ".yaml.5")
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, m := range regexp.MustCompile(`(?m)^\.TP\n\.B ([a-z_.]+)$`).FindAllStringSubmatch(string(page), -1) {
			said = append(said, m[1])
		}
		compare(t, name+".yaml(5)", said, wanted)

		var flags []string
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-h, )?--([a-z-]+)`).FindAllStringSubmatch(execute(t, name, "run", "--help"), -1) {
			if m[1] != "help" {
				flags = append(flags, m[1])
			}
		}
		page, err = os.ReadFile("../" + name + "/" + name + ".8")
		if err != nil {
			t.Fatal(err)
		}
		said = nil
		for _, m := range regexp.MustCompile(`(?m)^\.TP\n\\fB\\-\\-([a-z\\-]+)\\fR`).FindAllStringSubmatch(string(page), -1) {
			said = append(said, strings.ReplaceAll(m[1], `\-`, "-"))
		}
		compare(t, name+"(8)", said, flags)
	}
}

func compare(t *testing.T, where string, said, wanted []string) {
	t.Helper()
	for _, w := range wanted {
		if !slices.Contains(said, w) {
			t.Errorf("%s: does not name %s", where, w)
		}
	}
	for _, s := range said {
		if !slices.Contains(wanted, s) {
			t.Errorf("%s: names %s, which the program does not know", where, s)
		}
	}
}
