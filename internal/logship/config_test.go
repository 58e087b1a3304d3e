package logship

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventline/internal/config"
)

func TestBadSettingsAreAllSaidAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logship.yaml")
	text := `paths:
  - events.log
brokers: []
topic: ""
state_dir: var
from: middle
compression: rar
memory: 1KiB
max_line: 1KiB
reader: fast
admin:
  listen: nowhere
log:
  level: loud
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	err := config.New("logship", &cfg).Read(file, true, nil, nil)
	if err == nil {
		t.Fatal("read: got nil")
	}
	for _, want := range []string{
		`:2: paths[0]: must be absolute, got "events.log"`,
		":3: brokers: need at least one",
		":4: topic: must not be empty",
		`:5: state_dir: must be absolute, got "var"`,
		`:6: from: want beginning or end, got "middle"`,
		`:7: compression: must be none, lz4, zstd, snappy or gzip, got "rar"`,
		":8: memory: must be at least 2MiB, got 1KiB",
		":9: max_line: must be at least 1MiB",
		`:10: reader: want auto or block, got "fast"`,
		":12: admin.listen: ",
		":14: log.level: ",
	} {
		if !strings.Contains(err.Error(), file+want) {
			t.Errorf("problems lack %q:\n%v", want, err)
		}
	}
}

// Every file in testdata/bad is answered with exactly the lines of the file of the
// same name ending in .want.
func TestEachBadListOfPathsGetsAllItsProblemsAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".want")
		if err != nil {
			t.Fatal(err)
		}
		cfg := Default()
		got := "nothing"
		if err := config.New("logship", &cfg).Read(file, true, nil, nil); err != nil {
			got = strings.ReplaceAll(err.Error(), "testdata/bad/", "")
		}
		if got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
	}
}

func TestSeveralPathsAndPatternsAreGood(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logship.yaml")
	if err := os.WriteFile(file, []byte("paths: [/a/b.log, /a/*.log, '/srv/*/log/[a-z]?.log']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	if err := config.New("logship", &cfg).Read(file, true, nil, nil); err != nil {
		t.Error(err)
	}
}
