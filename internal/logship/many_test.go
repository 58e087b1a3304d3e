package logship

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"eventline/internal/checkpoint"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/tail"
)

// logs is a folder of logs beside the rig's state.
type logs struct {
	*rig
	dir  string
	said *said
}

// said is what the logger wrote.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

func newLogs(t *testing.T, broker string, patterns ...string) *logs {
	t.Helper()
	l := &logs{rig: newRig(t, broker), dir: t.TempDir(), said: new(said)}
	l.cfg.Paths = nil
	for _, p := range patterns {
		l.cfg.Paths = append(l.cfg.Paths, filepath.Join(l.dir, p))
	}
	l.out = zerolog.MultiLevelWriter(zerolog.NewTestWriter(t), l.said)
	return l
}

func (l *logs) path(name string) string { return filepath.Join(l.dir, name) }

// add appends lines from…to of the log called name; each says which log it is of.
func (l *logs) add(name string, from, to int) {
	l.t.Helper()
	if err := os.MkdirAll(filepath.Dir(l.path(name)), 0o700); err != nil {
		l.t.Fatal(err)
	}
	f, err := os.OpenFile(l.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(linesOf(name, from, to)); err != nil {
		l.t.Fatal(err)
	}
}

func linesOf(name string, from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%s|%06d\n", name, i)
	}
	return b.String()
}

// wants waits for exactly the lines 0…n of each log, in order within each.
func (l *logs) wants(k *kafkatest.Fake, want map[string]int) {
	l.t.Helper()
	total := 0
	for _, n := range want {
		total += n
	}
	got := make(map[string]*strings.Builder)
	for _, v := range values(l.t, k, total) {
		name, _, _ := strings.Cut(v, "|")
		if got[name] == nil {
			got[name] = new(strings.Builder)
		}
		got[name].WriteString(v + "\n")
	}
	for name, n := range want {
		have := ""
		if got[name] != nil {
			have = got[name].String()
		}
		if have != linesOf(name, 0, n) {
			l.t.Errorf("%s: got %d lines, want %d, each once and in order: %.300s", name, strings.Count(have, "\n"), n, have)
		}
		delete(got, name)
	}
	for name := range got {
		l.t.Errorf("lines of %q, which is no log", name)
	}
}

func (l *logs) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// hurry makes what waits for a person's pace wait less.
func hurry(t *testing.T) {
	gone, alone := goneFor, lonely
	goneFor, lonely = 50*time.Millisecond, 50*time.Millisecond
	t.Cleanup(func() { goneFor, lonely = gone, alone })
}

func TestTwoLogsIntoOneTopic(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "a.log", "b.log")
	l.add("a.log", 0, 3000)
	l.add("b.log", 0, 2000)
	l.start()
	l.wants(k, map[string]int{"a.log": 3000, "b.log": 2000})
	for i := range 20 {
		l.add("a.log", 3000+i*10, 3010+i*10)
		l.add("b.log", 2000+i*5, 2005+i*5)
	}
	l.wants(k, map[string]int{"a.log": 3200, "b.log": 2100})
}

func TestPatternsInFoldersAndNames(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*/log/[a-m]*.log", "single.log")
	for _, name := range []string{"x/log/a.log", "y/log/b1.log", "single.log"} {
		l.add(name, 0, 10)
	}
	l.add("y/log/z.log", 0, 10)
	l.add("y/other/a.log", 0, 10)
	l.start()
	want := map[string]int{"x/log/a.log": 10, "y/log/b1.log": 10, "single.log": 10}
	l.wants(k, want)
	l.add("new/log/c.log", 0, 10)
	want["new/log/c.log"] = 10
	l.wants(k, want)
}

func TestFilesAppearVanishAndComeBack(t *testing.T) {
	hurry(t)
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	l.add("a.log", 0, 10)
	l.start()
	want := map[string]int{"a.log": 10}
	l.wants(k, want)
	l.add("b.log", 0, 10)
	want["b.log"] = 10
	l.wants(k, want)
	// Gone, with its last lines written just before, and nothing of it is kept.
	l.add("b.log", 10, 20)
	l.must(os.Remove(l.path("b.log")))
	want["b.log"] = 20
	l.wants(k, want)
	kafkatest.WaitFor(t, "the source to end", func() bool { return l.said.count("log is gone and all of it is sent") == 1 })
	l.isDone("b.log")
	// Away with all its lines, and back: a mount, a backup.
	kafkatest.WaitFor(t, "the position to be stored", func() bool { g := l.stored("a.log"); return len(g) == 1 && g[0].Offset == 10*13 })
	l.must(os.Rename(l.path("a.log"), l.path("elsewhere")))
	kafkatest.WaitFor(t, "the source to end", func() bool { return l.said.count("log is gone and all of it is sent") == 2 })
	l.isDone("a.log")
	l.must(os.Rename(l.path("elsewhere"), l.path("a.log")))
	l.add("a.log", 10, 30)
	want["a.log"] = 30
	l.wants(k, want)
	// Another file under the old name.
	l.add("b.log", 20, 30)
	want["b.log"] = 30
	l.wants(k, want)
	if n := l.said.count(`"level":"error"`); n > 0 {
		t.Errorf("%d errors were logged, want none", n)
	}
}

// stored is what lies in the state directory of a log, the newest.
func (l *logs) stored(name string) []tail.GenerationState {
	l.t.Helper()
	p := positions{}
	dir, err := checkpoint.OpenDir(l.t.TempDir()) // the lock of the real one is taken
	l.must(err)
	defer dir.Close()
	rel, err := filepath.Rel(filepath.Dir(dir.Store("x").Dir()), l.state(l.path(name)))
	l.must(err)
	at, _, err := p.read(dir.Store(rel))
	if err != nil || at == nil {
		return nil
	}
	return at.state().Tail.Generations
}

// isDone fails unless all of a log was read to its end, going by its state: else
// its going would be taken for a loss.
func (l *logs) isDone(name string) {
	l.t.Helper()
	for _, g := range l.stored(name) {
		if !g.Done {
			l.t.Errorf("%s: generation %d is not done", name, g.Number)
		}
	}
}

func TestRotationOfOneWhileAnotherIsIdle(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*")
	l.add("busy.log", 0, 100)
	l.add("idle.log", 0, 5)
	l.start()
	l.wants(k, map[string]int{"busy.log": 100, "idle.log": 5})
	for i := 1; i <= 5; i++ {
		l.must(os.Rename(l.path("busy.log"), l.path(fmt.Sprintf("busy.log-%08d", 20261100+i))))
		l.add("busy.log", i*100, i*100+100)
	}
	l.must(os.WriteFile(l.path("busy.log.1.gz"), []byte("compressed\nlines\n"), 0o600))
	l.wants(k, map[string]int{"busy.log": 600, "idle.log": 5})
	l.add("idle.log", 5, 10)
	l.wants(k, map[string]int{"busy.log": 600, "idle.log": 10})
}

func TestRestartResumesEach(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	want := make(map[string]int)
	for i := range 4 {
		for j := range 6 {
			name := fmt.Sprintf("%d.log", j)
			l.add(name, i*10, i*10+10)
			want[name] = i*10 + 10
		}
		if i%2 == 0 {
			l.once()
		} else {
			stop := l.start()
			l.wants(k, want)
			stop()
		}
		if i == 1 {
			l.must(os.Rename(l.path("3.log"), l.path("3.log.1")))
		}
	}
	l.wants(k, want)
}

// What the version before stored for its one log is where this one goes on, also
// when it is started a second time.
func TestUpgradeSendsNothingTwice(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "a.log")
	l.add("a.log", 0, 10)
	l.once()
	for _, name := range []string{"position.0", "used"} {
		l.must(os.Rename(filepath.Join(l.state(l.path("a.log")), name), filepath.Join(l.cfg.StateDir, name)))
	}
	_ = os.Rename(filepath.Join(l.state(l.path("a.log")), "position.1"), filepath.Join(l.cfg.StateDir, "position.1"))
	l.must(os.RemoveAll(filepath.Join(l.cfg.StateDir, "sources")))
	l.cfg.Paths = append(l.cfg.Paths, l.path("b*.log"))
	for i := 1; i < 4; i++ {
		l.add("a.log", i*10, i*10+10)
		l.add("b1.log", i*10-10, i*10)
		l.once()
	}
	l.wants(k, map[string]int{"a.log": 40, "b1.log": 30})
	if left, _ := filepath.Glob(filepath.Join(l.cfg.StateDir, "position.*")); len(left) > 0 {
		t.Errorf("left at the old place: %q", left)
	}
}

func TestStateOfAnotherLogIsLeftAlone(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "a.log")
	l.add("a.log", 0, 10)
	l.once()
	l.cfg.Paths = []string{l.path("b.log")}
	l.add("b.log", 0, 10)
	l.once()
	l.cfg.Paths = []string{l.path("*.log")}
	l.add("a.log", 10, 20)
	l.once()
	l.wants(k, map[string]int{"a.log": 20, "b.log": 10})
}

// A log that is not there at the start may have rotated files with lines that were
// not sent; one of which nothing is left is missed.
func TestLogThatWentWhileNobodyLooked(t *testing.T) {
	hurry(t)
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	for _, name := range []string{"rotated.log", "removed.log", "here.log"} {
		l.add(name, 0, 10)
	}
	l.once()
	l.add("rotated.log", 10, 20)
	l.must(os.Rename(l.path("rotated.log"), l.path("rotated.log.1")))
	l.must(os.Remove(l.path("removed.log")))
	l.start()
	l.wants(k, map[string]int{"rotated.log": 20, "removed.log": 10, "here.log": 10})
	kafkatest.WaitFor(t, "the source to end", func() bool { return l.said.count("log is gone and all of it is sent") == 1 })
	l.add("rotated.log", 20, 30)
	l.wants(k, map[string]int{"rotated.log": 30, "removed.log": 10, "here.log": 10})
	if n := l.said.count("log is gone since the last run"); n != 1 {
		t.Errorf("said %d times that a log went, want once", n)
	}
}

func TestStateOfAnotherTopicIsRefused(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	l.add("a.log", 0, 10)
	l.once()
	l.cfg.Topic = "others"
	if _, err := New(l.cfg, l.process()); err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("new: got %v, want a refusal that names --state-dir", err)
	}
}

func TestPatternWithoutAMatchIsSaidOnceAndWaitedFor(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "later/*.log")
	status := make(chan string, 1000)
	l.notify = daemon.NewNotifier(func(s string) { status <- s })
	l.start()
	if first := <-status; !strings.Contains(first, "nothing matches "+l.path("later/*.log")) {
		t.Errorf("status: got %q, want what is waited for", first)
	}
	l.add("later/a.log", 0, 10)
	l.wants(k, map[string]int{"later/a.log": 10})
	if n := l.said.count("nothing matches the pattern"); n != 1 {
		t.Errorf("said %d times that nothing matches, want once", n)
	}
}

func TestWhatIsNoLogIsRefusedByNameAndTheRestGoesOn(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*")
	l.add("a.log", 0, 10)
	l.must(unix.Mkfifo(l.path("fifo"), 0o600))
	l.must(os.Mkdir(l.path("folder"), 0o700))
	l.must(os.Symlink("/dev/null", l.path("device")))
	l.must(os.Symlink(l.path("a.log"), l.path("A-current")))
	l.must(os.WriteFile(l.path("old.zst"), []byte("x\n"), 0o600))
	l.start()
	l.wants(k, map[string]int{"a.log": 10})
	for name, reason := range map[string]string{
		"fifo": "is a FIFO, not a log file", "folder": "is a directory", "device": "is a device, not a log file",
		"A-current": "is the same file as " + l.path("a.log"), "old.zst": "is compressed, not a log file",
	} {
		if n := l.said.count(fmt.Sprintf(`"path":%q,"reason":%q`, l.path(name), reason)); n != 1 {
			t.Errorf("%s: said %d times that it %s, want once", name, n, reason)
		}
	}
	// A log in the place of what was none.
	l.must(os.Remove(l.path("fifo")))
	l.add("fifo", 0, 10)
	l.wants(k, map[string]int{"a.log": 10, "fifo": 10})
}

// Between rename and creation only the rotated file is there. It must not become a
// log of its own: its lines would come twice.
func TestStartInTheMiddleOfARotation(t *testing.T) {
	hurry(t)
	lonely = time.Hour
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*")
	l.must(os.WriteFile(l.path("a.log.1"), []byte(linesOf("a.log", 0, 10)), 0o600))
	l.must(os.WriteFile(l.path("b"), []byte(linesOf("b", 0, 10)), 0o600))
	l.start()
	l.wants(k, map[string]int{"b": 10})
	l.add("a.log", 10, 20)
	l.wants(k, map[string]int{"b": 10, "a.log": 20})
}

func TestFileThatLooksRotatedAndStandsAloneIsALog(t *testing.T) {
	hurry(t)
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*")
	l.add("job.20261122", 0, 10)
	l.start()
	l.wants(k, map[string]int{"job.20261122": 10})
}

// With from: end only what is there at the very first start is passed over.
func TestFromEndIsOnlyForWhatIsThereAtTheFirstStart(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	l.cfg.From = "end"
	l.must(os.WriteFile(l.path("a.log"), []byte("old\n"), 0o600))
	stop := l.start()
	kafkatest.WaitFor(t, "the beginning to be stored", func() bool {
		_, err := os.Stat(filepath.Join(l.state(l.path("a.log")), "position.0"))
		return err == nil
	})
	l.add("b.log", 0, 10)
	l.add("a.log", 0, 10)
	l.wants(k, map[string]int{"a.log": 10, "b.log": 10})
	stop()
	l.add("c.log", 0, 10)
	l.once()
	l.wants(k, map[string]int{"a.log": 10, "b.log": 10, "c.log": 10})
}

// One position after the other is given up, a week after its log went.
func TestPositionOfAGoneLogIsKeptForAWeek(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	for _, name := range []string{"gone.log", "here.log", "rotated.log"} {
		l.add(name, 0, 10)
	}
	l.once()
	l.must(os.Remove(l.path("gone.log")))
	l.must(os.Rename(l.path("rotated.log"), l.path("rotated.log.1")))
	app, err := New(l.cfg, l.process())
	l.must(err)
	defer func() { _, _ = app.client.Close(), app.dir.Close() }()
	p, now := app.positions, time.Now()
	none := func(string) bool { return false }
	p.sweep(now, none)
	p.sweep(now.Add(keepState-time.Hour), none)
	if !p.known(l.path("gone.log")) {
		t.Error("gave up the position before its time")
	}
	p.sweep(now.Add(keepState+time.Hour), none)
	for name, want := range map[string]bool{"gone.log": false, "here.log": true, "rotated.log": true} {
		_, err := os.Stat(l.state(l.path(name)))
		if got := err == nil; got != want || p.known(l.path(name)) != want {
			t.Errorf("%s: position kept is %v, want %v", name, got, want)
		}
	}
}

// One log that can't be read is told, and does not make the whole not ready.
func TestStatusSumsUp(t *testing.T) {
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "a.log", "b*.log", "folder", "none*")
	l.must(os.Mkdir(l.path("folder"), 0o700))
	l.add("a.log", 0, 10)
	l.add("b1.log", 0, 10)
	status := make(chan string, 1000)
	l.notify = daemon.NewNotifier(func(s string) { status <- s })
	app, err := New(l.cfg, l.process())
	l.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	want := fmt.Sprintf("STATUS=shipping 3 logs to topic events: 0.0 lines/s, 0 B unread; 1 can't be read: open %s: is a directory", l.path("folder"))
	for got := ""; got != want; {
		select {
		case got = <-status:
		case <-time.After(patience):
			t.Fatalf("status: last was %q, never %q", got, want)
		}
	}
	if err := app.ready(); err != nil {
		t.Errorf("ready: got %v, want ready: two logs are read", err)
	}
	l.must(os.Remove(l.path("folder")))
	l.add("folder", 0, 10)
	l.wants(k, map[string]int{"a.log": 10, "b1.log": 10, "folder": 10})
	for want := "; nothing matches " + l.path("none*"); ; {
		if strings.HasSuffix(<-status, want) {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
