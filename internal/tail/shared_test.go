package tail

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// running is a Watcher that runs until the test ends.
func running(t *testing.T) *Watcher {
	t.Helper()
	w := NewWatcher(zerolog.New(zerolog.NewTestWriter(t)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// many starts a Tail for each of n logs of a folder, with one Memory and Watcher.
func many(t *testing.T, dir string, n, budget int, change func(*Config)) (paths []string, readers []*reader) {
	t.Helper()
	w, m := running(t), NewMemory(budget)
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("%03d.log", i))
		cfg := config(t, path)
		cfg.rescan, cfg.Watcher, cfg.Memory, cfg.Log = 0, w, m, zerolog.Nop()
		if change != nil {
			change(&cfg)
		}
		paths = append(paths, path)
		readers = append(readers, start(t, cfg))
	}
	return paths, readers
}

func TestManyTailsShareMemoryAndWatch(t *testing.T) {
	f := newFolder(t)
	const n, budget = 50, 6 * (8192 + frontierSize)
	paths, readers := many(t, f.dir, n, budget, func(c *Config) { c.buffer = 8192 })
	var writers sync.WaitGroup
	for _, path := range paths {
		writers.Go(func() {
			for i := 0; i < 2000; i += 100 {
				f.append(path, numbered(i, i+100))
			}
			must(t, os.Rename(path, path+".1"))
			f.append(path, numbered(2000, 2100))
		})
	}
	writers.Wait()
	for _, r := range readers {
		r.wants(numbered(0, 2100))
	}
	if used := readers[0].tail.pool.memory.InUse(); used != 0 {
		t.Errorf("memory in use by idle logs: %d, want none", used)
	}
}

// One whose blocks nobody releases holds all memory. Of what is given back it gets
// its share, and so do the others.
func TestLogWithABacklogDoesNotKeepOthersFromBeingRead(t *testing.T) {
	f := newFolder(t)
	paths, readers := many(t, f.dir, 3, 4*(4096+frontierSize), func(c *Config) { c.buffer = 4096 })
	hog := readers[0]
	hog.mu.Lock()
	hog.hold = true
	hog.mu.Unlock()
	f.append(paths[0], numbered(0, 10_000))
	eventually(t, "the memory to be used up", func() bool {
		hog.mu.Lock()
		defer hog.mu.Unlock()
		return len(hog.held) == 4
	})
	f.append(paths[1], numbered(0, 10))
	f.append(paths[2], numbered(0, 10))
	m := hog.tail.pool.memory
	eventually(t, "the others to queue", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.waiting) == 3
	})
	hog.mu.Lock()
	for _, b := range hog.held[:2] { // it has asked first, so one of them is for it
		b.Release()
	}
	hog.held = hog.held[2:]
	hog.mu.Unlock()
	readers[1].wants(numbered(0, 10))
	readers[2].wants(numbered(0, 10))
	hog.mu.Lock()
	hog.hold = false
	for _, b := range hog.held {
		b.Release()
	}
	hog.held = nil
	hog.mu.Unlock()
	hog.wants(numbered(0, 10_000))
}

// aged is a folder whose last change is so old that a listing of it is trusted.
func aged(t *testing.T, f *folder) {
	t.Helper()
	eventually(t, "the folder to be old enough", func() bool {
		info, err := os.Stat(f.dir)
		must(t, err)
		return time.Since(info.ModTime()) > settle
	})
}

// resting waits until looks at the folder are spared and as rare as they become.
func (r *reader) resting() {
	r.t.Helper()
	eventually(r.t, "looks to become rare", func() bool { return r.tail.atRest.Load() >= 0 })
}

// With looks spared the kernel's word has to bring all there is.
func TestRestingLogsAreReadWhenTheKernelSaysSo(t *testing.T) {
	f := newFolder(t)
	f.append(filepath.Join(f.dir, "000.log.3"), "")
	paths, readers := many(t, f.dir, 2, 1<<20, nil)
	f.append(paths[0], numbered(0, 10))
	f.append(paths[1], "a\n")
	readers[0].wants(numbered(0, 10))
	aged(t, f)
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"lines", func() { f.append(paths[0], numbered(10, 20)) }, 20},
		{"a rotation", func() {
			must(t, os.Rename(paths[0], paths[0]+".1"))
			f.append(paths[0], numbered(20, 30))
		}, 30},
		{"late lines in the rotated file", func() { f.append(paths[0]+".1", numbered(30, 40)) }, 40},
		{"lines in a rotated file that was empty", func() { f.append(paths[0]+".3", numbered(40, 50)) }, 50},
		{"a truncation", func() {
			must(t, os.Truncate(paths[0], 0))
			f.append(paths[0], numbered(50, 60))
		}, 60},
	} {
		readers[0].resting()
		step.do()
		readers[0].wants(numbered(0, step.want))
		t.Log(step.name)
	}
	readers[1].wants("a\n")
}

// Random programs with looks that are spared as soon as 20 ms after a change, five
// steps of the clock of file times, and with pauses in which that happens; several
// at a time, on one Memory and one Watcher.
func TestRandomProgramsOnSharedMemoryAndWatch(t *testing.T) {
	w, m := running(t), NewMemory(5*(4096+frontierSize))
	dir := t.TempDir()
	for i := range uint64(6) {
		seed := i
		if i >= 3 {
			seed = rand.Uint64()
		}
		t.Run(fmt.Sprintf("seed %d copying %v", seed, i%2 == 1), func(t *testing.T) {
			if i > 0 {
				t.Parallel()
			}
			// All in one folder: the changes of one log are looks for the others.
			p := &program{
				clock: t.TempDir(), folder: &folder{t: t, dir: dir, path: filepath.Join(dir, fmt.Sprintf("%c.log", 'a'+rune(i)))},
				rng: rand.New(rand.NewPCG(seed, 1)), last: -1, dealt: make(map[int]bool), may: make(map[int]bool),
				change: func(c *Config) { c.Watcher, c.Memory, c.settle = w, m, 20*time.Millisecond },
			}
			p.spans = []*span{{path: p.path}}
			p.w = p.writer(p.path)
			p.begin()
			for range 60 {
				switch p.rng.IntN(9) {
				case 0, 1, 2, 3:
					p.write()
				case 4, 5:
					p.rotate()
				case 6:
					if i%2 == 1 {
						p.copytruncate()
					}
				case 7:
					for range 20 {
						p.pause()
					}
				case 8:
					p.crash()
					p.write()
					p.rotate()
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

// BenchmarkFollowAmongMany is BenchmarkFollow for one of a thousand logs on one
// Watcher, all others quiet.
func BenchmarkFollowAmongMany(b *testing.B) {
	const logs = 1000
	dir := b.TempDir()
	w, m := NewWatcher(zerolog.Nop()), NewMemory(defaultBudget)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	defer func() { cancel(); running.Wait() }()
	var tails []*Tail
	for i := range logs {
		path := filepath.Join(dir, fmt.Sprintf("%04d.log", i))
		must(b, os.WriteFile(path, nil, 0o600))
		tail, err := New(Config{Path: path, Watcher: w, Memory: m, Log: zerolog.Nop()})
		must(b, err)
		tails = append(tails, tail)
		running.Go(func() { _ = tail.Run(ctx) })
	}
	live, err := os.OpenFile(filepath.Join(dir, "0500.log"), os.O_WRONLY|os.O_APPEND, 0)
	must(b, err)
	defer live.Close()
	line := append(bytes.Repeat([]byte("x"), 199), '\n')
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var waited []time.Duration
	eventually(b, "all to rest", func() bool {
		return !slices.ContainsFunc(tails, func(t *Tail) bool { return t.atRest.Load() < 0 })
	})
	for b.Loop() {
		<-tick.C
		at := time.Now()
		_, err := live.Write(line)
		must(b, err)
		block := <-tails[500].Blocks()
		waited = append(waited, time.Since(at))
		block.Release()
	}
	slices.Sort(waited)
	b.ReportMetric(float64(waited[len(waited)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waited[len(waited)*99/100].Microseconds()), "p99-µs")
}

func TestFolderThatIsReplacedIsWatchedAgain(t *testing.T) {
	f := newFolder(t)
	dir := filepath.Join(f.dir, "logs")
	must(t, os.Mkdir(dir, 0o700))
	paths, readers := many(t, dir, 1, 1<<20, nil)
	f.append(paths[0], numbered(0, 10))
	readers[0].wants(numbered(0, 10))
	for i := 1; i < 5; i++ {
		must(t, os.Rename(dir, fmt.Sprintf("%s.%d", dir, i)))
		must(t, os.Mkdir(dir, 0o700))
		f.append(paths[0], numbered(i*10, i*10+10))
		readers[0].wants(numbered(0, i*10+10))
	}
}

// inotify knows a folder by its inode: what it says of it concerns all its names.
func TestFolderWithTwoNamesIsHeardOfByBoth(t *testing.T) {
	f := newFolder(t)
	must(t, os.Mkdir(filepath.Join(f.dir, "a"), 0o700))
	must(t, os.Symlink("a", filepath.Join(f.dir, "b")))
	w := running(t)
	hear := func(dir string) (*Word, chan struct{}) {
		c := make(chan struct{}, 1)
		x := w.Names(filepath.Join(f.dir, dir), c)
		eventually(t, dir+" to be watched", func() bool { x.Ensure(); return x.works() })
		return x, c
	}
	a, heardA := hear("a")
	b, heardB := hear("b")
	must(t, os.WriteFile(filepath.Join(f.dir, "a", "1"), nil, 0o600))
	<-heardA
	<-heardB
	a.Leave() // whose name the watch had
	eventually(t, "b to be watched", func() bool { b.Ensure(); return b.works() })
	for len(heardB) > 0 {
		<-heardB
	}
	must(t, os.WriteFile(filepath.Join(f.dir, "a", "2"), nil, 0o600))
	<-heardB
	b.Leave()
}

func TestNamesAreHeardOfBySubscribersOfTheirFolder(t *testing.T) {
	w := running(t)
	a, b := t.TempDir(), t.TempDir()
	heardA, heardB := make(chan struct{}, 1), make(chan struct{}, 1)
	x, y := w.Names(a, heardA), w.Names(b, heardB)
	defer x.Leave()
	eventually(t, "both to be watched", func() bool {
		x.Ensure()
		y.Ensure()
		return x.works() && y.works()
	})
	for _, c := range []chan struct{}{heardA, heardB} {
		select { // of the watch's beginning
		case <-c:
		default:
		}
	}
	must(t, os.WriteFile(filepath.Join(a, "new"), nil, 0o600))
	<-heardA
	y.Leave()
	must(t, os.WriteFile(filepath.Join(b, "new"), nil, 0o600))
	must(t, os.Remove(filepath.Join(a, "new")))
	<-heardA
	select {
	case <-heardB:
		t.Error("heard of a folder after leaving it")
	default:
	}
}

func TestNamesThatAreNoLogsOfTheirOwn(t *testing.T) {
	logs := map[string]bool{"a.log": true, "b": true}
	for name, want := range map[string]string{
		"a.log": "", "a.log.1": "a.log", "a.log-20261122": "a.log", "a.log.old": "a.log",
		"a.log.1.gz": "a.log", "a.log.gz": "a.log", "a.log~": "a.log", "a.log.swp": "a.log", "a.log.2.zst": "a.log",
		"a.log.err": "", "c.log.1": "", "b.1": "b", "b-2026": "b", "bb.1": "", "a.logx": "", "": "", ".": "",
	} {
		got, rotated := RotatedFrom(name, func(base string) bool { return logs[base] })
		if got != want || rotated != (want != "") {
			t.Errorf("RotatedFrom(%q) = %q, %v; want %q", name, got, rotated, want)
		}
	}
	for name, want := range map[string]string{
		"a.log.1": "a.log", "a.log-20261122": "a.log", "app.2026-11-22": "app", "a.log": "", "app-1.log": "", "7": "", "x7": "", ".1": "",
	} {
		if got, ok := LooksRotated(name); got != want && ok {
			t.Errorf("LooksRotated(%q) = %q, want %q", name, got, want)
		}
	}
}

// Whatever a name is, what rotation made of a log has the log's name at its
// beginning and is not the log.
func FuzzRotatedFrom(f *testing.F) {
	for _, seed := range []string{"a.log.1", "a.log-20261122.gz", "..1", "a~", "a.b.c.9", "\xff.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base, rotated := RotatedFrom(name, func(string) bool { return true })
		if rotated && (len(base) >= len(name) || name[:len(base)] != base) {
			t.Errorf("RotatedFrom(%q) = %q", name, base)
		}
		if base, ok := LooksRotated(name); ok && !isRotated(base, name) {
			t.Errorf("LooksRotated(%q) = %q, of which it is not rotated", name, base)
		}
		Compressed(name)
	})
}
