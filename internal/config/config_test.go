package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type retry struct {
	Initial time.Duration `yaml:"initial" help:"first wait"`
	Factor  float64       `yaml:"factor"`
}

type shared struct {
	Brokers []string `yaml:"brokers" help:"host:port of the brokers"`
}

type settings struct {
	shared   `yaml:",inline"`
	Path     string     `yaml:"path"`
	Rate     ratio      `yaml:"rate"`
	Count    int64      `yaml:"count"`
	Once     bool       `yaml:"once"`
	Buffer   Size       `yaml:"buffer"`
	Password SecretFile `yaml:"password_file"`
	Patterns []string   `yaml:"patterns" flag:"pattern"`
	Retry    retry      `yaml:"retry"`
	TLS      struct {
		CAFile string `yaml:"ca_file"`
	} `yaml:"tls"`
}

// ratio is a text type as the daemons have them.
type ratio float64

func (r *ratio) UnmarshalText(b []byte) error {
	var f float64
	if _, err := fmt.Sscanf(string(b), "%g", &f); err != nil || math.IsNaN(f) || f <= 0 {
		return fmt.Errorf("must be above 0, got %q", b)
	}
	*r = ratio(f)
	return nil
}

func (s *settings) Validate(r *Report) {
	if !filepath.IsAbs(s.Path) {
		r.Addf("path", "must be absolute, got %q", s.Path)
	}
	if len(s.Brokers) == 0 {
		r.Addf("brokers", "need at least one")
	}
	for i, b := range s.Brokers {
		if !strings.Contains(b, ":") {
			r.Addf(fmt.Sprintf("brokers[%d]", i), "want host:port, got %q", b)
		}
	}
}

func defaults() *settings {
	s := &settings{Path: "/var/log/x.log", Rate: 5, Buffer: 64 << 10}
	s.Brokers = []string{"localhost:9092"}
	s.Retry = retry{Initial: time.Second, Factor: 2}
	return s
}

func env(kv ...string) func(string) (string, bool) {
	m := make(map[string]string)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func load(t *testing.T, s *settings, file string, lookup func(string) (string, bool), args ...string) (*Set, error) {
	t.Helper()
	set := New("demo", s, Alias{Env: "OLD_BROKERS", Key: "brokers"})
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	set.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatalf("parse %v: %v", args, err)
	}
	err := set.Read(file, file != "", lookup, nil)
	return set, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "demo.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every file in testdata/bad is answered with exactly the lines of the file of
// the same name ending in .want.
func TestEachBadFileGetsAllItsProblemsAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, "yaml") + "want")
			if err != nil {
				t.Fatal(err)
			}
			_, err = load(t, defaults(), file, env())
			got := "no problem"
			if err != nil {
				got = strings.ReplaceAll(err.Error(), "testdata/bad/", "")
			}
			if got != strings.TrimSpace(string(want)) {
				t.Errorf("load %s:\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}

func TestProblemsExitWith78(t *testing.T) {
	_, err := load(t, defaults(), "", env("DEMO_COUNT", "many"))
	var p *Problems
	if !errors.As(err, &p) || p.ExitCode() != 78 {
		t.Fatalf("load: got %v, want *Problems with exit code 78", err)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := write(t, "path: /file\ncount: 1\nbuffer: 1MiB\nretry:\n  initial: 3s\n")
	s := defaults()
	set, err := load(t, s, file, env("DEMO_COUNT", "2", "DEMO_BUFFER", "2MiB", "OLD_BROKERS", "a:1, b:2"), "--buffer=3MiB", "--once")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Path, want.Count, want.Buffer, want.Once, want.Brokers = "/file", 2, 3<<20, true, []string{"a:1", "b:2"}
	want.Retry.Initial = 3 * time.Second
	if got, want := fmt.Sprint(*s), fmt.Sprint(*want); got != want {
		t.Errorf("settings: got %s, want %s", got, want)
	}
	for key, want := range map[string]string{
		"path": file + ":1", "count": "DEMO_COUNT", "buffer": "--buffer", "brokers": "OLD_BROKERS",
		"retry.initial": file + ":5", "rate": "default",
	} {
		if got := set.byKey[key].origin.String(); got != want {
			t.Errorf("origin of %s: got %s, want %s", key, got, want)
		}
	}
}

func TestOwnVariableBeatsTheOldName(t *testing.T) {
	s := defaults()
	if _, err := load(t, s, "", env("OLD_BROKERS", "old:1", "DEMO_BROKERS", "own:1")); err != nil {
		t.Fatal(err)
	}
	if s.Brokers[0] != "own:1" {
		t.Errorf("brokers: got %v, want own:1", s.Brokers)
	}
}

func TestEmptyVariableIsNotSet(t *testing.T) {
	s := defaults()
	if _, err := load(t, s, "", env("DEMO_COUNT", "", "DEMO_BROKERS", "")); err != nil {
		t.Errorf("load: got %v, want nil: an environment file may list variables without values", err)
	}
}

func TestRepeatedFlagMakesAList(t *testing.T) {
	s := defaults()
	if _, err := load(t, s, "", env(), "--pattern", "/a", "--pattern", "/b,/c"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Patterns, " "); got != "/a /b /c" {
		t.Errorf("patterns: got %q, want %q", got, "/a /b /c")
	}
}

func TestEmptyListByFlagIsEmpty(t *testing.T) {
	_, err := load(t, defaults(), "", env(), "--brokers", "")
	if err == nil || err.Error() != "--brokers: brokers: need at least one" {
		t.Errorf("load: got %v, want the problem with its flag", err)
	}
}

func TestBadValueIsNamedByItsSource(t *testing.T) {
	_, err := load(t, defaults(), "", env("DEMO_RATE", "NaN", "DEMO_BROKERS", "a:1,b"), "--count", "1e3", "--retry-initial", "5")
	want := `DEMO_BROKERS: brokers[1]: want host:port, got "b"`
	for _, line := range []string{
		`DEMO_RATE: rate: must be above 0, got "NaN"`,
		`--count: count: want a whole number, got "1e3"`,
		`--retry-initial: retry.initial: want a duration such as 10s, got "5"`,
		want,
	} {
		if err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("load: got\n%v\nwant the line %s", err, line)
		}
	}
}

func TestMissingFileIsAProblemOnlyWhereItWasAskedFor(t *testing.T) {
	set := New("demo", defaults())
	if err := set.Read("/nonexistent/demo.yaml", false, nil, nil); err != nil {
		t.Errorf("load default path: got %v, want nil", err)
	}
	err := New("demo", defaults()).Read("/nonexistent/demo.yaml", true, nil, nil)
	if err == nil || err.Error() != "/nonexistent/demo.yaml: no such file or directory" {
		t.Errorf("load named path: got %v", err)
	}
}

func TestMisspeltVariableIsWarnedOf(t *testing.T) {
	set := New("demo", defaults())
	if err := set.Read("", false, env(), []string{"DEMO_BROKER=x", "HOME=/root"}); err != nil {
		t.Fatal(err)
	}
	want := "environment variable DEMO_BROKER sets nothing; did you mean DEMO_BROKERS?"
	if got := set.Warnings(); len(got) != 1 || got[0] != want {
		t.Errorf("warnings: got %q, want %q", got, want)
	}
}

func TestPrintedSettingsLoadAgain(t *testing.T) {
	s := defaults()
	s.Path, s.Patterns, s.Brokers = "/with, comma", []string{"yes", "1", "# no"}, []string{"[::1]:9092"}
	s.TLS.CAFile = "/null"
	set, err := load(t, s, "", env(), "--count=7")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := set.Print(&out); err != nil {
		t.Fatal(err)
	}
	again := defaults()
	if _, err := load(t, again, write(t, out.String()), env()); err != nil {
		t.Fatalf("load the printed settings: %v\n%s", err, &out)
	}
	if got, want := fmt.Sprintf("%#v", *again), fmt.Sprintf("%#v", *s); got != want {
		t.Errorf("printed settings:\n%s\ngot  %s\nwant %s", &out, got, want)
	}
	if !strings.Contains(out.String(), "count: 7  # --count") {
		t.Errorf("print: no origin of count in\n%s", &out)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret("hunter2")
	var holder struct{ Password Secret }
	holder.Password = s
	text, _ := s.MarshalText()
	for _, got := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q %x", s, s, s, s, s), fmt.Sprintf("%+v %#v", holder, holder), string(text),
	} {
		if strings.Contains(got, "hunter2") || strings.Contains(got, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("printed: got %q, want stars", got)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Errorf("reveal: got %q", s.Reveal())
	}
}

func TestSecretIsReadFromFileOrCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("s3cret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	for _, name := range []string{"password", filepath.Join(dir, "password")} {
		if s, err := SecretFile(name).Read(); err != nil || s.Reveal() != "s3cret" {
			t.Errorf("read %q: got %q, %v", name, s.Reveal(), err)
		}
	}
	if _, err := SecretFile("empty").Read(); err == nil {
		t.Error("read an empty secret: got nil, want an error")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := SecretFile("password").Read(); err == nil || !strings.Contains(err.Error(), "LoadCredential=") {
		t.Errorf("read without the folder: got %v, want the hint", err)
	}
	if SecretFile("a/b").Problem() == "" {
		t.Error("relative path: got no problem")
	}
}

// judged is a section that knows what is wrong with itself.
type judged struct {
	Color string `yaml:"color"`
	Shape string `yaml:"shape"`
}

func (j judged) Problems() map[string]string {
	return map[string]string{"shape": "want round, got " + j.Shape, "color": "want red, got " + j.Color}
}

type withSection struct {
	Look judged `yaml:"look"`
}

func (*withSection) Validate(*Report) {}

func TestSectionIsAskedWhatIsWrongWithIt(t *testing.T) {
	s := &withSection{judged{"blue", "flat"}}
	err := New("demo", s).Read("", false, env("DEMO_LOOK_COLOR", "green"), nil)
	want := "DEMO_LOOK_COLOR: look.color: want red, got green\nlook.shape: want round, got flat"
	if err == nil || err.Error() != want {
		t.Errorf("read: got %v, want %s", err, want)
	}
}

type withInlined struct {
	Look judged `yaml:",inline"`
}

func (*withInlined) Validate(*Report) {}

// Its keys are those of the file itself.
func TestInlinedSectionIsAskedToo(t *testing.T) {
	s := &withInlined{judged{"blue", "flat"}}
	err := New("demo", s).Read("", false, env("DEMO_COLOR", "green"), nil)
	want := "DEMO_COLOR: color: want red, got green\nshape: want round, got flat"
	if err == nil || err.Error() != want {
		t.Errorf("read: got %v, want %s", err, want)
	}
}

func TestSizeReadsItsUnits(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1048576": 1 << 20, "64KiB": 64 << 10, "1 MB": 1e6, "3GiB": 3 << 30, "5B": 5} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: got %d, %v, want %d", text, s, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q printed as %q reads back as %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "1TB", "KiB", "99999999999GiB"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d, want an error", text, s)
		}
	}
}

func FuzzFile(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := defaults()
		set := New("demo", s)
		r := &Report{set: set}
		set.readYAML("f", data, r)
		for _, p := range r.problems {
			if !strings.HasPrefix(p, "f:") {
				t.Errorf("problem without a place: %q", p)
			}
		}
	})
}
