package logfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// fakeDisk is a disk with one path, whose files take as many bytes as room says.
type fakeDisk struct {
	mu      sync.Mutex  // held while anything is used or changed
	files   []*fakeFile // by inode number; all that ever were
	at      int         // which of them is at the path; -1 is none
	openErr error
	room    int   // bytes that still fit
	full    error // what a write beyond it gives
	onWrite func()
}

type fakeFile struct {
	disk        *fakeDisk
	data        []byte
	open        bool
	truncateErr error
	broken      error // what every write gives, until the file is opened anew
}

var (
	_ disk = (*fakeDisk)(nil)
	_ file = (*fakeFile)(nil)
)

func newFakeDisk() *fakeDisk { return &fakeDisk{at: -1, room: 1 << 30, full: unix.ENOSPC} }

// change does to the disk what someone else does while the Writer is at work.
func (d *fakeDisk) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *fakeDisk) open(string) (opened, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.openErr != nil {
		return opened{}, d.openErr
	}
	if d.at < 0 {
		d.files = append(d.files, &fakeFile{disk: d})
		d.at = len(d.files) - 1
	}
	f := d.files[d.at]
	f.open, f.broken = true, nil
	return opened{file: f, id: identity{ino: uint64(d.at)}}, nil
}

func (d *fakeDisk) identify(string) (identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at < 0 {
		return identity{}, unix.ENOENT
	}
	return identity{ino: uint64(d.at)}, nil
}

func (f *fakeFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.open {
		return 0, errors.New("written after close")
	}
	if f.broken != nil {
		return 0, f.broken
	}
	if f.disk.onWrite != nil {
		f.disk.onWrite()
	}
	n := min(len(p), f.disk.room)
	f.data = append(f.data, p[:n]...)
	f.disk.room -= n
	if n < len(p) {
		return n, f.disk.full
	}
	return n, nil
}

func (f *fakeFile) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.data)), nil
}

func (f *fakeFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.truncateErr != nil {
		return f.truncateErr
	}
	f.data = f.data[:size]
	return nil
}

func (f *fakeFile) Repair() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	half, err := unterminated(bytes.NewReader(f.data), int64(len(f.data)))
	f.data = f.data[:int64(len(f.data))-half]
	return half, err
}

func (f *fakeFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.open = false
	return nil
}

// rig is a Writer with all that it reports to.
type rig struct {
	*Writer
	logs  *bytes.Buffer
	state []string // what Changed was told
}

func newRig(make func(Options) *Writer) *rig {
	r := &rig{logs: new(bytes.Buffer)}
	r.Writer = make(Options{
		Log: zerolog.New(r.logs), Registerer: prometheus.NewRegistry(),
		Changed: func(err error) { r.state = append(r.state, fmt.Sprint(err)) },
	})
	return r
}

func onDisk(d disk) *rig {
	return newRig(func(o Options) *Writer {
		w := newWriter("events.log", o)
		w.disk = d
		return w
	})
}

func atPath(path string) *rig {
	return newRig(func(o Options) *Writer { return New(path, o) })
}

// errorCount is eventgen_write_errors_total for one reason.
func (r *rig) errorCount(errno string) float64 {
	return testutil.ToFloat64(r.metrics.errors.WithLabelValues(errno))
}

func (r *rig) warnings() int { return strings.Count(r.logs.String(), `"level":"warn"`) }

// cancelled is a context for a single attempt.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// lines makes n numbered lines of equal length, from number i.
func lines(i, n int) []byte {
	var b bytes.Buffer
	for ; n > 0; n-- {
		fmt.Fprintf(&b, "{\"n\":%09d}\n", i)
		i++
	}
	return b.Bytes()
}

const lineLen = 16
