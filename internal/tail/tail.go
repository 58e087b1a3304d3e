// Package tail reads a log file that grows and rotates: every byte of it, in the
// order of the files it has consisted of.
//
// It hands over blocks of whole lines with their positions and, for any position
// that its user has dealt with, the state to go on from there after a restart.
// It knows nothing of what becomes of the lines. DESIGN.md says which rotations
// it follows, what it relies on, and where bytes can be lost.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	nxadm "github.com/nxadm/tail"
	"github.com/rs/zerolog"
)

// From is where reading begins at the very first start.
type From string

// The two places.
const (
	Beginning From = "beginning" // with the first line of the oldest file there is
	End       From = "end"       // with the first line that is not finished yet
)

// Config says what is read and how. Path is needed; the zero value of everything
// else stands for a default.
type Config struct {
	// Path is the log, an absolute path. Neither it nor its folder need exist.
	Path string
	// From counts at the first start only, when State is nil. The default is
	// Beginning.
	From From
	// State is what to go on from.
	State *State
	// MaxLine is the longest line in bytes, without newline, that is held in
	// memory; a longer one is handed over by reference (Block.TooLong). It is at
	// least 1 MiB, and 16 MiB by default.
	MaxLine int
	// Budget is the memory in bytes for blocks that are not released. Reading
	// waits while it is used up: the log is the buffer. The default is 16 MiB.
	// Memory, if it is set, stands in its place: a budget shared with other Tails.
	Budget int
	Memory *Memory
	// Watcher, if it is set, brings the kernel's word of changes; it has to run.
	// Without it the Tail has one of its own.
	Watcher *Watcher
	// Folder is where a compressed file is unpacked that has to be read, into a
	// file without a name. The default is os.TempDir().
	Folder string
	// Once ends Run at the end of what is there.
	Once bool
	// Reader is how the end of the live file is read. The default is ReaderAuto.
	Reader Reader
	// MayBeGone says that it is no trouble if there is no such file.
	MayBeGone bool
	// Changed is told why the log can't be read, and nil when it can again. Run
	// calls it.
	Changed func(err error)

	Log zerolog.Logger
	// Metrics are counted in, together with those of other Tails; nil for none.
	Metrics *Metrics

	// For tests.
	buffer                int
	rescan, quiet, linger time.Duration
	settle                time.Duration
	poll                  bool // as if the kernel did not report changes
	eager                 bool // follow whenever the end of the live file is reached
	late                  time.Duration
	tamper                func(<-chan *nxadm.Line) <-chan *nxadm.Line // stands between follower and Tail
}

const (
	defaultMaxLine = 16 << 20
	defaultBudget  = 16 << 20

	// rescanEvery and pollEvery are how often the directory is looked at, whether
	// or not something was reported: the first where the kernel reports changes.
	rescanEvery = time.Second
	pollEvery   = 200 * time.Millisecond
	// idleRescan is how rare looks become, each twice as late as the last, for one
	// of many logs while nothing comes and the kernel reports all there is.
	idleRescan = 8 * time.Second
	// quietTime is how long a rotated file must not have grown before it counts
	// as complete, where the kernel can't tell whether a writer has it open;
	// lingerTime is the same where a writer does have it open. Both only matter
	// while a later file waits. What comes still later is found as well, as long
	// as the file is in the directory, but then a line written in two parts may
	// be sent as two.
	quietTime  = 5 * time.Second
	lingerTime = time.Minute
	// coalesce is the least time between two reads at the end of a file that
	// bring more than burst lines each: a writer of 100,000 lines/s would
	// otherwise be answered line by line, which costs a core and slows the
	// writer. A slow writer is answered at once.
	coalesce = time.Millisecond
	burst    = 2
	// endPoll is how often the end of a rotated file is looked at while its
	// writer may still have it open. Nothing tells when a writer closes it.
	endPoll = 20 * time.Millisecond
	// keepOpen is how long a file stays open after it was read to its end.
	keepOpen = 2 * time.Second
	// forgetAfter is how long a finished file must have been gone before it is
	// forgotten: a rename while the directory is read can hide a name.
	forgetAfter = time.Minute
)

// Tail reads one log. Run uses it once.
type Tail struct {
	cfg     Config
	dir     string
	base    string
	log     zerolog.Logger
	pool    *claim
	blocks  chan *Block
	pending *Block // read, not handed over yet
	watch   *watch
	started bool // the first look at the directory has been taken
	// searched says that a position was looked for in vain once. It may have been
	// truncated and its copy made while that look was taken.
	searched bool

	scanned  time.Time // when the directory was last looked at
	rescan   bool      // it has to be looked at before the next read
	late     bool      // a rotated file was written
	full     bool      // some files could not be opened for want of descriptors
	held     bool      // there is a file that was truncated and waits for its copy
	empty    bool      // there is a rotated file with nothing in it
	unsure   bool      // there is a packed file that nobody has looked into
	listed   listing   // what the last whole look was taken of
	idle     int       // looks in a row that brought nothing
	lastRead time.Time
	busy     bool   // the last block had more than burst lines
	small    bool   // the log is followed: the next read will bring little
	need     int    // size of the buffer that the next line needs, 0 for the usual
	waiting  ending // what step met last
	follow   following
	kept     []byte // memory that a decision came before the use of

	folders   []string             // beside dir, where rotated files went
	leftSince map[string]time.Time // when one of them was seen first not to be there
	elsewhere []string             // files of the state, by their last paths

	counts *counts

	ctx        context.Context // Run's
	inspection *inspection     // of a packed file, under way
	inspected  map[string]*inspection
	beside     sync.WaitGroup // goroutines of inspections

	// What is wrong, most telling first, and what was said of it.
	dirErr, liveErr, readErr, restErr error
	problem                           problem

	// The generations are changed by Run's goroutine only, under mu, and read by
	// it without; others read them under mu.
	mu         sync.Mutex
	gens       []*generation          // by number
	byFile     map[string]*generation // the latest of each file
	nextNumber int64
	settled    int64 // generation of the latest mark given to State

	goal goal // what was there at the start

	// caughtUp is when everything there was had been read last, in nanoseconds.
	caughtUp atomic.Int64
	// atRest is what is unread while nothing comes and the kernel would say so, -1
	// while that has to be looked up.
	atRest atomic.Int64
}

// ending is why step has nothing to do.
type ending int

const (
	atWork  ending = iota
	atEnd          // of the live file, or there is none
	atTail         // of a rotated file that its writer may still have open
	starved        // until a block is released
)

// New returns a Tail; it does no I/O. An error means that the path is not
// absolute, that cfg.Reader is unknown, or that cfg.State can't be of a Tail's
// making.
func New(cfg Config) (*Tail, error) {
	if !filepath.IsAbs(cfg.Path) {
		return nil, fmt.Errorf("tail %q: path must be absolute", cfg.Path)
	}
	switch cfg.Reader {
	case "":
		cfg.Reader = ReaderAuto
	case ReaderAuto, ReaderBlock:
	default:
		return nil, fmt.Errorf("tail %s: reader must be auto or block, got %q", cfg.Path, cfg.Reader)
	}
	cfg.buffer = or(cfg.buffer, defaultBuffer)
	cfg.MaxLine = max(or(cfg.MaxLine, defaultMaxLine), cfg.buffer)
	shared := cfg.Memory != nil
	if !shared {
		cfg.Memory = NewMemory(or(cfg.Budget, defaultBudget))
	}
	cfg.quiet = or(cfg.quiet, quietTime)
	cfg.linger = or(cfg.linger, lingerTime)
	cfg.late = or(cfg.late, lateTime)
	cfg.settle = or(cfg.settle, settle)
	cfg.Path = filepath.Clean(cfg.Path)
	t := &Tail{
		cfg: cfg, dir: filepath.Dir(cfg.Path), base: filepath.Base(cfg.Path),
		log:    cfg.Log.With().Str("path", cfg.Path).Logger(),
		pool:   newClaim(cfg.Memory, cfg.buffer+frontierSize),
		blocks: make(chan *Block, 4),
		byFile: make(map[string]*generation), inspected: make(map[string]*inspection),
		ctx:   context.Background(),
		small: shared, // most of many logs have little to read
	}
	if cfg.State != nil {
		if err := cfg.State.check(); err != nil {
			return nil, fmt.Errorf("go on in %s: %w", cfg.Path, err)
		}
		t.nextNumber = cfg.State.Next
		t.folders = slices.Clone(cfg.State.Folders)
		for _, g := range cfg.State.Generations {
			if !g.Done && filepath.IsAbs(g.Name) && g.Name != cfg.Path {
				t.elsewhere = append(t.elsewhere, g.Name)
			}
		}
	}
	t.atRest.Store(-1)
	t.goal.through.Store(-1)
	t.counts = new(counts)
	if cfg.Metrics != nil {
		t.counts = &cfg.Metrics.counts
	}
	cfg.Metrics.add(t)
	return t, nil
}

func or[T int | time.Duration](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}

// Blocks returns the channel on which Run hands over what it reads. Whoever
// receives a block must release it. Nothing is read further ahead than the
// budget. The channel is closed when Run returns.
func (t *Tail) Blocks() <-chan *Block { return t.blocks }

// Run reads until ctx ends, which is no error. What is missing, unreadable or not
// a file is waited for. With Config.Once it returns at the end of what is there,
// with an error if there was nothing that could be read.
func (t *Tail) Run(ctx context.Context) error {
	t.ctx = ctx
	t.caughtUp.Store(time.Now().UnixNano())
	t.watch = newWatch(t.dir, t.log, t.cfg.poll || t.cfg.Watcher != nil)
	if t.cfg.Watcher != nil {
		t.watch.word = t.cfg.Watcher.join(t.dir, t.base, make(chan struct{}, 1))
	}
	defer t.cleanup()
	t.pool.turn(ctx, func() { t.look(time.Now(), false) })
	for ctx.Err() == nil {
		// Also while nobody takes blocks: a file that is opened can be read even
		// if it is rotated away and deleted meanwhile.
		moved := false
		t.pool.turn(ctx, func() {
			if t.late {
				t.late, t.rescan = false, t.rescan || t.lateLines()
			}
			if now := time.Now(); t.rescan || now.Sub(t.scanned) >= t.interval() {
				t.look(now, false)
			}
			moved = t.handOver() && t.step(time.Now())
			t.near()
		})
		switch {
		case moved:
			t.drainEvents()
		case t.cfg.Once && t.waiting == atEnd && t.pending == nil:
			return t.unreadable()
		default:
			t.wait(ctx)
		}
	}
	return nil
}

func (t *Tail) cleanup() {
	t.unfollow("end", 0)
	t.watch.close()
	t.beside.Wait()
	t.takeInspection()
	t.dropInspected(nil)
	if t.kept != nil {
		t.pool.give(t.kept)
	}
	t.pool.abandon()
	close(t.blocks)
	t.follow.wait(goneTime)
	if t.pending != nil {
		t.pending.Release()
	}
	t.cfg.Metrics.remove(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.gens {
		g.close()
	}
}

// unreadable is the error of a Once that could not read all there is. That the
// log is just being rotated is none.
func (t *Tail) unreadable() error {
	if len(t.gens) > 0 && errors.Is(t.problem.err, fs.ErrNotExist) {
		return nil
	}
	return t.problem.err
}

// interval is the time between two looks at the directory.
func (t *Tail) interval() time.Duration {
	switch {
	case t.cfg.rescan > 0:
		return t.cfg.rescan
	case t.watch.works():
		return min(rescanEvery<<t.idle, idleRescan)
	}
	return pollEvery
}

// handOver tries to get rid of the pending block without waiting.
func (t *Tail) handOver() bool {
	if t.pending == nil {
		return true
	}
	select {
	case t.blocks <- t.pending:
		t.handedOver()
		return true
	default:
		return false
	}
}

func (t *Tail) handedOver() {
	t.pending = nil
	t.goal.sent.Add(1)
}

// wait blocks until there may be something to do.
func (t *Tail) wait(ctx context.Context) {
	now := time.Now()
	if quiet := coalesce - now.Sub(t.lastRead); quiet > 0 && t.busy && t.pending == nil {
		// Events pile up as one in the kernel meanwhile.
		sleep(ctx, quiet)
	}
	timer := time.NewTimer(t.longest(now))
	defer timer.Stop()
	var freed <-chan struct{}
	if t.waiting == starved {
		freed = t.pool.freed
	}
	var out chan<- *Block
	if t.pending != nil {
		out = t.blocks
	}
	select {
	case <-ctx.Done():
	case out <- t.pending:
		t.handedOver()
	case <-freed:
	case line, ok := <-t.follow.source():
		t.follow.got(line, ok)
	case e := <-t.watch.events():
		t.event(e)
		t.drainEvents()
	case <-t.watch.heard():
		t.hear()
	case err := <-t.watch.errors():
		t.watch.failed(err)
		t.rescan = true
	case <-timer.C:
	}
}

// longest is how long to wait if nothing happens.
func (t *Tail) longest(now time.Time) time.Duration {
	until := t.scanned.Add(t.interval()).Sub(now)
	due := t.follow.due
	switch {
	case t.waiting == atTail:
		until = min(until, endPoll)
	case t.waiting == atEnd && t.pending == nil && t.follow.follower != nil && !due.IsZero():
		until = min(until, due.Sub(now))
	}
	return max(0, until)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
