package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReadsWhatIsThereAndWhatComes(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	for i := 100; i < 200; i += 10 {
		f.write(numbered(i, i+10))
		r.wants(numbered(0, i+10))
	}
}

// The kernel's word alone has to do: a rescan within the test would hide that it
// does not come.
func TestNewLineIsReadWithoutWaitingForARescan(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1))
	cfg := config(t, f.path)
	cfg.rescan = time.Hour
	r := start(t, cfg)
	r.wants(numbered(0, 1))
	f.write(numbered(1, 2))
	r.wants(numbered(0, 2))
	f.rotate(".1")
	f.write(numbered(2, 3))
	r.wants(numbered(0, 3))
}

func TestUnfinishedLineWaitsForItsNewline(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	f.write("one\ntw")
	r.wants("one\n")
	f.write("o")
	f.write("\n")
	r.wants("one\ntwo\n")
}

func TestBytesStayAsTheyAre(t *testing.T) {
	f := newFolder(t)
	text := "a\x00b\n\xff\xfe\ncr\r\n\n" + strings.Repeat("m", 1<<20) + "\nend\n"
	f.write(text)
	start(t, config(t, f.path)).wants(text)
}

func TestLongLines(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.MaxLine = 4096, 100_000
	fits, tooLong := strings.Repeat("f", 100_000), strings.Repeat("t", 100_001)
	r := start(t, cfg)
	// In pieces, as it grows.
	for i := 0; i < len(fits); i += 7000 {
		f.write(fits[i:min(i+7000, len(fits))])
	}
	f.write("\nshort\n" + tooLong)
	r.wants(fits + "\nshort\n")
	f.write("\nlast\n")
	r.wants(fits + "\nshort\ntoo long: 100001 of \"ttt\"\nlast\n")
}

func TestTooLongLineAtTheBeginning(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.MaxLine = 4096, 4096
	f.write(strings.Repeat("t", 50_000) + "\n" + strings.Repeat("u", 50_000) + "\nlast\n")
	start(t, cfg).wants("too long: 50000 of \"ttt\"\ntoo long: 50000 of \"uuu\"\nlast\n")
}

func TestTooLongLineAtTheEndOfARotatedFile(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.MaxLine = 4096, 4096
	f.write("one\n" + strings.Repeat("t", 50_000))
	f.rotate(".1")
	f.write("two\n")
	start(t, cfg).wants("one\ntoo long: 50000 of \"ttt\"\ntwo\n")
}

func TestNothingIsReadFurtherAheadThanTheBudget(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.Budget = 4096, 10*(4096+frontierSize)
	text := numbered(0, 10_000)
	f.write(text)
	r := start(t, cfg)
	r.mu.Lock()
	r.hold = true
	r.mu.Unlock()
	eventually(t, "the budget is used up", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.held) == 10
	})
	r.mu.Lock()
	if used := r.tail.pool.memory.InUse(); used > cfg.Budget {
		t.Errorf("memory in use: %d, want at most the budget %d", used, cfg.Budget)
	}
	for _, b := range r.held {
		b.Release()
	}
	r.held, r.hold = nil, false
	r.mu.Unlock()
	r.wants(text)
}

func TestLineLargerThanTheBudgetIsReadAlone(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.Budget, cfg.MaxLine = 4096, 10_000, 50_000
	text := numbered(0, 1000) + strings.Repeat("x", 50_000) + "\n" + numbered(1000, 2000)
	f.write(text)
	start(t, cfg).wants(text)
}

func TestOnceEndsAtTheEnd(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	f.rotate(".1")
	f.write(numbered(100, 200) + "unfinished")
	cfg := config(t, f.path)
	cfg.Once = true
	r := start(t, cfg)
	<-r.gone
	same(t, r.got(), split(numbered(0, 200)))
}

func TestOnceWithoutALogIsAnError(t *testing.T) {
	for name, path := range map[string]string{
		"no such file":   filepath.Join(t.TempDir(), "events.log"),
		"no such folder": filepath.Join(t.TempDir(), "no", "events.log"),
		"a directory":    t.TempDir(),
	} {
		tail, err := New(Config{Path: path, Once: true})
		must(t, err)
		if err := tail.Run(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Dir(path)) {
			t.Errorf("%s: Run() = %v, want an error that names it", name, err)
		}
	}
}

func TestRelativePathIsRefused(t *testing.T) {
	if _, err := New(Config{Path: "events.log"}); err == nil {
		t.Error("New: got nil")
	}
}

func TestFirstStartAtTheEnd(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	f.rotate(".1")
	f.write(numbered(50, 100) + "unfin")
	cfg := config(t, f.path)
	cfg.From = End
	r := start(t, cfg)
	eventually(t, "the decision", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.decisions) == 1 && r.decisions[0].Kind == Skipped
	})
	// A crash after the decision: what came since must not be left out.
	r.stop()
	state := r.stateAt(0)
	f.write("ished\n" + numbered(100, 110))
	f.rename(".1", ".2")
	f.rotate(".1")
	f.write(numbered(110, 120))
	cfg.State = state
	start(t, cfg).wants("unfinished\n" + numbered(100, 120))
}

func TestFirstStartAtTheEndOfNothing(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.From = End
	r := start(t, cfg)
	eventually(t, "the decision", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.decisions) == 1 && r.decisions[0].Kind == Skipped
	})
	r.stop()
	cfg.State = r.stateAt(0)
	f.write(numbered(0, 10))
	start(t, cfg).wants(numbered(0, 10))
}

func TestFirstStartReadsRotatedFilesOldestFirst(t *testing.T) {
	f := newFolder(t)
	for i := range 12 {
		f.write(numbered(i*10, i*10+10))
		f.rotate(fmt.Sprintf(".%d", 100-i))
	}
	f.write(numbered(120, 130))
	must(t, os.WriteFile(f.path+".90.gz", []byte("not\nread\n"), 0o600))
	must(t, os.WriteFile(f.path+".err", []byte("not\nread\n"), 0o600))
	start(t, config(t, f.path)).wants(numbered(0, 130))
}

func TestFirstStartAtTheEndLeavesOutWhatCannotBeOpened(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	f.rotate(".1")
	must(t, os.Chmod(f.path+".1", 0))
	f.write(numbered(50, 60))
	running := handReader(t, f)
	running.cfg.From = End
	unprivileged(t, running.read)
	must(t, os.Chmod(f.path+".1", 0o600))
	f.write(numbered(60, 70))
	running.read()
	same(t, split(running.text), split(numbered(60, 70)))
}
