package tail

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	nxadm "github.com/nxadm/tail"
	nxwatch "github.com/nxadm/tail/watch"
)

// stories are the tests of what is read, whatever becomes of the log. They say
// nothing of how it is read, and so hold for each reader.
var stories = map[string]func(*testing.T){
	"new lines":              TestReadsWhatIsThereAndWhatComes,
	"no rescan":              TestNewLineIsReadWithoutWaitingForARescan,
	"unfinished line":        TestUnfinishedLineWaitsForItsNewline,
	"bytes":                  TestBytesStayAsTheyAre,
	"long lines":             TestLongLines,
	"too long, first":        TestTooLongLineAtTheBeginning,
	"too long, last":         TestTooLongLineAtTheEndOfARotatedFile,
	"budget":                 TestNothingIsReadFurtherAheadThanTheBudget,
	"larger than the budget": TestLineLargerThanTheBudgetIsReadAlone,
	"once":                   TestOnceEndsAtTheEnd,
	"from the end":           TestFirstStartAtTheEnd,
	"from the end, nothing":  TestFirstStartAtTheEndOfNothing,
	"rotated before":         TestFirstStartReadsRotatedFilesOldestFirst,

	"rotation at speed":     TestRotationAtSpeedLosesNothing,
	"late writer":           TestWriterThatReopensLateLosesNothing,
	"unfinished, rotated":   TestUnfinishedLastLineIsALineOnceItsWriterIsGone,
	"writer never closes":   TestWriterThatNeverClosesDoesNotHoldUpTheLog,
	"nobody takes blocks":   TestRotationsWhileNobodyTakesBlocksLoseNothing,
	"late files":            TestFilesThatTurnUpLateAreRead,
	"truncated":             TestTruncatedFileIsReadFromItsBeginning,
	"truncated, refilled":   TestTruncatedAndRefilledFileIsNoticed,
	"copytruncate":          TestCopytruncateSendsNothingTwice,
	"copytruncate, unread":  TestWhatCopytruncateLeftOnlyInTheCopyIsRead,
	"copy":                  TestCopyOfALogIsNotReadAndALogWithTheSameHeadIs,
	"folder replaced":       TestFolderThatIsReplacedIsFollowed,
	"symlink switched":      TestSymlinkThatIsSwitchedIsFollowed,
	"polling":               TestPollingDoesWhereTheKernelSaysNothing,
	"restart":               TestRestartGoesOnAfterTheLastLine,
	"restart before":        TestRestartGoesOnBeforeWhatWasNotDealtWith,
	"rotations while down":  TestRotationsWhileDownAreFollowed,
	"restart in rotations":  TestRestartInTheMiddleOfRotations,
	"nothing twice":         TestNothingIsReadTwiceOnceItsFileIsDone,
	"inode again":           TestFileWithAnOldInodeNumberIsAnotherFile,
	"truncated while down":  TestTruncationWhileDownIsNoticed,
	"copied while down":     TestCopytruncateWhileDownLosesNothing,
	"truncated too early":   TestTruncationBeforeItsLinesWereDealtWith,
	"file gone":             TestPositionWhoseFileIsGoneIsSaidAndTheRestIsRead,
	"more after the end":    TestFileThatGetsMoreAfterItsEndIsReadOn,
	"unreadable, then read": TestUnreadableFilesAreSaidAndHeal,
}

const withFollower = "TestEveryStoryIsTheSameWithTheFollower"

// eager makes a Tail leave the end of the live file to nxadm/tail at once, at any
// speed, and lets a follower be slow on a busy machine.
func eager(cfg Config) Config {
	cfg.Reader, cfg.eager, cfg.late = ReaderAuto, true, 50*time.Millisecond
	return cfg
}

var acceptedInAll atomic.Int64

func TestEveryStoryIsTheSameWithTheFollower(t *testing.T) {
	before := acceptedInAll.Load()
	for name, story := range stories {
		t.Run(name, story)
	}
	if acceptedInAll.Load() == before {
		t.Error("no line came through nxadm/tail, so nothing was shown")
	}
}

// following waits until the reader's Tail has a follower that waits for changes:
// the next line then comes through nxadm/tail, unless something intervenes.
func (r *reader) following() {
	r.t.Helper()
	eventually(r.t, "a follower waits", func() bool {
		f := r.tail.follow.running.Load()
		return f != nil && nxwatch.Events(f.path) != nil
	})
}

func TestCalmLogIsFollowed(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1))
	r := start(t, eager(config(t, f.path)))
	r.wants(numbered(0, 1))
	for i := 1; i < 100; i++ {
		r.following()
		f.write(numbered(i, i+1))
		r.wants(numbered(0, i+1))
	}
	if n := r.tail.follow.accepted.Load(); n == 0 {
		t.Error("lines through nxadm/tail: got 0, want some of 100")
	}
}

func TestFollowedBytesStayAsTheyAre(t *testing.T) {
	f := newFolder(t)
	f.write("first\n")
	r := start(t, eager(config(t, f.path)))
	want := "first\n"
	r.wants(want)
	for _, line := range []string{"cr\r\n", "\r\n", "\n", "\r\r\n", "a\x00b\x00\n", "\xff\xfe\xc3\n", "\xef\xbb\xbfbom\n", "\u2028\u0085\n", " blank \t\n", strings.Repeat("m", 5000) + "\r\n"} {
		// In two parts, so that it is put together, too.
		r.following()
		before := r.tail.follow.accepted.Load()
		f.write(line[:len(line)/2])
		f.write(line[len(line)/2:])
		want += line
		r.wants(want)
		if r.tail.follow.accepted.Load() == before {
			t.Logf("%.20q came as a block", line)
		}
	}
	if n := r.tail.follow.accepted.Load(); n == 0 {
		t.Error("lines through nxadm/tail: got 0")
	}
}

// spoil stands between nxadm/tail and the Tail and spoils the n-th line.
func spoil(n int, how func(line *nxadm.Line, send func(*nxadm.Line))) func(<-chan *nxadm.Line) <-chan *nxadm.Line {
	return func(in <-chan *nxadm.Line) <-chan *nxadm.Line {
		out := make(chan *nxadm.Line, 10_000) // never full: the Tail may turn away
		go func() {
			defer close(out)
			i := 0
			send := func(line *nxadm.Line) { out <- line }
			for line := range in {
				if i++; i == n {
					how(line, send)
				} else {
					send(line)
				}
			}
		}()
		return out
	}
}

func TestLinesThatDoNotContinueAreNotTaken(t *testing.T) {
	for name, how := range map[string]func(line *nxadm.Line, send func(*nxadm.Line)){
		"a line is left out": func(*nxadm.Line, func(*nxadm.Line)) {},
		"a line comes twice": func(l *nxadm.Line, send func(*nxadm.Line)) { send(l); send(l) },
		"a line is torn": func(l *nxadm.Line, send func(*nxadm.Line)) {
			send(&nxadm.Line{Text: l.Text[:5], SeekInfo: nxadm.SeekInfo{Offset: l.SeekInfo.Offset - int64(len(l.Text)) + 5}})
		},
		"two lines are one": func(l *nxadm.Line, send func(*nxadm.Line)) {
			l.Text, l.SeekInfo.Offset = l.Text+l.Text, l.SeekInfo.Offset+int64(len(l.Text))
			send(l)
		},
		"a byte differs":        func(l *nxadm.Line, send func(*nxadm.Line)) { l.Text = "L" + l.Text[1:]; send(l) },
		"a byte is missing":     func(l *nxadm.Line, send func(*nxadm.Line)) { l.Text = l.Text[1:]; send(l) },
		"an offset is too high": func(l *nxadm.Line, send func(*nxadm.Line)) { l.SeekInfo.Offset++; send(l) },
		"an offset is too low":  func(l *nxadm.Line, send func(*nxadm.Line)) { l.SeekInfo.Offset--; send(l) },
		"it has an error":       func(l *nxadm.Line, send func(*nxadm.Line)) { l.Err = os.ErrInvalid; send(l) },
		"it begins anew": func(l *nxadm.Line, send func(*nxadm.Line)) {
			l.SeekInfo.Offset = int64(len(l.Text)) + 1
			send(l)
		},
		"a line comes from behind the end": func(l *nxadm.Line, send func(*nxadm.Line)) {
			send(l)
			send(&nxadm.Line{Text: l.Text, SeekInfo: nxadm.SeekInfo{Offset: l.SeekInfo.Offset + int64(len(l.Text)) + 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 10))
			cfg := eager(config(t, f.path))
			cfg.tamper = spoil(3, how)
			r := start(t, cfg)
			r.wants(numbered(0, 10))
			for i := 10; r.tail.follow.wrong.Load() == 0; i += 2 {
				if i > 2000 {
					t.Fatal("the spoiled line was not noticed")
				}
				r.following()
				f.write(numbered(i, i+2))
				r.wants(numbered(0, i+2))
			}
		})
	}
}

func TestFollowerThatSaysNothingIsLeft(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	cfg := eager(config(t, f.path))
	cfg.rescan = time.Hour
	cfg.tamper = func(<-chan *nxadm.Line) <-chan *nxadm.Line { return make(chan *nxadm.Line) }
	r := start(t, cfg)
	r.wants(numbered(0, 10))
	r.following()
	f.write(numbered(10, 20))
	r.wants(numbered(0, 20))
	if n := r.tail.follow.accepted.Load(); n != 0 {
		t.Errorf("lines through nxadm/tail: got %d of a channel without any", n)
	}
}

func TestFollowerThatEndsIsLeft(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	cfg := eager(config(t, f.path))
	cfg.tamper = func(<-chan *nxadm.Line) <-chan *nxadm.Line {
		closed := make(chan *nxadm.Line)
		close(closed)
		return closed
	}
	r := start(t, cfg)
	for i := 10; i < 50; i++ {
		f.write(numbered(i, i+1))
		r.wants(numbered(0, i+1))
	}
}

func TestFollowsOnlyWhileItIsCalm(t *testing.T) {
	second := calmTime + time.Millisecond
	write := func(f *folder, lines int) { f.write(numbered(0, lines)) }
	step := func(tail *Tail, now time.Time) bool {
		tail.look(now, false)
		text(tail, now)
		return tail.follow.follower != nil
	}
	for _, c := range []struct {
		name string
		cfg  func(*Config)
		does func(f *folder, step func(after time.Duration) bool) (got bool)
		want bool
	}{
		{"a calm log is followed", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			return step(second)
		}, true},
		{"not before it is known to be calm", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			return step(calmTime / 2)
		}, false},
		{"a silent log is not", nil, func(_ *folder, step func(time.Duration) bool) bool { return step(second) }, false},
		{"a busy log is not", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, calmLines+1)
			return step(second)
		}, false},
		{"nor one with reader: block", func(c *Config) { c.Reader = ReaderBlock }, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			return step(second)
		}, false},
		{"a busy one after it was calm again", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, calmLines+1)
			step(second)
			write(f, 5)
			return step(second)
		}, true},
		{"a log that becomes busy is left", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			step(second)
			write(f, 2*busyLines)
			eventually(f.t, "it is left", func() bool { return !step(time.Millisecond) })
			return false
		}, false},
		{"a long line that is not finished is not nxadm/tail's", nil, func(f *folder, step func(time.Duration) bool) bool {
			f.write(numbered(0, 5) + strings.Repeat("x", followAhead+1))
			return step(second)
		}, false},
		{"nor one that begins while it follows", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			step(second)
			f.write(strings.Repeat("x", followAhead+1))
			return step(time.Millisecond)
		}, false},
		{"a rotated log is not followed", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			step(second)
			f.rotate(".1")
			return step(time.Millisecond)
		}, false},
		{"a truncated log is not followed", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			step(second)
			must(f.t, os.Truncate(f.path, 0))
			return step(time.Millisecond)
		}, false},
		{"silence ends it", nil, func(f *folder, step func(time.Duration) bool) bool {
			write(f, 5)
			step(second)
			return step(idleTime + time.Second)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 1))
			cfg := config(t, f.path)
			cfg.Reader = ReaderAuto
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			tail := looked(t, f, cfg)
			tail.watch.id = "as if the kernel reported changes"
			now := time.Now()
			step(tail, now)
			if got := c.does(f, func(after time.Duration) bool { now = now.Add(after); return step(tail, now) }); got != c.want {
				t.Errorf("followed: got %v, want %v", got, c.want)
			}
		})
	}
}

// A follower that is late can only be looked into when there is memory and somebody
// to take the block. Until then that it is late must not keep the Tail busy.
func TestLateFollowerIsNotWaitedForWhileNothingCanBeRead(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1))
	tail := looked(t, f, eager(config(t, f.path)))
	now := time.Now()
	tail.look(now, false)
	text(tail, now)
	tail.follow.due = now.Add(-time.Hour)
	if got := tail.longest(now); got != 0 {
		t.Errorf("longest wait: got %s, want 0: the follower is late", got)
	}
	tail.waiting = starved
	if got := tail.longest(now); got == 0 {
		t.Error("longest wait without memory: got 0")
	}
	tail.waiting, tail.pending = atEnd, &Block{pool: tail.pool}
	if got := tail.longest(now); got == 0 {
		t.Error("longest wait with a block that nobody takes: got 0")
	}
}

// What a symlink leads to may lie in another folder, whose changes nobody reports.
func TestLineBehindASymlinkIsFollowedAtOnce(t *testing.T) {
	f, elsewhere := newFolder(t), newFolder(t)
	elsewhere.write(numbered(0, 1))
	must(t, os.Symlink(elsewhere.path, f.path))
	cfg := eager(config(t, f.path))
	cfg.rescan = time.Hour
	r := start(t, cfg)
	r.wants(numbered(0, 1))
	for i := 1; i < 20; i++ {
		r.following()
		elsewhere.write(numbered(i, i+1))
		r.wants(numbered(0, i+1))
	}
}

func TestUnknownReaderIsRefused(t *testing.T) {
	if _, err := New(Config{Path: "/x", Reader: "fast"}); err == nil || !strings.Contains(err.Error(), "auto or block") {
		t.Errorf("New: got %v, want an error that names the readers", err)
	}
}

// Two followers of one file would be one to inotify, and one would go deaf.
func TestTwoTailsOfOneFileBothReadAll(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	a, b := start(t, eager(config(t, f.path))), start(t, eager(config(t, f.path)))
	for i := 10; i < 60; i++ {
		f.write(numbered(i, i+1))
		a.wants(numbered(0, i+1))
		b.wants(numbered(0, i+1))
	}
	a.stop()
	b.stop()
	for i := range maxFollowers + 2 {
		if got, want := nxadmTail.claim(fmt.Sprint(i)), i < maxFollowers; got != want {
			t.Errorf("claim %d: got %v, want %v", i, got, want)
		}
	}
	for i := range maxFollowers {
		nxadmTail.release(fmt.Sprint(i))
	}
}
