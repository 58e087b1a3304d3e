package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is a random sequence of what writers, rotation and crashes do to a
// log, against what has to be read: line after line.
type program struct {
	*folder
	rng    *rand.Rand
	w      *os.File
	next   int // number of the next line
	half   bool
	files  int // rotated so far
	reader *reader
	state  *State
	last   int          // number of the last line dealt with before a crash
	clock  string       // another folder
	dealt  map[int]bool // numbers of lines dealt with before a crash
	// may are the lines that need not be read: truncated in place, or in a file
	// that nobody can find any more since its reader crashed.
	may    map[int]bool
	spans  []*span // the files, the live one last
	follow bool
	stalls bool // some readers are not listened to for a while
	change func(*Config)
	there  int   // number of the next line when the reader began
	mark   *Mark // where it began, nil at the first start
}

// span is the lines of one file, which nobody else has: all from from on, up to
// to if the file is not the live one any more.
type span struct {
	from, to int
	path     string
	gone     bool // deleted, or where no new reader looks
}

func (p *program) line() string { return fmt.Sprintf("%08d %s", p.next, "................") }

func (p *program) put(text string) {
	p.t.Helper()
	_, err := p.w.WriteString(text)
	must(p.t, err)
}

// finish ends a line that is half written.
func (p *program) finish() {
	if p.half {
		p.put(p.line()[8:] + "\n")
		p.next, p.half = p.next+1, false
	}
}

func (p *program) write() {
	p.finish()
	var b strings.Builder
	most := 300
	if p.follow {
		most = 20 // more would be a backlog, which is read in blocks
	}
	for range p.rng.IntN(most) {
		b.WriteString(p.line() + "\n")
		p.next++
	}
	if p.rng.IntN(3) == 0 {
		b.WriteString(p.line()[:8])
		p.half = true
	}
	p.put(b.String())
	if p.follow && p.rng.IntN(2) == 0 {
		p.pause()
	}
}

// note says what was done, in the log of a test that failed.
func (p *program) note(format string, args ...any) {
	p.t.Logf("%d lines: "+format, append([]any{p.next}, args...)...)
}

func (p *program) live() *span { return p.spans[len(p.spans)-1] }

func (p *program) rotate() {
	if info, err := p.w.Stat(); err != nil || info.Size() == 0 {
		return // an empty rotated file is left alone until it has bytes, and then is late
	}
	p.files++
	old := p.live()
	switch p.rng.IntN(4) {
	case 0: // as logrotate
		for n := 60; n > 0; n-- {
			from := fmt.Sprintf("%s.%d", p.path, n)
			if _, err := os.Stat(from); err == nil {
				to := fmt.Sprintf("%s.%d", p.path, n+1)
				must(p.t, os.Rename(from, to))
				for _, s := range p.spans {
					if s.path == from {
						s.path = to
					}
				}
			}
		}
		old.path = p.path + ".1"
	case 1:
		if p.held(p.path) { // a reader follows it anywhere
			old.path, old.gone = filepath.Join(p.clock, fmt.Sprintf("old-%d", p.files)), true
			break
		}
		fallthrough
	default:
		old.path = fmt.Sprintf("%s-20261122%05d", p.path, p.files)
	}
	p.note("rename to %s", old.path)
	must(p.t, os.Rename(p.path, old.path))
	if p.rng.IntN(2) == 0 { // a writer that reopens late, after a new file is there
		must(p.t, os.WriteFile(p.path, nil, 0o600))
		for range p.rng.IntN(3) {
			p.write()
			p.pause()
		}
	}
	p.finish()
	must(p.t, p.w.Close())
	p.pause()
	p.w = p.writer(p.path)
	old.to = p.next
	p.spans = append(p.spans, &span{from: p.next, path: p.path})
}

// held tells whether this process has a file open for reading.
func (p *program) held(path string) bool {
	want, err := os.Stat(path)
	must(p.t, err)
	fds, err := os.ReadDir("/proc/self/fd")
	must(p.t, err)
	for _, fd := range fds {
		link := "/proc/self/fd/" + fd.Name()
		if got, err := os.Stat(link); err == nil && os.SameFile(got, want) {
			// Not the writer's, and not one that was opened to look only (O_PATH).
			if info, err := os.Lstat(link); err == nil && info.Mode()&0o600 == 0o400 {
				return true
			}
		}
	}
	return false
}

// delete deletes a rotated file. A reader that has it open reads it all the same.
func (p *program) delete() {
	s := p.spans[p.rng.IntN(len(p.spans))]
	if s == p.live() || s.gone {
		return
	}
	if !p.held(s.path) {
		p.excuse(s)
	}
	p.note("delete %s", s.path)
	must(p.t, os.Remove(s.path))
	s.gone = true
}

func (p *program) excuse(s *span) {
	for n := s.from; n < s.to; n++ {
		p.may[n] = true
	}
}

// truncate destroys what was not read.
func (p *program) truncate() {
	p.finish()
	s := p.live()
	s.to = p.next
	p.excuse(s)
	p.note("truncate")
	must(p.t, p.w.Truncate(0))
	s.from = p.next
}

// copytruncate is without its own window: nothing is written between copy and
// truncation.
func (p *program) copytruncate() {
	p.finish()
	if info, err := p.w.Stat(); err != nil || info.Size() < headSize {
		return // so short a copy is read, to be safe
	}
	p.files++
	s := p.live()
	p.note("copy and truncate, %d", p.files)
	p.copyFile(fmt.Sprintf("-20261122%05d", p.files))
	must(p.t, p.w.Truncate(0))
	p.pause()
	p.spans = append(p.spans[:len(p.spans)-1],
		&span{from: s.from, to: p.next, path: fmt.Sprintf("%s-20261122%05d", p.path, p.files)},
		&span{from: p.next, path: p.path})
}

// pause waits until the kernel's clock of file times has moved, so that the order
// of the files can be told.
func (p *program) pause() {
	probe := filepath.Join(p.clock, "probe")
	var first time.Time
	eventually(p.t, "the clock moves", func() bool {
		must(p.t, os.WriteFile(probe, []byte("x"), 0o600))
		info, err := os.Stat(probe)
		must(p.t, err)
		if first.IsZero() {
			first = info.ModTime()
		}
		return info.ModTime().Sub(first) > 5*time.Millisecond
	})
}

// crash ends the reader; the next one goes on at some position that this one
// may have dealt with.
func (p *program) crash() {
	p.reader.stop()
	p.check()
	if n := len(p.reader.settled); n > 0 {
		i := p.rng.IntN(n)
		p.state, p.mark = p.reader.stateAt(i), &p.reader.settled[i].mark
		p.deal(p.reader.settled[i].lines)
	} else if p.mark != nil && p.rng.IntN(2) == 0 {
		p.state = p.reader.stateFor(*p.mark) // stored once more, with what is known of the files by now
	}
	p.note("crash, going on after line %d", p.last)
	for _, s := range p.spans {
		if s.gone {
			p.excuse(s)
		}
	}
}

func (p *program) deal(n int) {
	for _, line := range p.reader.got()[:n] {
		p.last = p.number(line)
		p.dealt[p.last] = true
	}
}

func (p *program) number(line string) (n int) {
	p.t.Helper()
	if _, err := fmt.Sscanf(line, "%08d ................", &n); err != nil || len(line) != 25 {
		p.t.Fatalf("line is torn: %q", line)
	}
	return n
}

func (p *program) begin() {
	cfg := config(p.t, p.path)
	if p.follow {
		cfg = eager(cfg)
	}
	cfg.State, cfg.buffer, cfg.Budget = p.state, 4096, 16384
	cfg.quiet, cfg.linger = patience, patience // a writer may be slow, but it closes its file
	if p.change != nil {
		p.change(&cfg)
	}
	p.there = p.next
	var stall chan struct{}
	if p.stalls && p.rng.IntN(3) == 0 {
		stall = make(chan struct{})
	}
	p.reader = startStalled(p.t, cfg, stall)
}

// check compares what the reader has read with what it had to: each line after
// the one before it.
func (p *program) check() {
	p.t.Helper()
	p.checkReached()
	last := p.last
	for i, line := range p.reader.got() {
		n := p.number(line)
		if n <= last {
			p.t.Fatalf("line %d: got number %d after %d", i, n, last)
		}
		for last++; last < n; last++ {
			if !p.may[last] {
				p.t.Fatalf("line %d: got number %d, but %d is missing", i, n, last)
			}
		}
	}
}

// checkReached checks that no line that was there when the reader began came after
// it had said that all had come.
func (p *program) checkReached() {
	p.t.Helper()
	if p.reader.reached < 0 {
		return
	}
	read := make(map[int]bool)
	for _, line := range p.reader.got()[:p.reader.reached] {
		read[p.number(line)] = true
	}
	for n := p.last + 1; n < p.there; n++ {
		if !read[n] && !p.may[n] {
			p.t.Fatalf("said that the lines up to %d have all come, but %d has not", p.there, n)
		}
	}
}

// missing is the first line that nobody has read.
func (p *program) missing() int {
	read := make(map[int]bool)
	for _, line := range p.reader.got() {
		read[p.number(line)] = true
	}
	for n := range p.next {
		if !read[n] && !p.dealt[n] && !p.may[n] {
			return n
		}
	}
	return -1
}

func TestRandomPrograms(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64(), rand.Uint64()}
	for i := range 4 {
		truncating, follow := i%2 > 0, i/2 > 0
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("seed %d truncating %t following %t", seed, truncating, follow), func(t *testing.T) {
				t.Parallel()
				t.Logf("seed %d", seed)
				p := &program{
					clock: t.TempDir(), folder: newFolder(t), rng: rand.New(rand.NewPCG(seed, 0)),
					last: -1, follow: follow, stalls: true, dealt: make(map[int]bool), may: make(map[int]bool),
				}
				p.spans = []*span{{path: p.path}}
				p.w = p.writer(p.path)
				p.begin()
				for range 80 {
					switch p.rng.IntN(10) {
					case 0, 1, 2, 3:
						p.write()
					case 4, 5:
						p.rotate()
					case 6:
						p.delete()
					case 7:
						if truncating {
							p.copytruncate()
						}
					case 8:
						if truncating && p.rng.IntN(2) == 0 {
							p.truncate()
						}
					case 9:
						if p.rng.IntN(2) == 0 {
							p.reader.goOn()
							continue
						}
						p.crash()
						for range p.rng.IntN(3) { // rotations while nobody reads
							p.write()
							p.rotate()
						}
						p.begin()
					}
				}
				p.finish()
				p.reader.goOn()
				must(t, p.w.Close())
				eventually(t, "no line is missing", func() bool { return p.missing() < 0 })
				p.check()
				eventually(t, "what was there has come", func() bool { return p.reader.tail.Reached() || p.reader.waitsForDecision() })
			})
		}
	}
}

// waitsForDecision tells whether a file was lost and nothing has come since.
func (r *reader) waitsForDecision() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.settled) == 0 && len(r.lines) == 0
}
