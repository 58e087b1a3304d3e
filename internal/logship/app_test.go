package logship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nxwatch "github.com/nxadm/tail/watch"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		limitDescriptors()
		beLogship(args)
	}
	// nxadm/tail has two goroutines that live as long as the process. They are
	// started here, and these two alone are none of a leak.
	_ = nxwatch.Cleanup("")
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// patience bounds every wait for something that must come.
const patience = time.Minute

// rig is a logship in the test's process, with its log and state in a folder.
type rig struct {
	t      *testing.T
	cfg    Config
	notify *daemon.Notifier
	out    io.Writer // of the logger
}

func newRig(t *testing.T, broker string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, cfg: Default(), out: zerolog.NewTestWriter(t)}
	r.cfg.Paths = []string{filepath.Join(dir, "events.log")}
	r.cfg.StateDir = filepath.Join(dir, "state")
	r.cfg.Brokers = []string{broker}
	r.cfg.Admin.Listen = admin.Off
	r.cfg.Retry.Initial, r.cfg.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	return r
}

func (r *rig) log() string { return r.cfg.Paths[0] }

// state is where the position of a log lies, quarantine where its lines do that no
// broker takes.
func (r *rig) state(path string) string { return filepath.Join(r.cfg.StateDir, folderOf(path)) }

func (r *rig) quarantine(path string) string {
	return filepath.Join(r.cfg.StateDir, "quarantine", filepath.Base(folderOf(path)))
}

// write appends text to the log.
func (r *rig) write(text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	if err := os.Rename(from, to); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) process() daemon.Process {
	return daemon.Process{Name: "logship", Log: zerolog.New(r.out), Notify: r.notify}
}

// start runs a logship until the returned function is called.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	app, err := New(r.cfg, r.process())
	if err != nil {
		r.t.Fatalf("new: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("run: %v", err)
		}
	}
	r.t.Cleanup(stop)
	return stop
}

// once ships what is there.
func (r *rig) once() {
	r.t.Helper()
	cfg := r.cfg
	cfg.Once = true
	app, err := New(cfg, r.process())
	if err != nil {
		r.t.Fatalf("new: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := app.Run(ctx); err != nil || ctx.Err() != nil {
		r.t.Fatalf("run --once: %v, %v", err, ctx.Err())
	}
}

// numbered are lines from…to of a numbered log.
func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %06d\n", i)
	}
	return b.String()
}

// values waits for n records and returns them in order.
func values(t *testing.T, k *kafkatest.Fake, n int) []string {
	t.Helper()
	var all []string
	kafkatest.WaitFor(t, fmt.Sprintf("%d records", n), func() bool {
		all = kafkatest.Values(t, k.Addr, "events", 0)
		return len(all) >= n
	})
	return all
}

// wantLines compares records with a text of lines.
func wantLines(t *testing.T, got []string, text string) {
	t.Helper()
	want := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("topic: got %d records, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("record %d: got %.60q, want %.60q", i, got[i], want[i])
		}
	}
}

func fakeBroker(t *testing.T) *kafkatest.Fake {
	t.Helper()
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", 1)
	return k
}

func TestLinesArriveByteForByte(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	text := "first\n\nwith\x00NUL\nbad \xff\xfe utf-8\nwith CR\r\n" + strings.Repeat("x", 900<<10) + "\nlast\n"
	r.write(text)
	r.once()
	// An empty line is no record: it says nothing, and readers of JSON fail on it.
	wantLines(t, values(t, k, 6), strings.Replace(text, "\n\n", "\n", 1))
}

func TestOnceSendsNothingTwice(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	for i := range 5 {
		r.write(numbered(i*100, i*100+100))
		r.once()
	}
	wantLines(t, values(t, k, 500), numbered(0, 500))
}

func TestUnfinishedLineWaitsForItsEnd(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write("one\ntw")
	r.once()
	r.write("o\nthree\n")
	r.once()
	wantLines(t, values(t, k, 3), "one\ntwo\nthree\n")
}

func TestRotationIsFollowedWhileItRuns(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 100))
	r.start()
	values(t, k, 100)
	r.rename(r.log(), r.log()+".1")
	r.write(numbered(100, 200))
	values(t, k, 200)
	r.rename(r.log()+".1", r.log()+".2")
	r.rename(r.log(), r.log()+".1")
	r.write(numbered(200, 300))
	wantLines(t, values(t, k, 300), numbered(0, 300))
}

func TestRotationIsFollowedWhileItIsDown(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 100))
	r.once()
	r.write(numbered(100, 150))
	r.rename(r.log(), r.log()+".1")
	r.write(numbered(150, 200))
	r.rename(r.log()+".1", r.log()+".2")
	r.rename(r.log(), r.log()+".1")
	r.write(numbered(200, 250))
	r.once()
	wantLines(t, values(t, k, 250), numbered(0, 250))
}

func TestRotatedLogThatIsStillWrittenIsReadToItsEnd(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 10))
	old, err := os.OpenFile(r.log(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	values(t, k, 10)
	r.rename(r.log(), r.log()+".1")
	r.write(numbered(20, 30))
	if _, err := old.WriteString(numbered(10, 20)); err != nil {
		t.Fatal(err)
	}
	old.Close()
	wantLines(t, values(t, k, 30), numbered(0, 30))
}

func TestLogBeforeTheFirstStartCanBeLeftOut(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.cfg.From = "end"
	r.write(numbered(0, 100) + "line 00")
	r.once()
	r.write("0100\n" + numbered(101, 103))
	r.once()
	wantLines(t, values(t, k, 3), numbered(100, 103))
}

func TestMissingFileFolderAndTopicAreWaitedFor(t *testing.T) {
	k := kafkatest.Start(t)
	r := newRig(t, k.Addr)
	r.cfg.Paths = []string{filepath.Join(t.TempDir(), "later", "events.log")}
	r.start()
	if err := os.Mkdir(filepath.Dir(r.log()), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write(numbered(0, 10))
	kafkatest.CreateTopic(t, k.Addr, "events", 1)
	wantLines(t, values(t, k, 10), numbered(0, 10))
}

func TestDirectoryInPlaceOfTheLogIsSaidAndHeals(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	seen := make(chan string, 1000)
	r.notify = daemon.NewNotifier(func(s string) { seen <- s })
	if err := os.Mkdir(r.log(), 0o700); err != nil {
		t.Fatal(err)
	}
	r.start()
	deadline := time.After(patience)
	for said := false; !said; {
		select {
		case s := <-seen:
			said = strings.Contains(s, "is a directory")
		case <-deadline:
			t.Fatal("STATUS never said that the path is a directory")
		}
	}
	if err := os.Remove(r.log()); err != nil {
		t.Fatal(err)
	}
	r.write(numbered(0, 10))
	wantLines(t, values(t, k, 10), numbered(0, 10))
}

func TestBrokerThatDiesLosesNothing(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.start()
	for i := range 5 {
		r.write(numbered(i*1000, i*1000+500))
		k.Stop()
		r.write(numbered(i*1000+500, i*1000+1000))
		k.Start()
	}
	wantLines(t, values(t, k, 5000), numbered(0, 5000))
}

func TestSeveralPartitionsGetEveryLineOnce(t *testing.T) {
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", 3)
	r := newRig(t, k.Addr)
	text := numbered(0, 50_000)
	r.write(text)
	r.once()
	times := make(map[string]int)
	used := make(map[int32]bool)
	for partition, recs := range kafkatest.Records(t, k.Addr, "events") {
		for _, rec := range recs {
			times[string(rec.Value)]++
			used[partition] = true
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if times[line] != 1 {
			t.Fatalf("%q: got %d times, want once", line, times[line])
		}
	}
	if len(used) != 3 {
		t.Errorf("partitions used: got %v, want all 3", used)
	}
}

func TestLineTheTopicDoesNotTakeGoesToQuarantine(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	big, huge := bytes.Repeat([]byte("b"), 2<<20), bytes.Repeat([]byte("h"), 9<<20)
	r.write("one\n" + string(big) + "\ntwo\n" + string(huge) + "\nthree\n")
	r.once()
	wantLines(t, values(t, k, 3), "one\ntwo\nthree\n")
	for name, want := range map[string][]byte{"0-4": big, fmt.Sprintf("0-%d", 4+len(big)+1+4): huge} {
		got, err := os.ReadFile(filepath.Join(r.quarantine(r.log()), name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("quarantine %s: got %d bytes, %v, want %d", name, len(got), err, len(want))
		}
	}
}

func TestLogThatBeginsWithALineTooLongToHold(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	huge := strings.Repeat("h", 9<<20)
	r.write(huge + "\n" + huge + "\nlast\n")
	r.once()
	wantLines(t, values(t, k, 1), "last\n")
	kept, err := filepath.Glob(filepath.Join(r.quarantine(r.log()), "*"))
	if err != nil || len(kept) != 2 {
		t.Errorf("quarantine: got %q, %v, want both lines", kept, err)
	}
}

func TestSecondLogshipOnOneStateIsRefused(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.start()
	_, err := New(r.cfg, r.process())
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != 78 || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second: got %v, want exit 78 and pid %d", err, os.Getpid())
	}
}

func TestStateThatCannotBeTrustedIsRefused(t *testing.T) {
	k := fakeBroker(t)
	for name, damage := range map[string]func(path string) error{
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"truncated": func(p string) error { return os.Truncate(p, 20) },
		"garbage":   func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("garbage "), 20), 0o600) },
		"gone":      os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, k.Addr)
			r.write(numbered(0, 10))
			r.once()
			slots, err := filepath.Glob(filepath.Join(r.state(r.log()), "position.*"))
			if err != nil || len(slots) == 0 {
				t.Fatalf("slots: %v, %v", slots, err)
			}
			for _, slot := range slots {
				if err := damage(slot); err != nil {
					t.Fatal(err)
				}
			}
			_, err = New(r.cfg, r.process())
			var coded interface{ ExitCode() int }
			if !errors.As(err, &coded) || coded.ExitCode() != 78 {
				t.Errorf("new: got %v, want exit 78", err)
			}
		})
	}
}

func TestDamagedSlotIsPassedOverAndNothingIsSentAgain(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	for i := range 4 {
		r.write(numbered(i*10, i*10+10))
		r.once()
	}
	slots, err := filepath.Glob(filepath.Join(r.state(r.log()), "position.?"))
	if err != nil || len(slots) != 2 {
		t.Fatalf("slots: %v, %v", slots, err)
	}
	newest := slots[0]
	if a, b := stat(t, slots[0]), stat(t, slots[1]); b.ModTime().After(a.ModTime()) {
		newest = slots[1]
	}
	if err := os.Truncate(newest, 0); err != nil {
		t.Fatal(err)
	}
	r.write(numbered(40, 50))
	r.once()
	// The slot before is one save older: the leader knows that it has those lines.
	wantLines(t, values(t, k, 50), numbered(0, 50))
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// With Once what can be read is sent, and what can't be is an error.
func TestOnceSendsWhatItReadBeforeItFails(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 10_000))
	r.rename(r.log(), r.log()+".1")
	if err := os.Mkdir(r.log(), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := r.cfg
	cfg.Once = true
	app, err := New(cfg, r.process())
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("run --once: got %v, want that the log is a directory", err)
	}
	wantLines(t, values(t, k, 10_000), numbered(0, 10_000))
}

// The log's files are known from the first start on, also while there is no
// broker: one that is gone by the next start is missed, not passed over.
func TestLogThatIsGoneBeforeTheFirstAckIsMissed(t *testing.T) {
	r := newRig(t, "127.0.0.1:1")
	r.write(numbered(0, 100))
	stop := r.start()
	kafkatest.WaitFor(t, "the state to be stored", func() bool {
		_, err := os.Stat(filepath.Join(r.state(r.log()), "position.0"))
		return err == nil
	})
	stop()
	if err := os.Remove(r.log()); err != nil {
		t.Fatal(err)
	}
	r.write(numbered(100, 200))
	var said bytes.Buffer
	k := fakeBroker(t)
	r.cfg.Brokers, r.cfg.Once = []string{k.Addr}, true
	app, err := New(r.cfg, daemon.Process{Name: "logship", Log: zerolog.New(zerolog.SyncWriter(&said))})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantLines(t, values(t, k, 100), numbered(100, 200))
	if !strings.Contains(said.String(), `"level":"error"`) {
		t.Errorf("a log that is gone was not missed: %s", &said)
	}
}
