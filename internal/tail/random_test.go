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
	rng     *rand.Rand
	w       *os.File
	next    int // number of the next line
	half    bool
	files   int // rotated so far
	reader  *reader
	state   *State
	from    int // number of the first line that the reader has to read
	copying bool
	clock   string       // another folder
	dealt   map[int]bool // numbers of lines dealt with before a crash, if copying
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
	for range p.rng.IntN(300) {
		b.WriteString(p.line() + "\n")
		p.next++
	}
	if p.rng.IntN(3) == 0 {
		b.WriteString(p.line()[:8])
		p.half = true
	}
	p.put(b.String())
}

func (p *program) rotate() {
	if info, err := p.w.Stat(); err != nil || info.Size() == 0 {
		return // an empty rotated file is left alone until it has bytes, and then is late
	}
	p.files++
	switch p.rng.IntN(3) {
	case 0: // as logrotate
		for n := 40; n > 0; n-- {
			from := fmt.Sprintf("%s.%d", p.path, n)
			if _, err := os.Stat(from); err == nil {
				must(p.t, os.Rename(from, fmt.Sprintf("%s.%d", p.path, n+1)))
			}
		}
		p.folder.rotate(".1")
	default:
		p.folder.rotate(fmt.Sprintf("-20261122%05d", p.files))
	}
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
}

// copytruncate is without its own window: nothing is written between copy and
// truncation.
func (p *program) copytruncate() {
	p.finish()
	if info, err := p.w.Stat(); err != nil || info.Size() < headSize {
		return // so short a copy is read, to be safe
	}
	p.files++
	p.copyFile(fmt.Sprintf("-20261122%05d", p.files))
	must(p.t, p.w.Truncate(0))
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
	n := len(p.reader.settled)
	if n == 0 {
		return
	}
	i := p.rng.IntN(n)
	p.state = p.reader.stateAt(i)
	p.from += p.reader.settled[i].lines
	p.deal(p.reader.settled[i].lines)
}

func (p *program) deal(n int) {
	for _, line := range p.reader.got()[:n] {
		p.dealt[p.number(line)] = true
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
	cfg.State, cfg.buffer, cfg.Budget = p.state, 4096, 16384
	p.reader = start(p.t, cfg)
}

// check compares what the reader has read with what it had to: with renames
// alone, each line after the one before it. A truncated file has no such order
// yet, and there it is only checked in the end that none is missing.
func (p *program) check() {
	p.t.Helper()
	last := p.from - 1
	for i, line := range p.reader.got() {
		n := p.number(line)
		if n != last+1 && !p.copying {
			p.t.Fatalf("line %d: got number %d after %d", i, n, last)
		}
		last = n
	}
}

// missing is the first line that nobody has read.
func (p *program) missing() int {
	read := make(map[int]bool)
	for _, line := range p.reader.got() {
		read[p.number(line)] = true
	}
	for n := range p.next {
		if !read[n] && !p.dealt[n] {
			return n
		}
	}
	return -1
}

func TestRandomPrograms(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64(), rand.Uint64()}
	for _, copying := range []bool{false, true} {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("seed %d copying %v", seed, copying), func(t *testing.T) {
				t.Parallel()
				p := &program{clock: t.TempDir(), folder: newFolder(t), rng: rand.New(rand.NewPCG(seed, 0)), copying: copying, dealt: make(map[int]bool)}
				p.w = p.writer(p.path)
				p.begin()
				for range 60 {
					switch p.rng.IntN(8) {
					case 0, 1, 2, 3:
						p.write()
					case 4, 5:
						p.rotate()
					case 6:
						if copying {
							p.copytruncate()
						}
					case 7:
						p.crash()
						for range p.rng.IntN(3) { // rotations while nobody reads
							p.write()
							p.rotate()
						}
						p.begin()
					}
				}
				p.finish()
				must(t, p.w.Close())
				eventually(t, "no line is missing", func() bool { return p.missing() < 0 })
				p.check()
			})
		}
	}
}
