package tail

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"

	nxadm "github.com/nxadm/tail"
	"github.com/nxadm/tail/util"
	nxwatch "github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// follower is one nxadm/tail at the end of one open file.
//
// Its path is /proc/self/fd/N of a descriptor that belongs to it alone: renaming
// and deleting the file don't change what that leads to. The number N is given
// back to the kernel only when the library has forgotten the path. It does so in
// a goroutine of its own some time after Stop, and a second follower that began
// under the same path before would be left without events.
type follower struct {
	lines <-chan *nxadm.Line
	gone  chan struct{} // closed when nothing of it is left
	err   error         // why it did not work, when gone is closed

	tail *nxadm.Tail
	file *os.File // what path leads to
	path string
	key  string // of the file in library.files
}

// follow starts a follower behind offset of an open file, which stays the
// caller's. It only blocks for system calls.
func follow(file *os.File, id Identity, offset int64) (*follower, error) {
	if err := nxadmTail.begin(); err != nil {
		return nil, err
	}
	f := &follower{gone: make(chan struct{}), key: id.key()}
	if !nxadmTail.claim(f.key) {
		return nil, errTaken
	}
	var err error
	if f.file, err = duplicate(file); err == nil {
		f.path = "/proc/self/fd/" + strconv.Itoa(int(f.file.Fd()))
		// Without CompleteLines it sends half lines and then skips what came in
		// between. A RateLimiter would drop the backlog.
		f.tail, err = nxadm.TailFile(f.path, nxadm.Config{
			Location: &nxadm.SeekInfo{Offset: offset}, MustExist: true,
			Follow: true, CompleteLines: true, Logger: nxadm.DiscardingLogger,
		})
		if err != nil {
			_ = f.file.Close()
		}
	}
	if err != nil {
		nxadmTail.release(f.key)
		return nil, err
	}
	f.lines = f.tail.Lines
	return f, nil
}

// stop ends the follower without waiting for it; gone says when that is done.
// Should the library hang, gone never comes, and nobody waits for it.
func (f *follower) stop() {
	go func() {
		defer close(f.gone)
		defer nxadmTail.release(f.key)
		stopped := make(chan error, 1)
		go func() { stopped <- f.tail.Stop() }()
		select {
		case err := <-stopped:
			if err == nil && nxadmTail.forgotten(f.path) {
				_ = f.file.Close()
				return
			}
			f.err = cmp.Or(err, errFatal)
		case <-nxadmTail.fatal:
			f.err = errFatal
			// The library's goroutine that died may hold up all others until its
			// file is taken from it.
			go func() { _ = nxwatch.Cleanup(f.path) }()
		}
		// Whether the path is still known can't be told, so its number must never
		// come again. This is rare: the library met an error of its own.
		nxadmTail.park(f.file)
	}()
}

// library is the part of nxadm/tail that a process has only once, and what has
// to be known of it for the whole process.
type library struct {
	once  sync.Once
	fatal chan struct{} // closed when it has given up

	mu     sync.Mutex
	files  map[string]bool // identities of the files that are followed
	parked []*os.File
}

// nxadmTail is global because the library's state is: one goroutine has one
// inotify instance for all its files.
var nxadmTail = &library{fatal: make(chan struct{}), files: make(map[string]bool)}

// maxFollowers bounds the followers of a process. Each takes two descriptors, an
// inotify watch and three goroutines, which a host with a thousand logs needs for
// reading them.
const maxFollowers = 16

var (
	errFatal = errors.New("nxadm/tail gave up")
	errTaken = errors.New("file is followed already, or too many are")
)

// begin makes the library safe to use, once: where nxadm/tail meets an error that
// it does not expect (no inotify instance is left, or a file system answers
// fstat(2) with ESTALE or EIO) it logs and calls os.Exit(1). What it logs through
// can be replaced, and the replacement ends the goroutine before it comes to the
// exit. Then the library's goroutine for the inotify instance is started, so that
// a failure is known before anything relies on it.
func (l *library) begin() error {
	l.once.Do(func() {
		util.LOGGER.SetOutput(l)
		ready := make(chan struct{})
		go func() {
			_ = nxwatch.Cleanup("") // of nothing: the first call of any kind starts it
			close(ready)
		}()
		select {
		case <-ready:
		case <-l.fatal:
		}
	})
	if l.gaveUp() {
		return errFatal
	}
	return nil
}

// Write takes what nxadm/tail says just before it calls os.Exit, and does not
// return.
func (l *library) Write([]byte) (int, error) {
	l.mu.Lock()
	if !l.gaveUp() {
		close(l.fatal)
	}
	l.mu.Unlock()
	runtime.Goexit()
	return 0, nil
}

func (l *library) gaveUp() bool {
	select {
	case <-l.fatal:
		return true
	default:
		return false
	}
}

// claim reserves a file. Two watches of one inode are one to inotify, and the
// first that goes takes the other's events with it.
func (l *library) claim(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files[key] || len(l.files) >= maxFollowers {
		return false
	}
	l.files[key] = true
	return true
}

func (l *library) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.files, key)
}

// forgotten waits until the library has no watch under path any more, which it
// shows by closing the path's channel of events. It is for a tail that has ended
// without an error: then either there was no watch or a goroutine is about to
// remove it. False means that the library gave up. watch.Cleanup would be no help:
// the path would be removed twice, and the library then counts one watch too few
// and never asks the kernel for the next one under that path.
func (l *library) forgotten(path string) bool {
	events := nxwatch.Events(path)
	for events != nil {
		select {
		case _, ok := <-events:
			if !ok {
				return true
			}
		case <-l.fatal:
			return false
		}
	}
	return true
}

// park keeps a descriptor's number taken for ever, and nothing else of it.
func (l *library) park(file *os.File) {
	if null, err := os.Open(os.DevNull); err == nil {
		_ = unix.Dup3(int(null.Fd()), int(file.Fd()), unix.O_CLOEXEC)
		_ = null.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked = append(l.parked, file)
}
