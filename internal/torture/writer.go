package torture

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// inode is a file of the log. Where it is truncated another epoch begins in it.
type inode struct {
	epoch *epoch
	refs  int // writers that have it open
	live  bool
}

// folder is the directory of the log that is written. All that changes a file
// happens under the ledger's lock, so that it is known what a truncation found.
type folder struct {
	*ledger
	dir, path string
	live      *inode // what the path names, nil if nothing
}

func newFolder(dir string, l *ledger) *folder {
	return &folder{ledger: l, dir: dir, path: filepath.Join(dir, "events.log")}
}

// create makes the file that the path names.
func (d *folder) create() error {
	f, err := os.OpenFile(d.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	d.live = &inode{epoch: d.begin(), live: true}
	return f.Close()
}

// unlink lets the path name nothing, by what do does. The file may still be
// written by those who have it open.
func (d *folder) unlink(do func() error) (*inode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := do(); err != nil {
		return nil, err
	}
	n := d.live
	d.live, n.live = nil, false
	d.release(n)
	return n, nil
}

// release ends an epoch that nobody can add to any more.
func (d *folder) release(n *inode) {
	if n.refs == 0 && !n.live {
		d.close(n.epoch)
	}
}

// open opens the path for writing, and makes the file if there is none.
func (d *folder) open() (*handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live == nil {
		if err := d.create(); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	d.live.refs++
	return &handle{folder: d, file: f, inode: d.live}, nil
}

// handle is a file that one writer has open.
type handle struct {
	*folder
	file  *os.File
	inode *inode

	// A line is written by one write, or, buffered, up to 4 KiB together,
	// whatever their last line is.
	buffered bool
	buf      []byte
	pieces   []piece
}

const bufferSize = 4096

// close writes what is buffered and lets go of the file.
func (h *handle) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.flush(true)
	h.inode.refs--
	h.release(h.inode)
	return errors.Join(err, h.file.Close())
}

// put writes the next line.
func (h *handle) put() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	seq := h.number()
	was := len(h.buf)
	h.buf = h.text.line(h.buf, seq)
	h.pieces = append(h.pieces, piece{seq, 0, uint16(len(h.buf) - was)})
	return h.flush(!h.buffered)
}

// flush writes what is full, or everything.
func (h *handle) flush(all bool) error {
	for len(h.buf) >= bufferSize || all && len(h.buf) > 0 {
		n, err := h.file.Write(h.buf[:min(bufferSize, len(h.buf))])
		h.buf = h.buf[:copy(h.buf, h.buf[n:])]
		for n > 0 {
			p := h.pieces[0]
			if size := int(p.to - p.from); size <= n {
				h.pieces = h.pieces[:copy(h.pieces, h.pieces[1:])]
				n -= size
			} else {
				p.to = p.from + uint16(n)
				h.pieces[0].from = p.to
				n = 0
			}
			h.add(h.inode.epoch, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writer writes lines at a rate to whatever file it has open.
type writer struct {
	*handle
	rate  int
	tasks chan func() // to be done between two lines
}

// reopen lets go of the file and opens the path.
func (w *writer) reopen() error {
	if err := w.close(); err != nil {
		return err
	}
	h, err := w.open()
	if err != nil {
		return err
	}
	h.buffered = w.buffered
	w.handle = h
	return nil
}

// run writes until stop is closed. A writer that is behind does not try to catch
// up for ever.
func (w *writer) run(stop <-chan struct{}) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	from, n := time.Now(), 0
	for {
		select {
		case <-stop:
			return w.close()
		case task := <-w.tasks:
			task()
			continue
		case <-tick.C:
		}
		due := int(time.Since(from).Seconds() * float64(w.rate))
		if due-n > w.rate/20 {
			from, n, due = time.Now(), 0, w.rate/20
		}
		for ; n < due; n++ {
			if n%128 == 0 {
				select {
				case task := <-w.tasks:
					task()
				default:
				}
			}
			if err := w.put(); err != nil {
				return err
			}
		}
	}
}
