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

func TestOnlyOnePathWithoutPatternsWorksNow(t *testing.T) {
	for text, want := range map[string]string{
		"paths: []":                        "need one",
		"paths: [/a/events.log, /b/x]":     "only one log is supported yet, got 2",
		"paths: ['/var/log/*/event?.log']": "patterns are not supported yet",
	} {
		file := filepath.Join(t.TempDir(), "logship.yaml")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Default()
		if err := config.New("logship", &cfg).Read(file, true, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
