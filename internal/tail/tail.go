// Package tail reads a log file through rotation, restarts and absence. It hands
// over whole lines with their positions; what happens to them is not its
// business. DESIGN.md says what it promises and what it does not.
package tail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// From is where reading begins at the very first start.
type From string

// The two places.
const (
	Beginning From = "beginning" // with the first line of the file
	End       From = "end"       // with the first line that is not finished yet
)

const (
	bufferSize = 1 << 20
	// coalesce is how long a wake-up is held back, so that a busy writer costs one
	// read per few milliseconds and not one per write.
	coalesce = 2 * time.Millisecond
	// pollEvery is the rescan that finds what no event told of.
	pollEvery = 250 * time.Millisecond
	// quiet is how long a rotated file must not have grown before it counts as
	// finished, where the kernel can't tell whether somebody writes to it.
	quiet = time.Second
	// patience is how long a rotated file that somebody keeps open for writing,
	// and does not write to, holds up the files after it.
	patience = 10 * time.Second
)

// Config is what a Tail works with.
type Config struct {
	// Path is the log, an absolute path. Neither it nor its folder need exist.
	Path string
	// From counts at the first start only, when State is nil.
	From  From
	State *State
	// MaxLine is the longest line in bytes that is held in memory; a longer one is
	// handed over by reference (Block.TooLong).
	MaxLine int
	// Budget is the memory for blocks that are not released. Reading waits while
	// it is used up; the log is the buffer.
	Budget int
	// Once ends Run when everything that is there has been read.
	Once bool
	// Changed is told why nothing can be read, and nil when it can again.
	Changed    func(err error)
	Log        zerolog.Logger
	Registerer prometheus.Registerer
}

// Tail is one log. Run uses it once.
type Tail struct {
	cfg    Config
	dir    string
	base   string
	blocks chan *Block
	pool   *pool
	wake   *watch
	first  bool // nothing was ever read of this log

	scanned time.Time // when the directory was looked at last
	listed  bool      // and whether that worked
	liveErr error     // why the live file can't be read

	cond    error     // told by Changed last
	badFrom time.Time // since when something stands in the way; zero if nothing does

	mu         sync.Mutex // guards what follows, and the offsets of generations
	gens       []*generation
	byFile     map[string]*generation // the newest in each file
	nextNumber int64
	settled    int64 // generations below are behind the durable position
}

// New prepares a Tail. It reads nothing; the error says that the state is not one
// that a Tail has made.
func New(cfg Config) (*Tail, error) {
	t := &Tail{
		cfg: cfg, dir: filepath.Dir(cfg.Path), base: filepath.Base(cfg.Path),
		blocks: make(chan *Block), pool: newPool(bufferSize, cfg.Budget),
		byFile: make(map[string]*generation), first: cfg.State == nil, settled: -1,
	}
	if cfg.State != nil {
		if err := t.restore(cfg.State); err != nil {
			return nil, err
		}
	}
	newMetrics(cfg.Registerer, t)
	return t, nil
}

// restore takes the generations of an earlier run. Their files are found by the
// first scan.
func (t *Tail) restore(s *State) error {
	if err := s.check(); err != nil {
		return err
	}
	t.nextNumber = s.Next
	now := time.Now()
	for _, gs := range s.Generations {
		g := &generation{
			number: gs.Number, id: gs.File, name: gs.Name, head: gs.Head,
			start: gs.Offset, startBefore: slices.Clone(gs.Before), offset: gs.Offset, before: slices.Clone(gs.Before),
			size: gs.Offset, grown: now, ended: gs.Done, copied: gs.Copy, missing: now,
		}
		t.gens = append(t.gens, g)
		t.byFile[g.id.key()] = g
	}
	return nil
}

// Blocks is what Run reads. It is closed when Run returns.
func (t *Tail) Blocks() <-chan *Block { return t.blocks }

// Run reads until ctx ends, or, with Once, until everything that is there has
// been read. What can't be read is waited for; the error is always nil.
func (t *Tail) Run(ctx context.Context) error {
	defer close(t.blocks)
	t.wake = newWatch(t.dir, t.cfg.Log)
	defer t.wake.close()
	defer t.closeFiles()
	for {
		if t.wake.structural() || time.Since(t.scanned) >= pollEvery {
			t.scan()
		}
		if t.first {
			// Which bytes the first start left out is nowhere else to be seen.
			t.first = false
			nowhere := Position{Generation: -1}
			if !t.emit(ctx, &Block{Decision: true, Start: nowhere, End: nowhere, pool: t.pool}) {
				return nil
			}
		}
		atEnd, err := t.readAll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		t.tell(err)
		if t.cfg.Once && atEnd {
			return nil
		}
		if !t.wake.wait(ctx) {
			return nil
		}
	}
}

// readAll reads generations in order until there is nothing more to be had now.
// atEnd says that nothing is left unread in any of them; err is what stands in
// the way.
func (t *Tail) readAll(ctx context.Context) (atEnd bool, err error) {
	for ctx.Err() == nil {
		if t.wake.structural() {
			t.scan() // a rename just now says which file comes next
		}
		g := t.current()
		if g == nil {
			return true, t.liveErr
		}
		if g.file == nil {
			return false, fmt.Errorf("open %s: waiting for it: %w", g.name, cmp.Or(t.liveErr, error(unix.ENOENT)))
		}
		p, buf, err := t.readBlock(ctx, g)
		if buf == nil && err == nil {
			return false, nil // ctx ended
		}
		switch {
		case errors.Is(err, errChanged):
			t.pool.give(buf)
			t.truncated(g)
		case err != nil:
			t.pool.give(buf)
			return false, err
		case p.buf != nil:
			if ok, err := t.handOver(ctx, g, p); !ok {
				return false, err
			}
		default:
			t.pool.give(buf)
			before := g.offset
			done, err := t.retire(ctx, g)
			if err != nil || !done && g.offset == before {
				return g.live, err
			}
		}
	}
	return false, nil
}

// current is the generation to read from: the first that has not ended. One of
// an earlier run may have no file yet.
func (t *Tail) current() *generation {
	for _, g := range t.gens {
		if !g.ended && g.file == nil && t.listed && !g.missing.IsZero() && t.scanned.Sub(g.missing) > quiet {
			t.lost(g)
		}
		if !g.ended {
			return g
		}
	}
	return nil
}

// lost ends a generation of an earlier run whose file is in the directory no
// more.
func (t *Tail) lost(g *generation) {
	t.cfg.Log.Error().Str("path", g.name).Int64("generation", g.number).Int64("offset", g.offset).
		Msg("rotated file is gone, what was not read of it is lost")
	t.end(g)
}

func (t *Tail) end(g *generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.ended = true
	g.close()
}

// readBlock reads whole lines, in a buffer that is large enough for at least
// one. An empty piece means end of file. Without a buffer and an error, ctx has
// ended.
func (t *Tail) readBlock(ctx context.Context, g *generation) (piece, []byte, error) {
	size := bufferSize
	for {
		buf := t.take(ctx, size)
		if buf == nil {
			return piece{}, nil, nil
		}
		p, err := g.read(buf, t.cfg.MaxLine)
		if err != nil || (!p.more && p.need == 0) {
			return p, buf, err
		}
		t.pool.give(buf)
		size = max(bufferSize, p.need)
	}
}

// take waits for memory.
func (t *Tail) take(ctx context.Context, size int) []byte {
	for {
		if buf := t.pool.take(size); buf != nil {
			return buf
		}
		select {
		case <-t.pool.freed:
		case <-ctx.Done():
			return nil
		}
	}
}

// handOver moves past a piece and emits it. It is not ok if ctx has ended or
// something stands in the way; the piece's memory is given back then.
func (t *Tail) handOver(ctx context.Context, g *generation, p piece) (ok bool, err error) {
	next := g.offset + int64(len(p.data))
	if p.tooLong > 0 {
		next = g.offset + p.tooLong
	}
	head, err := g.longerHead(next)
	b := &Block{Data: p.data, Lines: 1, Read: time.Now(), TooLong: p.tooLong, buf: p.buf, pool: t.pool}
	if err == nil && p.tooLong > 0 {
		b.file, err = duplicate(g.file)
	}
	if errors.Is(err, errChanged) {
		t.pool.give(p.buf)
		t.truncated(g)
		return true, nil
	}
	if err != nil {
		t.pool.give(p.buf)
		return false, err
	}
	if p.tooLong == 0 {
		b.Lines = countLines(p.data)
	}
	t.mu.Lock()
	b.Start.Generation, b.End.Generation = g.number, g.number
	b.Start.Offset, b.End.Offset = g.accept(p, head, b.Read)
	t.mu.Unlock()
	t.tell(nil)
	return t.emit(ctx, b), nil
}

func (t *Tail) emit(ctx context.Context, b *Block) bool {
	select {
	case t.blocks <- b:
		return true
	case <-ctx.Done():
		b.Release()
		return false
	}
}

// truncated begins anew at the start of a generation's file.
func (t *Tail) truncated(g *generation) {
	t.cfg.Log.Warn().Str("path", g.name).Int64("offset", g.offset).
		Msg("log was truncated, reading it from its beginning; what was not read before is lost")
	t.mu.Lock()
	defer t.mu.Unlock()
	next := &generation{number: t.nextNumber, id: g.id, name: g.name, file: g.file, live: g.live, grown: time.Now()}
	t.nextNumber++
	g.file, g.ended = nil, true
	t.byFile[g.id.key()] = next
	t.gens = append(t.gens, next)
}

// tell reports a condition when it changes. What is over within a moment, as the
// absence of the live file in the middle of a rotation, is not reported.
func (t *Tail) tell(err error) {
	if err == nil {
		t.badFrom = time.Time{}
	} else if t.badFrom.IsZero() {
		t.badFrom = time.Now()
	}
	if err != nil && t.cond == nil && len(t.gens) > 0 && time.Since(t.badFrom) < quiet {
		return
	}
	switch {
	case err == nil && t.cond == nil, err != nil && t.cond != nil && err.Error() == t.cond.Error():
		return
	case err == nil:
		t.cfg.Log.Info().Str("path", t.cfg.Path).Msg("log can be read again")
	default:
		t.cfg.Log.Warn().Err(err).Msg("log can't be read, waiting for it")
	}
	t.cond = err
	if t.cfg.Changed != nil {
		t.cfg.Changed(err)
	}
}

// Unread is how many bytes there are that were not read yet. It may be called
// from any goroutine.
func (t *Tail) Unread() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var unread int64
	for _, g := range t.gens {
		if g.ended || g.file == nil {
			continue
		}
		if info, err := g.file.Stat(); err == nil {
			unread += max(0, info.Size()-g.offset)
		}
	}
	return unread
}

// Generations is how many files are being read or wait for it. It may be called
// from any goroutine.
func (t *Tail) Generations() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, g := range t.gens {
		if !g.ended {
			n++
		}
	}
	return n
}

func (t *Tail) closeFiles() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.gens {
		g.close()
	}
}
