package tail

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// resume goes on from a state.
func (f *folder) resume(s *State) *reader {
	cfg := config(f.t, f.path)
	cfg.State = s
	return start(f.t, cfg)
}

// read reads text, which must be all there is, and stops.
func (f *folder) read(s *State, text string) *State {
	f.t.Helper()
	r := f.resume(s)
	r.wants(text)
	return r.state()
}

// nothing checks that there is nothing to be read.
func (f *folder) nothing(s *State) {
	f.t.Helper()
	cfg := config(f.t, f.path)
	cfg.State, cfg.Once = s, true
	r := start(f.t, cfg)
	<-r.gone
	same(f.t, r.got(), nil)
}

func TestRestartGoesOnAfterTheLastLine(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100) + "unfin")
	s := f.read(nil, numbered(0, 100))
	f.write("ished\n" + numbered(100, 200))
	f.read(s, "unfinished\n"+numbered(100, 200))
}

func TestRestartGoesOnBeforeWhatWasNotDealtWith(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer = 4096
	text := numbered(0, 2000)
	f.write(text)
	r := start(t, cfg)
	r.wants(text)
	r.stop()
	for i := range r.settled {
		at := r.settled[i]
		again := f.resume(r.stateAt(i))
		again.wants(numbered(at.lines, 2000))
		again.stop()
	}
}

func TestRotationsWhileDownAreFollowed(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	at := 100
	f.write(numbered(at, at+50))
	for range 5 {
		for n := 8; n > 0; n-- {
			if _, err := os.Stat(fmt.Sprintf("%s.%d", f.path, n)); err == nil {
				f.rename(fmt.Sprintf(".%d", n), fmt.Sprintf(".%d", n+1))
			}
		}
		f.rotate(".1")
		at += 50
		f.write(numbered(at, at+50))
	}
	s = f.read(s, numbered(100, at+50))
	f.nothing(s)
}

func TestRestartInTheMiddleOfRotations(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer = 4096
	for i := range 8 {
		f.write(numbered(i*300, i*300+300))
		f.rotate(fmt.Sprintf(".%d", 9-i))
	}
	f.write(numbered(2400, 2700))
	r := start(t, cfg)
	r.wants(numbered(0, 2700))
	r.stop()
	for i := 0; i < len(r.settled); i += 3 {
		// Under new names after each start.
		if i%2 == 0 {
			for n := 1; n <= 9; n++ {
				if _, err := os.Stat(fmt.Sprintf("%s.%d", f.path, n)); err == nil {
					f.rename(fmt.Sprintf(".%d", n), fmt.Sprintf("-2026112%d", 9-n))
				}
			}
		} else {
			for n := 1; n <= 9; n++ {
				if _, err := os.Stat(fmt.Sprintf("%s-2026112%d", f.path, 9-n)); err == nil {
					f.rename(fmt.Sprintf("-2026112%d", 9-n), fmt.Sprintf(".%d", n))
				}
			}
		}
		again := f.resume(r.stateAt(i))
		again.wants(numbered(r.settled[i].lines, 2700))
		again.stop()
	}
}

func TestNothingIsReadTwiceOnceItsFileIsDone(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	for i := 10; i < 50; i += 10 {
		f.rotate(fmt.Sprintf(".%d", 100-i))
		f.write(numbered(i, i+10))
		s = f.read(s, numbered(i, i+10))
	}
	f.nothing(s)
}

func TestFileWithAnOldInodeNumberIsAnotherFile(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	first, _, err := identifyPath(f.path)
	must(t, err)
	s := f.read(nil, numbered(0, 100))
	// ext4 gives the number away again at once; tmpfs does not, and then this
	// test is about another file only.
	must(t, os.Remove(f.path))
	f.write(numbered(1000, 1200))
	second, _, err := identifyPath(f.path)
	must(t, err)
	if first.Handle != "" && first == second {
		t.Errorf("identity of a new file: got that of the old one, %v", first)
	}
	f.read(s, numbered(1000, 1200))
}

func TestIdentityAndStatusAreOfOneFile(t *testing.T) {
	f := newFolder(t)
	must(t, os.WriteFile(f.path, []byte("short"), 0o600))
	must(t, os.WriteFile(f.path+".1", []byte("longer"), 0o600))
	size := make(map[string]int64)
	for _, path := range []string{f.path, f.path + ".1"} {
		id, st, err := identifyPath(path)
		must(t, err)
		size[id.key()] = st.Size
	}
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, f.path, unix.AT_FDCWD, f.path+".1", unix.RENAME_EXCHANGE); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 5000 {
		id, st, err := identifyPath(f.path)
		must(t, err)
		if st.Size != size[id.key()] {
			t.Errorf("%v has %d bytes: got %d, of the other file", id, size[id.key()], st.Size)
			break
		}
	}
	close(stop)
	must(t, <-stopped)
}

func TestFileIsKnownAgainWithoutHandles(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	id := s.Generations[0].File
	if id.key() == (Identity{Device: id.Device, Inode: id.Inode}).key() && id.Handle != "" {
		t.Errorf("key of %v does not use the handle", id)
	}
	// As after a move of the log to another disk: no identity is the same.
	s.Generations[0].File = Identity{Device: 1, Inode: 1}
	f.write(numbered(100, 110))
	f.read(s, numbered(100, 110))
}

// A run that ends before it could look at the files knows no more than the one before.
func TestStateBeforeTheFirstLookIsTheOneBefore(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	state := running.State(running.last)
	again := handReader(t, f)
	again.cfg.State, again.nextNumber = &state, state.Next
	same := again.State(running.last)
	f.write(numbered(100, 110))
	f.nothing(f.read(&same, numbered(100, 110)))
}

// Where there are no handles a new log may have the inode of a copy that was deleted
// while we were down. The log's own path is never a copy, whatever a state says.
func TestNewLogWithTheInodeOfACopyIsRead(t *testing.T) {
	for _, size := range []int{1, 200} {
		f := newFolder(t)
		f.write(numbered(0, 100))
		running := handReader(t, f)
		running.read()
		f.copyFile(".1")
		running.read()
		s := running.State(running.last)
		must(t, os.Remove(f.path+".1"))
		must(t, os.Remove(f.path))
		f.write(numbered(1000, 1000+size))
		id, _, err := identifyPath(f.path)
		must(t, err)
		for i := range s.Generations {
			if g := &s.Generations[i]; g.Copy {
				g.File = id
			}
		}
		f.nothing(f.read(&s, numbered(1000, 1000+size)))
	}
}

func TestCopyThatTakesTheLogsPlaceIsReadOn(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.copyFile(".1")
	running.read()
	must(t, os.Remove(f.path))
	f.rename(".1", "")
	running.read()
	f.write(numbered(100, 110))
	running.read()
	running.read()
	same(t, split(running.text), split(numbered(0, 110)))
}

func TestInodeWithoutHandleProvesNothing(t *testing.T) {
	handle := Identity{Inode: 1, Handle: "1-00"}
	for _, c := range []struct {
		name string
		g    generation
		f    found
		want bool
	}{
		{"a handle does", generation{id: handle, offset: 10, head: make([]byte, 10)}, found{size: 10, mtime: 2}, false},
		{"it may have grown", generation{id: handle, offset: 10, head: make([]byte, 10)}, found{size: 11}, true},
		{"an inode does not", generation{offset: 10, head: make([]byte, 10)}, found{size: 10, mtime: 2}, true},
		{"an inode and the time when it was looked at do", generation{offset: 10, head: make([]byte, 10), checked: 2}, found{size: 10, mtime: 2}, false},
		{"a copy that has the size of then is one", generation{id: handle, copied: true, offset: 10, head: make([]byte, 10), checkedSize: 12}, found{size: 12}, false},
		{"a copy that has grown may be another file", generation{id: handle, copied: true, offset: 10, head: make([]byte, 10), checkedSize: 12}, found{size: 13}, true},
		{"the log is no copy", generation{id: handle, copied: true, offset: 10}, found{size: 10, live: true}, true},
		{"a copy of an older state is believed", generation{copied: true}, found{size: 10}, false},
		{"what is unpacked is not compared with the packed file", generation{id: handle, offset: 10}, found{size: 5, packed: true}, false},
	} {
		if got := c.g.mayDiffer(&c.f); got != c.want {
			t.Errorf("%s: mayDiffer is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTruncationWhileDownIsNoticed(t *testing.T) {
	for name, after := range map[string]string{
		"shorter": numbered(100, 110),
		"longer":  numbered(100, 400),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 100))
			s := f.read(nil, numbered(0, 100))
			must(t, os.Truncate(f.path, 0))
			f.write(after)
			f.read(s, after)
		})
	}
}

func TestCopytruncateWhileDownLosesNothing(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	f.write(numbered(100, 200))
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(200, 210))
	f.read(s, numbered(100, 210))
}

func TestTruncationBeforeItsLinesWereDealtWith(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer = 4096
	f.write(numbered(0, 1000))
	r := start(t, cfg)
	r.wants(numbered(0, 1000))
	f.copyFile(".1")
	must(t, os.Truncate(f.path, 0))
	f.write(numbered(1000, 1100))
	r.wants(numbered(0, 1100))
	r.stop()
	for _, i := range []int{0, 3, len(r.settled) - 2, len(r.settled) - 1} {
		again := f.resume(r.stateAt(i))
		again.wants(numbered(r.settled[i].lines, 1100))
		again.stop()
	}
}

func TestPositionWhoseFileIsGoneIsSaidAndTheRestIsRead(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer = 4096
	f.write(numbered(0, 1000))
	r := start(t, cfg)
	r.wants(numbered(0, 1000))
	r.stop()
	must(t, os.Remove(f.path))
	f.write(numbered(1000, 1100))
	f.read(r.stateAt(0), numbered(1000, 1100))
}

func TestLostFileThatTurnsUpIsReadOn(t *testing.T) {
	f := newFolder(t)
	away := t.TempDir() + "/away"
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	f.write(numbered(100, 150))
	must(t, os.Rename(f.path, away))
	f.write(numbered(150, 160))
	s = f.read(s, numbered(150, 160)) // and an error says what is missing
	must(t, os.Rename(away, f.path+".1"))
	f.nothing(f.read(s, numbered(100, 150)))
}

func TestFileThatGetsMoreAfterItsEndIsReadOn(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	f.rotate(".1")
	f.write(numbered(10, 20))
	s := f.read(nil, numbered(0, 20))
	f.append(f.path+".1", "late\n")
	f.write(numbered(20, 30))
	r := f.resume(s)
	eventually(t, "all lines", func() bool { return len(r.got()) >= 11 })
	got := strings.Join(r.got(), "\n") + "\n"
	if got != "late\n"+numbered(20, 30) && got != numbered(20, 30)+"late\n" {
		t.Errorf("got %q, want the late line and the new ones, each once", got)
	}
	f.nothing(r.state())
}

func TestFinishedFilesThatAreGoneAreForgotten(t *testing.T) {
	f := newFolder(t)
	tail, err := New(config(t, f.path))
	must(t, err)
	tail.watch = newWatch(f.dir, tail.log, true)
	now := time.Now()
	for i := range 5 {
		f.write(numbered(i, i+1))
		tail.look(now, false)
		for tail.step(now) {
			if tail.pending != nil {
				tail.pending.Release()
				tail.pending = nil
			}
		}
		must(t, os.Remove(f.path))
		tail.look(now, false)
		for tail.step(now) {
		}
	}
	tail.State(Mark{Position: Position{Generation: 4}})
	tail.look(now.Add(forgetAfter-time.Second), false)
	if n := len(tail.gens); n != 5 {
		t.Errorf("known files soon after they left: got %d, want 5: a rename can hide a file for a moment", n)
	}
	tail.look(now.Add(forgetAfter+time.Second), false)
	if n := len(tail.gens); n != 1 {
		t.Errorf("known files a minute after they left: got %d, want 1, the one the position is in", n)
	}
	tail.watch.close()
}

func TestStateThatNoTailMadeIsRefused(t *testing.T) {
	good := func() State {
		return State{Next: 2, Generations: []GenerationState{
			{Number: 0, Done: true}, {Number: 1, Offset: 3, Head: []byte("abc"), Before: []byte("abc")},
		}}
	}
	for name, spoil := range map[string]func(*State){
		"numbers must rise":                func(s *State) { s.Generations[1].Number = 0 },
		"a number must have been given":    func(s *State) { s.Next = 1 },
		"an offset can't be negative":      func(s *State) { s.Generations[1].Offset = -1 },
		"the bytes before must be all":     func(s *State) { s.Generations[1].Before = nil },
		"the head must reach the offset":   func(s *State) { s.Generations[1].Head = nil },
		"the end can't be before position": func(s *State) { s.Generations[1].End = 2 },
	} {
		s := good()
		if _, err := New(Config{Path: "/x", State: &s}); err != nil {
			t.Fatalf("good state: %v", err)
		}
		spoil(&s)
		if _, err := New(Config{Path: "/x", State: &s}); err == nil {
			t.Errorf("%s: New accepted it", name)
		}
	}
}

// A state may come from anywhere; a Tail refuses it or starts, and reads every
// line that the state does not say was dealt with.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"generations":[{"number":0,"file":{"device":1,"inode":2},"name":"x","offset":3,"head":"YWJj","before":"YWJj"}],"next":1}`))
	f.Add([]byte(`{"generations":[{"number":0,"file":{"device":1,"inode":2},"name":"x","offset":0,"end":3,"before_end":"YWJj","trail":[{"offset":512,"sum":1}]}],"next":1}`))
	f.Add([]byte(`{"generations":null,"next":0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s State
		if json.Unmarshal(text, &s) != nil {
			return
		}
		dir := t.TempDir()
		path := dir + "/events.log"
		must(t, os.WriteFile(path, []byte("abcdef\n"), 0o600))
		tail, err := New(Config{Path: path, State: &s, Once: true, poll: true})
		if err != nil {
			return
		}
		go func() {
			for b := range tail.Blocks() {
				tail.State(b.Mark(b.End.Offset, nil))
				b.Release()
			}
		}()
		must(t, tail.Run(t.Context()))
	})
}

func TestUnreadableFilesAreSaidAndHeal(t *testing.T) {
	for _, c := range []struct {
		name, say string
		spoil     func(f *folder)
		heal      func(f *folder)
	}{
		{"a missing file is waited for", "no such file", func(*folder) {}, func(*folder) {}},
		{"a directory is no log", "is a directory", func(f *folder) { must(f.t, os.Mkdir(f.path, 0o700)) }, func(f *folder) { must(f.t, os.Remove(f.path)) }},
		{"a FIFO is no log", "is a FIFO", func(f *folder) { must(f.t, unix.Mkfifo(f.path, 0o600)) }, func(f *folder) { must(f.t, os.Remove(f.path)) }},
		{"a dangling symlink is waited for", "no such file", func(f *folder) { must(f.t, os.Symlink("nowhere", f.path)) }, func(f *folder) { must(f.t, os.Remove(f.path)) }},
		{"a missing folder is waited for", "no such file", func(f *folder) { must(f.t, os.Remove(f.dir)) }, func(f *folder) { must(f.t, os.Mkdir(f.dir, 0o700)) }},
		{"a file in the folder's place is waited out", "not a directory", func(f *folder) {
			must(f.t, os.Remove(f.dir))
			must(f.t, os.WriteFile(f.dir, nil, 0o600))
		}, func(f *folder) {
			must(f.t, os.Remove(f.dir))
			must(f.t, os.Mkdir(f.dir, 0o700))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir() + "/logs"
			f := &folder{t: t, dir: dir, path: dir + "/events.log"}
			must(t, os.Mkdir(dir, 0o700))
			c.spoil(f)
			r := start(t, config(t, f.path))
			eventually(t, "it says so", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.problems) > 0 && strings.Contains(r.problems[0], c.say) && strings.Contains(r.problems[0], dir)
			})
			c.heal(f)
			f.write(numbered(0, 10))
			r.wants(numbered(0, 10))
			eventually(t, "it says that it can read again", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.problems[len(r.problems)-1] == "<nil>"
			})
		})
	}
}

// A folder or FIFO beside the log is no part of it, whatever its name: nothing is
// said, and a position is not waited for as if it might be inside.
func TestWhatIsNoFileHoldsNothingUp(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	s := f.read(nil, numbered(0, 10))
	must(t, os.Remove(f.path))
	f.write(numbered(20, 30))
	must(t, os.Mkdir(f.path+".d1", 0o700))
	must(t, unix.Mkfifo(f.path+".1", 0o600))
	r := f.resume(s)
	r.wants(numbered(20, 30))
	r.stop()
	if len(r.problems) > 0 {
		t.Errorf("said %q, want nothing", r.problems)
	}
}
