package eventgen

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pacedRun takes two seconds.
const pacedRun = "--rate=20k --duration=2s --start=2026-11-22T10:00:00Z"

// readAll closes the files.
func readAll(t *testing.T, files ...*os.File) (all []byte) {
	t.Helper()
	for _, f := range files {
		part, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	return all
}

// TestAnswerKeyAgreesWithTheDisk holds the key against the bytes that are on the disk, whatever happens to the
// file: what was written before a file was deleted counts, for a reader may have it open.
func TestAnswerKeyAgreesWithTheDisk(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, s *story, c *child) []*os.File{
		"stopped for a while": func(t *testing.T, s *story, c *child) []*os.File {
			f := openWhenWritten(t, s.path)
			c.signal(t, syscall.SIGSTOP)
			time.Sleep(time.Second) // long enough to fall behind; nothing is measured
			c.signal(t, syscall.SIGCONT)
			return []*os.File{f}
		},
		"rotated again and again": func(t *testing.T, s *story, _ *child) (files []*os.File) {
			for i := range 10 {
				files = append(files, openWhenWritten(t, s.path))
				if err := os.Rename(s.path, old(s.path, i+1)); err != nil {
					t.Fatal(err)
				}
			}
			return append(files, openWhenWritten(t, s.path))
		},
		"deleted": func(t *testing.T, s *story, _ *child) []*os.File {
			f := openWhenWritten(t, s.path)
			if err := os.Remove(s.path); err != nil {
				t.Fatal(err)
			}
			return []*os.File{f, openWhenWritten(t, s.path)}
		},
		"its folder removed and made again": func(t *testing.T, s *story, _ *child) []*os.File {
			f := openWhenWritten(t, s.path)
			dir := filepath.Dir(s.path)
			if err := errors.Join(os.Rename(dir, dir+".gone"), os.Mkdir(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
			return []*os.File{f, openWhenWritten(t, s.path)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, strings.Fields(pacedRun)...)
			c := s.start(t, 2)
			files := disturb(t, s, c)
			if code := c.ended(t); code != 0 {
				t.Fatalf("exit code %d: %s", code, c.stderr.String())
			}
			s.wantKeyOf(t, readAll(t, files...))
			if k := s.key(t); !k.Complete || k.Dropped != 0 {
				t.Errorf("the key says complete=%v, dropped=%d", k.Complete, k.Dropped)
			}
		})
	}
}

// TestKeyOfARunThatWasStoppedTellsOfItsLines and that there might have been more.
func TestKeyOfARunThatWasStoppedTellsOfItsLines(t *testing.T) {
	s := newStory(t, strings.Fields("--rate=20k --start=2026-11-22T10:00:00Z")...)
	c := s.start(t, 2)
	openWhenWritten(t, s.path).Close()
	c.signal(t, syscall.SIGTERM)
	if code := c.ended(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, c.stderr.String())
	}
	s.wantKeyOf(t, s.text(t))
	if s.key(t).Complete {
		t.Error("the key of a run that was stopped says that it is complete")
	}
}

func TestEventsThatWereLeftOutAreInTheKey(t *testing.T) {
	s := newStory(t, strings.Fields(pacedRun+" --max-lag=200ms")...)
	c := s.start(t, 2)
	openWhenWritten(t, s.path).Close()
	c.signal(t, syscall.SIGSTOP)
	time.Sleep(time.Second) // long enough to fall behind; nothing is measured
	c.signal(t, syscall.SIGCONT)
	if code := c.ended(t); code != 3 {
		t.Errorf("exit code %d, want 3: %s", code, c.stderr.String())
	}
	s.wantKeyOf(t, s.text(t))
	k := s.key(t)
	if k.Dropped == 0 || k.Lines-k.Defects["duplicate"].Count+k.Dropped != 40_000 {
		t.Errorf("%d lines, %d of them twice, and %d left out, want 40000 events", k.Lines, k.Defects["duplicate"].Count, k.Dropped)
	}
}

// TestKeyOfAnotherRunIsNotReplaced protects what took a run to make.
func TestKeyOfAnotherRunIsNotReplaced(t *testing.T) {
	s := newStory(t, strings.Fields("--rate=1k --count=100 --unpaced --start=2026-11-22T10:00:00Z")...)
	if c := s.start(t, 1); c.ended(t) != 0 {
		t.Fatal(c.stderr.String())
	}
	c := s.start(t, 1, "--seed=4")
	if code := c.ended(t); code != 78 || !strings.Contains(c.stderr.String(), "is the answer key of another run (seed 3") {
		t.Errorf("exit code %d, want 78: %s", code, c.stderr.String())
	}
	if err := os.WriteFile(s.truth(), []byte("my diary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = s.start(t, 1)
	if code := c.ended(t); code != 78 || !strings.Contains(c.stderr.String(), "is no answer key") {
		t.Errorf("exit code %d, want 78: %s", code, c.stderr.String())
	}
}

// TestSettingsOfAnotherRunBeginANewOne and say so.
func TestSettingsOfAnotherRunBeginANewOne(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(t.TempDir(), "events.log")
	run := func(args ...string) *child {
		s := &story{args: append([]string{"run", "--admin-listen=off", "--path", path, "--state-dir", state, "--rate=1k", "--start=2026-11-22T10:00:00Z", "--unpaced"}, args...)}
		c := s.start(t, 1)
		if code := c.ended(t); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, c.stderr.String())
		}
		return c
	}
	run("--count=100", "--seed=1")
	if c := run("--count=100", "--seed=1"); !strings.Contains(c.stderr.String(), "the run is complete already") {
		t.Errorf("the same run again: %s", c.stderr.String())
	}
	run("--count=150") // the seed is that of the run
	wantEvents(t, 1, 150, path)
	if c := run("--count=10", "--seed=2"); !strings.Contains(c.stderr.String(), "a new run begins") || !strings.Contains(c.stderr.String(), "its seed is 1, now 2 is asked for") {
		t.Errorf("with another seed: %s", c.stderr.String())
	}
	first := &story{args: []string{"run", "--admin-listen=off", "--path", path, "--state-dir", state, "--rate=1k"}}
	c := first.start(t, 1)
	eventually(t, "it has the state", func() bool { return strings.Contains(c.log(t), "writing events") })
	second := first.start(t, 1)
	if code := second.ended(t); code != 78 || !strings.Contains(second.stderr.String(), "in use") {
		t.Errorf("two with one state: exit code %d, want 78: %s", code, second.stderr.String())
	}
	c.signal(t, syscall.SIGTERM)
	c.ended(t)
}
