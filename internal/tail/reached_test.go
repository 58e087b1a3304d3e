package tail

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// taker runs a Tail whose blocks the test takes one by one.
type taker struct {
	t    *testing.T
	tail *Tail
	text string
}

func takerOf(t *testing.T, cfg Config) *taker {
	t.Helper()
	tail, err := New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tail.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for b := range tail.Blocks() {
			b.Release()
		}
		must(t, <-ended)
	})
	return &taker{t: t, tail: tail}
}

// take takes a block, which must come.
func (k *taker) take() *Block {
	k.t.Helper()
	select {
	case b := <-k.tail.Blocks():
		k.text += string(b.Data)
		b.Release()
		return b
	case <-time.After(patience):
		k.t.Fatalf("no block within %s, after %d bytes", patience, len(k.text))
		return nil
	}
}

// until takes blocks up to text, before which the goal must not be reached, and
// after which it must.
func (k *taker) until(text string) {
	k.t.Helper()
	for len(k.text) < len(text) {
		if k.tail.Reached() {
			k.t.Fatalf("reached after %d of %d bytes", len(k.text), len(text))
		}
		k.take()
	}
	if k.text != text {
		k.t.Fatalf("got %.80q…, want %.80q…", k.text, text)
	}
	k.reached()
}

func (k *taker) reached() {
	k.t.Helper()
	eventually(k.t, "the goal to be reached", k.tail.Reached)
}

// small is a configuration with which a few lines are many blocks.
func small(t *testing.T, f *folder) Config {
	cfg := config(t, f.path)
	cfg.buffer = 4096
	return cfg
}

func TestReachedOnceAllThatWasThereWasReceived(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	f.rotate(".2")
	f.write(numbered(1000, 1500) + "cut")
	f.rotate(".1")
	f.write(numbered(1500, 3000) + "unfinished")
	text := numbered(0, 1500) + "cut" + numbered(1500, 3000)
	takerOf(t, small(t, f)).until(text)
}

// The blocks that wait in the channel were read, and not received.
func TestWhatWaitsToBeReceivedIsNotReached(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	k := takerOf(t, config(t, f.path))
	eventually(t, "all to be read", func() bool { return len(k.tail.blocks) == 2 && k.tail.goal.through.Load() == 2 })
	for range 2 { // the decision, and the lines
		if k.tail.Reached() {
			t.Errorf("reached with %q received", k.text)
		}
		k.take()
	}
	if !k.tail.Reached() {
		t.Error("not reached with all received")
	}
}

func TestReachedWithAWriterThatNeverPauses(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 2000))
	w := f.writer(f.path)
	defer w.Close()
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 2000; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = w.WriteString(numbered(i, i+1))
			}
		}
	})
	defer writer.Wait()
	defer close(stop)
	k := takerOf(t, small(t, f))
	for deadline := time.Now().Add(patience); !k.tail.Reached(); k.take() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached after %d bytes", len(k.text))
		}
	}
	if !strings.HasPrefix(k.text, numbered(0, 2000)) {
		t.Errorf("reached with %d bytes, before what was there at the start", len(k.text))
	}
}

func TestReachedAtOnceWithNothingToRead(t *testing.T) {
	for name, prepare := range map[string]func(*folder){
		"no file":                    func(*folder) {},
		"an empty file":              func(f *folder) { f.write("") },
		"an unfinished line":         func(f *folder) { f.write("unfinished") },
		"a long unfinished line":     func(f *folder) { f.write(strings.Repeat("x", 50_000)) },
		"an empty rotated file":      func(f *folder) { f.append(f.path+".1", "") },
		"a folder of such a name":    func(f *folder) { must(f.t, os.Mkdir(f.path+".1", 0o700)) },
		"the end as the beginning":   func(f *folder) { f.write(numbered(0, 100) + "unfinished") },
		"a compressed file of old":   func(f *folder) { f.write("old\n"); f.rotate(".1"); f.pack(".1", ".gz") },
		"the log of somebody else":   func(f *folder) { f.append(f.path+".err", "text\n") },
		"a FIFO of a rotated's name": func(f *folder) { must(f.t, unix.Mkfifo(f.path+".2", 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			prepare(f)
			cfg := small(t, f)
			if strings.HasPrefix(name, "the end") {
				cfg.From = End
			}
			k := takerOf(t, cfg)
			if cfg.From == End {
				k.take() // where it begins
			}
			k.reached()
		})
	}
}

func TestNotReachedWhileTheFolderIsNotThere(t *testing.T) {
	f := newFolder(t)
	dir := filepath.Join(f.dir, "later")
	cfg := small(t, f)
	cfg.Path = filepath.Join(dir, "events.log")
	var said sync.Once
	missing := make(chan struct{})
	cfg.Changed = func(error) { said.Do(func() { close(missing) }) }
	k := takerOf(t, cfg)
	<-missing
	if k.tail.Reached() {
		t.Error("reached without having seen the folder")
	}
	must(t, os.Mkdir(dir+".tmp", 0o700))
	f.append(filepath.Join(dir+".tmp", "events.log"), numbered(0, 1000))
	must(t, os.Rename(dir+".tmp", dir))
	k.until(numbered(0, 1000))
}

func TestNotReachedWhileARotatedFileCannotBeOpened(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	f.rotate(".1")
	f.write(numbered(10, 20))
	must(t, os.Chmod(f.path+".1", 0))
	tail := looked(t, f, config(t, f.path))
	now := time.Now()
	unprivileged(t, func() {
		tail.look(now, false)
		if got := text(tail, now); got != numbered(10, 20) || tail.Reached() {
			t.Errorf("read %q, reached %v; want the live file and false", got, tail.Reached())
		}
		must(t, os.Chmod(f.path+".1", 0o600))
		tail.look(now, false)
		if got := text(tail, now); got != numbered(0, 10) || !tail.Reached() {
			t.Errorf("read %q, reached %v; want the rotated file and true", got, tail.Reached())
		}
	})
}

func TestNotReachedWhileACompressedFileIsNotLookedInto(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	f.rotate(".2")
	f.write(numbered(10, 20))
	f.rotate(".1")
	f.write(numbered(20, 30))
	f.pack(".1", ".gz")
	cfg := config(t, f.path)
	cfg.State = s
	takerOf(t, cfg).until(numbered(10, 30))
}

// What the position was in may turn up with lines that were there. It is given up
// when something else is decided to come next.
func TestNotReachedWhileTheFileOfThePositionIsNotFound(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	f.write(numbered(10, 20))
	must(t, os.Remove(f.path))
	cfg := config(t, f.path)
	cfg.State = s
	k := takerOf(t, cfg)
	eventually(t, "the look", func() bool {
		k.tail.mu.Lock()
		defer k.tail.mu.Unlock()
		return len(k.tail.gens) > 0
	})
	f.write("")
	eventually(t, "the new file", func() bool { return k.tail.Generations() == 1 })
	if k.tail.Reached() {
		t.Error("reached with the file of the position not found and nothing decided")
	}
	f.write(numbered(20, 30))
	if b := k.take(); b.Decision == nil || b.Decision.Kind != Begun {
		t.Errorf("first block: got %+v, want the decision that another file is next", b)
	}
	k.reached()
}

// One decision serves all files of a backlog, so it is also the one that comes after a
// loss in the middle of them.
func TestLossInTheMiddleOfABacklogIsGivenUpWithItsDecision(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	first := looked(t, f, small(t, f))
	now := time.Now()
	first.look(now, false)
	var at Mark
	for range 2 { // the decision, and some lines
		first.step(now)
		b := first.pending
		at = b.Mark(b.End.Offset, at.Before)
		b.Release()
		first.handedOver()
	}
	for i, name := range []string{".4", ".3", ".2", ".1"} {
		f.rotate(name)
		f.write(numbered(1000+10*i, 1010+10*i))
	}
	must(t, os.Truncate(f.path, 0))
	first.look(now, false)
	cfg := small(t, f)
	s := first.State(at)
	cfg.State = &s
	must(t, os.Remove(f.path+".2"))
	takerOf(t, cfg).until(numbered(0, 1000)[at.Offset:] + numbered(1000, 1010) + numbered(1020, 1030))
}

func TestDecidedLastLineBelongsToTheGoal(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10) + "unfinished")
	f.rotate(".1")
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 10) + "unfinished\n")
	s := r.state()
	for i := range r.settled {
		if s = r.stateAt(i); s.Generations[0].End > 0 {
			break // decided, and no line received
		}
	}
	cfg := small(t, f)
	cfg.State = s
	takerOf(t, cfg).until(numbered(0, 10) + "unfinished")
}

// A live file whose reading is interrupted for one that was found late goes on as
// another generation.
func TestGoalIsKeptWhenAnOlderFileIsFoundLate(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	tail := looked(t, f, small(t, f))
	now := time.Now()
	tail.look(now, false)
	got := ""
	for len(got) == 0 && tail.step(now) {
		if b := tail.pending; b != nil {
			got += string(b.Data)
			b.Release()
			tail.handedOver()
			tail.near()
		}
	}
	f.append(f.path+".1", "late\n")
	tail.look(now, false)
	for more := true; more && !tail.Reached(); {
		more = tail.step(now)
		if b := tail.pending; b != nil {
			got += string(b.Data)
			b.Release()
			tail.handedOver()
		}
		tail.near()
	}
	if !tail.Reached() || !strings.HasPrefix(strings.Replace(got, "late\n", "", 1), numbered(0, 1000)) {
		t.Errorf("reached %v with %d bytes, want all %d", tail.Reached(), len(got), len(numbered(0, 1000)))
	}
}

// Without a copy nobody will ever hand over what the truncation took.
func TestWhatATruncationTookIsNoPartOfTheGoal(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	k := takerOf(t, small(t, f))
	for k.text == "" {
		k.take()
	}
	must(t, os.Truncate(f.path, 0))
	f.write("new\n")
	for !strings.HasSuffix(k.text, "new\n") {
		k.take()
	}
	k.reached()
}

func TestRestOfATruncatedLogInItsCopyBelongsToTheGoal(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	tail := looked(t, f, small(t, f))
	now := time.Now()
	tail.look(now, false)
	tail.step(now) // the decision
	tail.pending.Release()
	tail.handedOver()
	tail.step(now)
	got := string(tail.pending.Data)
	tail.pending.Release()
	tail.handedOver()
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(1000, 1010))
	tail.near()
	if tail.Reached() {
		t.Error("reached in the middle")
	}
	tail.look(now, false)
	got += text(tail, now)
	if got != numbered(0, 1010) || !tail.Reached() {
		t.Errorf("read %d bytes, reached %v; want all and true", len(got), tail.Reached())
	}
}

// Nothing of the live file is read before its turn, so nothing of it shows that
// it holds something else by then.
func TestCopyOfALogThatWasTruncatedBeforeItsTurnBelongsToTheGoal(t *testing.T) {
	for _, after := range []string{"", strings.Repeat("unfinished ", 1000)} {
		f := newFolder(t)
		f.write(numbered(0, 200))
		f.rotate(".1")
		f.write(numbered(200, 400))
		tail := looked(t, f, small(t, f))
		now := time.Now()
		tail.look(now, false)
		f.copyFile(".copy-20261122")
		must(t, os.Truncate(f.path, 0))
		f.write(after)
		got := ""
		for !tail.Reached() && tail.step(now) {
			if b := tail.pending; b != nil {
				got += string(b.Data)
				b.Release()
				tail.handedOver()
			}
			tail.near()
		}
		tail.near()
		if got != numbered(0, 400) || !tail.Reached() {
			t.Errorf("read %d bytes, reached %v; want all %d and true", len(got), tail.Reached(), len(numbered(0, 400)))
		}
	}
}

// The first look saw it, and what there is to read is known only after that.
func TestLogThatIsTruncatedDuringTheFirstLookBelongsToTheGoal(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 200))
	tail := looked(t, f, small(t, f))
	now := time.Now()
	s, err := tail.survey(make(map[string]*found))
	must(t, err)
	f.copyFile(".copy-20261122")
	must(t, os.Truncate(f.path, 0))
	tail.learn(s, nil, now)
	tail.aim(s)
	s.close()
	tail.near()
	if tail.Reached() {
		t.Error("reached with nothing read")
	}
	if got := text(tail, now); got != numbered(0, 200) || !tail.Reached() {
		t.Errorf("read %d bytes, reached %v; want all %d and true", len(got), tail.Reached(), len(numbered(0, 200)))
	}
}
