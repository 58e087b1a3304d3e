package tail

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nxadm/tail/util"
	nxwatch "github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// followerOf starts a follower at the end of a file and waits until the library
// waits for its next line, or has ended: an event of the watch before, under the
// same path, may be on its way still.
func followerOf(t *testing.T, path string) (*follower, *os.File) {
	t.Helper()
	file, err := openRegular(path)
	must(t, err)
	id, st, err := identify(file)
	must(t, err)
	f, err := follow(file, id, st.Size)
	must(t, err)
	eventually(t, "the library watches", func() bool {
		select {
		case <-f.tail.Dead():
			return true
		default:
			return nxwatch.Events(f.path) != nil
		}
	})
	return f, file
}

// A number of a descriptor is used again at once, and so is the path in the
// library. A watch that it has not given up yet would leave the next follower deaf.
func TestNextFollowerUnderTheSameNumberHears(t *testing.T) {
	f := newFolder(t)
	paths := make(map[string]int)
	before, files := runtime.NumGoroutine(), openFiles(t)
	heard := 0
	for i := range 300 {
		path := fmt.Sprintf("%s.%d", f.path, i%3)
		f.append(path, "before\n")
		one, file := followerOf(t, path)
		paths[one.path]++
		text := fmt.Sprintf("line %d", i)
		f.append(path, text+"\n")
		if line, ok := <-one.lines; ok {
			heard++
			if line.Text != text {
				t.Errorf("follower %d: got %q, want %q", i, line.Text, text)
			}
		}
		must(t, file.Close())
		switch i % 4 { // while it waits, while it has a line, after its file was moved or truncated
		case 1:
			f.append(path, "not taken\n")
		case 2:
			must(t, os.Rename(path, path+".old"))
		case 3:
			must(t, os.Truncate(path, 1))
		}
		one.stop()
		<-one.gone
		must(t, one.err)
	}
	if heard < 200 {
		t.Errorf("followers that heard of a line: got %d of 300; the others ended", heard)
	}
	if len(paths) > 10 {
		t.Errorf("paths: got %d different ones, so none was used again and nothing was shown", len(paths))
	}
	if n := openFiles(t); n != files {
		t.Errorf("open files: got %d, want %d as before", n, files)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

// childEnv names what a child process of a test does: the library's end is that
// of a whole process.
const childEnv = "TAIL_TEST_CHILD"

func child(t *testing.T, does string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], t.TempDir()+"/events.log")
	cmd.Env = append(os.Environ(), childEnv+"="+does)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	return string(out)
}

// beChild is the child's whole life.
func beChild(does, path string) {
	t := &childT{}
	switch does {
	case "no inotify":
		// As if all descriptors were used up: what is open stays open.
		var limit unix.Rlimit
		must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		few := limit
		few.Cur = 3
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
		fmt.Println("begin:", nxadmTail.begin())
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	case "hangs":
		// Its one goroutine waits for somebody to take an event.
		must(t, nxadmTail.begin())
		must(t, os.WriteFile(path+".other", nil, 0o600))
		must(t, nxwatch.Watch(path+".other"))
		must(t, os.WriteFile(path+".other", []byte("x"), 0o600))
	case "fatal":
		must(t, nxadmTail.begin())
	}
	must(t, os.WriteFile(path, []byte(numbered(0, 10)), 0o600))
	cfg := Config{Path: path, eager: true}
	if does == "fatal" {
		cfg.late = 5 * time.Second // a busy machine is no reason to stop following before the library does
	}
	tail, err := New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tail.Run(ctx) }()
	got := ""
	for n := 10; n < 200; n++ {
		for !strings.HasSuffix(got, numbered(n-1, n)) {
			b := <-tail.Blocks()
			got += string(b.Data)
			b.Release()
		}
		if n == 100 && does == "fatal" {
			done := make(chan struct{})
			go func() {
				defer close(done)
				util.Fatal("Failed to stat file %v: %v", path, unix.ESTALE)
			}()
			<-done
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString(numbered(n, n+1))
		must(t, err)
		must(t, f.Close())
	}
	cancel()
	must(t, <-ended)
	fmt.Println("lines:", strings.Count(got, "\n"), "in order:", got == numbered(0, 199), "given up:", nxadmTail.gaveUp(),
		"followed:", tail.follow.accepted.Load() > 0)
	os.Exit(0)
}

// childT ends the child at the first error.
type childT struct{ testing.TB }

func (*childT) Helper() {}
func (*childT) Fatal(v ...any) {
	fmt.Println(v...)
	os.Exit(1)
}

// The library calls os.Exit where it can't have an inotify instance.
func TestProcessSurvivesThatThereIsNoInotify(t *testing.T) {
	got := child(t, "no inotify")
	if want := "begin: nxadm/tail gave up\nlines: 199 in order: true given up: true followed: false\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where the library hangs, a follower that can't be stopped is left behind.
func TestLibraryThatHangsHoldsNothingUp(t *testing.T) {
	got := child(t, "hangs")
	if want := "lines: 199 in order: true given up: false "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// It also does where a file can't be looked at any more, as on a network file
// system, while others wait for its one goroutine.
func TestProcessSurvivesThatTheLibraryGivesUp(t *testing.T) {
	got := child(t, "fatal")
	if want := "lines: 199 in order: true given up: true followed: true\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
