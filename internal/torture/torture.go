// Package torture proves that a reader of log files loses and repeats nothing.
//
// It writes numbered lines to a log, rotates it in every known way, kills the
// reader with SIGKILL at random, and compares what the reader has recorded with
// what was written, byte for byte and in order. What a rotation destroys by
// itself (the window of copytruncate, a truncation in place, a deletion) is known
// exactly, since the harness does it, and is counted apart.
//
// The reader is a process of its own: Reader, or any other program that appends
// to the same kind of Output.
package torture

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say what one run does.
type Options struct {
	Style    Style
	Without  Style         // left out of Mixed, if not ""
	Rate     int           // lines/s
	Interval time.Duration // between rotations; 0 for 5 ms to 5 s at random
	Buffered bool          // the writer writes 4 KiB at a time, whatever line that cuts
	Kills    time.Duration // between two kills of the reader, on average; 0 for none
	Duration time.Duration // how long it is written
	Seed     uint64        // of everything that is random
	Where    string        // what to call the file system of Dir
	// Dir is an empty folder for the log and all else.
	Dir string
	// Reader makes the process that reads. Once is for the last one, which ends by
	// itself at the end of what is there.
	Reader func(r Reader) *exec.Cmd
	// Settle, if set, returns when all that the reader has put anywhere is in its
	// Output. What is there is then a topic's: each generation a partition, in which
	// there is an order.
	Settle func() error
	// Patience is how long nothing new may come before what is missing counts as
	// missing.
	Patience time.Duration
}

// Result is what came of a run.
type Result struct {
	Options
	Count
	Lines, Files int // written; files of the log, and truncations
	Rotations    int
	Bytes        int64
	Killed       int
	CPU          time.Duration // of all readers
	Elapsed      time.Duration
	Examples     []string // of what is wrong
}

// run is what goes on during Run.
type run struct {
	Options
	ledger *ledger
	judge  *judge
	reader Reader
	rng    *rand.Rand
	stderr io.Writer

	life sync.Mutex // held while the reader is killed
	cmd  *exec.Cmd  // nil if none runs
	cpu  time.Duration
	kill int
}

// Run writes, rotates, kills and counts. An error means that it could not do so,
// or that the reader ended by itself. The log of the readers is in the folder.
func Run(o Options) (Result, error) {
	logDir := filepath.Join(o.Dir, "log")
	if err := os.MkdirAll(filepath.Join(logDir, "old"), 0o700); err != nil {
		return Result{}, err
	}
	stderr, err := os.Create(filepath.Join(o.Dir, "reader.log"))
	if err != nil {
		return Result{}, err
	}
	defer stderr.Close()
	l := newLedger(newText(o.Seed))
	if o.Settle != nil {
		l.lanes = make(map[int64]spot)
	}
	d := newFolder(logDir, l)
	out := filepath.Join(o.Dir, "lines")
	r := &run{
		Options: o, ledger: l, stderr: stderr,
		judge:  &judge{ledger: l, path: out},
		reader: Reader{Path: d.path, Out: out, State: filepath.Join(o.Dir, "state")},
		rng:    rand.New(rand.NewPCG(o.Seed, 2)),
	}
	defer r.judge.close()
	defer r.end()
	started := time.Now()
	rot, err := r.write(d)
	if err == nil {
		err = r.finish()
	}
	res := Result{
		Options: o, Lines: int(l.next), Files: len(l.epochs), Rotations: rot.n, Bytes: l.bytes,
		Killed: r.kill, CPU: r.cpu, Elapsed: time.Since(started),
	}
	res.Count, res.Examples = l.verdict()
	return res, err
}

// write writes for the duration, while the reader is killed and started again.
func (r *run) write(d *folder) (*rotator, error) {
	h, err := d.open()
	if err != nil {
		return &rotator{}, err
	}
	h.buffered = r.Buffered
	w := &writer{handle: h, rate: r.Rate, tasks: make(chan func())}
	rot := &rotator{
		folder: d, style: r.Style, without: r.Without, interval: r.Interval, writer: w, whole: !r.Buffered,
		rng: rand.New(rand.NewPCG(r.Seed, 3)), held: r.held, inLife: r.inLife,
	}
	stop, stopWriter := make(chan struct{}), make(chan struct{})
	var group errgroup.Group
	group.Go(func() error { return w.run(stopWriter) })
	group.Go(func() error {
		defer close(stopWriter)
		if r.Style == NoRotation {
			<-stop
			return nil
		}
		return rot.run(stop)
	})
	group.Go(func() error {
		for pause(stop, 5*time.Millisecond) {
			if err := r.judge.catchUp(); err != nil {
				return err
			}
		}
		return nil
	})
	err = r.lives()
	close(stop)
	return rot, errors.Join(err, group.Wait())
}

// lives starts the reader and kills it, again and again.
func (r *run) lives() error {
	deadline := time.Now().Add(r.Duration)
	for {
		if err := r.start(false); err != nil {
			return err
		}
		left := time.Until(deadline)
		if r.Kills == 0 {
			time.Sleep(left)
			return nil
		}
		// It lives for three quarters of the time on average.
		time.Sleep(min(left, time.Duration(r.rng.Int64N(int64(r.Kills)*3/2))))
		if time.Until(deadline) <= 0 {
			return nil // reads on
		}
		if err := r.killReader(); err != nil {
			return err
		}
		r.kill++
		time.Sleep(time.Duration(r.rng.Int64N(int64(r.Kills)) / 2))
	}
}

func (r *run) start(once bool) error {
	r.life.Lock()
	defer r.life.Unlock()
	reader := r.reader
	reader.Once = once
	r.cmd = r.Reader(reader)
	r.cmd.Stderr = r.stderr
	return r.cmd.Start()
}

// killReader kills the reader and takes into account what it has recorded and
// what it can never read any more.
func (r *run) killReader() error {
	return r.inLife(func() error {
		if r.cmd == nil {
			return nil
		}
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		state := r.cmd.ProcessState
		r.cpu += state.UserTime() + state.SystemTime()
		r.cmd = nil
		if state.Exited() {
			return fmt.Errorf("reader ended by itself: %s", state)
		}
		err := r.judge.catchUp()
		r.ledger.killed()
		return err
	})
}

func (r *run) end() { _ = r.killReader() }

func (r *run) inLife(do func() error) error {
	r.life.Lock()
	defer r.life.Unlock()
	return do()
}

// held tells whether the reader has a file open.
func (r *run) held(path string) bool {
	if r.cmd == nil {
		return false
	}
	want, err := os.Stat(path)
	if err != nil {
		return false
	}
	dir := fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid)
	fds, _ := os.ReadDir(dir)
	for _, fd := range fds {
		link := filepath.Join(dir, fd.Name())
		got, err := os.Stat(link)
		if err != nil || !os.SameFile(got, want) {
			continue
		}
		// What was opened to look only (O_PATH) can't be read.
		if info, err := os.Lstat(link); err == nil && info.Mode()&0o400 != 0 {
			return true
		}
	}
	return false
}

// finish waits until everything was read, or nothing comes any more, and lets a
// last reader look whether there is something that it would read again.
func (r *run) finish() error {
	read, since := -1, time.Now()
	for !r.ledger.complete() && time.Since(since) < r.Patience {
		if err := r.judge.catchUp(); err != nil {
			return err
		}
		if n := r.ledger.taken(); n != read {
			read, since = n, time.Now()
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := r.killReader(); err != nil {
		return err
	}
	if r.Kills == 0 {
		return nil // it may be one that does not know how to go on
	}
	if err := r.start(true); err != nil {
		return err
	}
	return r.inLife(func() error {
		err := r.cmd.Wait()
		r.cmd = nil
		if err == nil && r.Settle != nil {
			err = r.Settle()
		}
		return errors.Join(err, r.judge.catchUp())
	})
}

func (l *ledger) taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count.Read
}
