package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What other shippers' tests are about and the files beside this one do not say
// yet, one story each.

func TestOneFileTruncatedFiftyTimes(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	at := 0
	for i := range 50 {
		must(t, os.WriteFile(f.path, []byte(numbered(at, at+i+1)), 0o600)) // truncates
		at += i + 1
		r.wants(numbered(0, at))
	}
}

func TestTruncationWhileNobodyTakesBlocks(t *testing.T) {
	f := newFolder(t)
	cfg := config(t, f.path)
	cfg.buffer, cfg.Budget = 4096, 2*(4096+frontierSize)
	f.write(numbered(0, 1000))
	r := start(t, cfg)
	r.mu.Lock()
	r.hold = true
	r.mu.Unlock()
	eventually(t, "blocks that are kept", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.held) == 2
	})
	before := len(r.got())
	must(t, os.WriteFile(f.path, []byte(numbered(5000, 5010)), 0o600))
	r.mu.Lock()
	for _, b := range r.held {
		b.Release()
	}
	r.held, r.hold = nil, false
	r.mu.Unlock()
	// What had not been read is gone with the truncation; what was read stays, and
	// the new lines are neither torn nor twice.
	eventually(t, "the new lines", func() bool {
		got := r.got()
		return len(got) > 0 && strings.HasPrefix(got[len(got)-1], "line 000005009")
	})
	got := r.got()
	same(t, got[:before], split(numbered(0, before)))
	same(t, got[len(got)-10:], split(numbered(5000, 5010)))
	for _, line := range got {
		if len(line) != 31 || !strings.HasPrefix(line, "line ") {
			t.Fatalf("torn line %q", line)
		}
	}
}

func TestRenameAloneBringsNothing(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	for i := range 10 {
		f.rotate(fmt.Sprintf(".%d", i))
		f.rename(fmt.Sprintf(".%d", i), "")
	}
	f.write(numbered(100, 101))
	r.wants(numbered(0, 101))
}

func TestFileMovedOutOfTheFolderIsReadToItsEnd(t *testing.T) {
	f := newFolder(t)
	away := t.TempDir()
	f.write(numbered(0, 100))
	w := f.writer(f.path)
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	must(t, os.Rename(f.path, filepath.Join(away, "gone")))
	f.write(numbered(110, 120))
	_, err := w.WriteString(numbered(100, 110))
	must(t, err)
	must(t, w.Close())
	r.wants(numbered(0, 120))
}

func TestDescriptorOfADeletedFileIsLetGo(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	r := start(t, config(t, f.path))
	r.wants(numbered(0, 100))
	must(t, os.Remove(f.path))
	eventually(t, "the descriptor is closed", func() bool {
		r.tail.mu.Lock()
		defer r.tail.mu.Unlock()
		return r.tail.gens[0].file == nil
	})
}

func TestDeletedAndMadeAgainUnderTheSameName(t *testing.T) {
	f := newFolder(t)
	r := start(t, config(t, f.path))
	at := 0
	for range 20 {
		f.write(numbered(at, at+10))
		at += 10
		r.wants(numbered(0, at))
		must(t, os.Remove(f.path))
	}
}

// One line, then two, then many, with a restart after each: the file is known by
// as much of it as there is.
func TestGrowingFileIsTheSameFile(t *testing.T) {
	f := newFolder(t)
	var s *State
	at := 0
	for _, n := range []int{1, 1, 8, 990, 1000} {
		f.write(numbered(at, at+n))
		s = f.read(s, numbered(at, at+n))
		at += n
	}
	f.nothing(s)
}

func TestHalfALineAcrossARestartIsOneLine(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10) + "hal")
	s := f.read(nil, numbered(0, 10))
	f.write("f a ")
	f.nothing(s)
	f.write("line\n")
	s = f.read(s, "half a line\n")
	f.nothing(s)
}

func TestPositionsAbove4GiB(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 10))
	must(t, os.Truncate(f.path, 5<<30)) // a hole
	f.write("\n")
	cfg := config(t, f.path)
	cfg.From = End
	r := start(t, cfg)
	eventually(t, "the decision", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.decisions) == 1
	})
	f.write(numbered(0, 100))
	r.wants(numbered(0, 100))
	s := r.state()
	if at := s.Generations[0].Offset; at != 5<<30+1+3200 {
		t.Fatalf("position: %d, want %d", at, 5<<30+1+3200)
	}
	f.write(numbered(100, 110))
	f.rotate(".1")
	f.write(numbered(110, 120))
	f.read(s, numbered(100, 120))
}

func TestEveryRotationIsCountedByWhatToldItsEnd(t *testing.T) {
	f := newFolder(t)
	reg := prometheus.NewRegistry()
	cfg := config(t, f.path)
	cfg.Metrics = NewMetrics(reg)
	r := start(t, cfg)
	for i := range 5 {
		f.write(numbered(i*10, i*10+10))
		r.wants(numbered(0, i*10+10))
		f.rotate(fmt.Sprintf(".%d", i))
	}
	must(t, os.WriteFile(f.path, []byte(numbered(50, 60)), 0o600))
	r.wants(numbered(0, 60))
	must(t, os.WriteFile(f.path, []byte(numbered(60, 61)), 0o600))
	r.wants(numbered(0, 61))
	want := map[string]float64{
		`logship_generations_retired_total by:"lease"`: 5, `logship_generations_retired_total by:"quiet"`: 0,
		`logship_rotations_total style:"renamed"`: 5, `logship_rotations_total style:"truncated"`: 1,
		`logship_rotations_total style:"deleted"`: 0, `logship_rotations_total style:"moved"`: 0, `logship_rotations_total style:"copied"`: 0,
		"logship_oldest_unread_seconds ": 0,
		"logship_truncations_total ":     1, "logship_abandoned_bytes_total ": 0, "logship_lines_too_long_total ": 0,
	}
	families, err := reg.Gather()
	must(t, err)
	got := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName() + " "
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf("%s:%q", l.GetName(), l.GetValue())
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, n := range want {
		if have, there := got[name]; !there || have != n {
			t.Errorf("%s: got %v (there: %v), want %v", name, have, there, n)
		}
	}
}

// The kernel's word ends when a folder is moved, also if it is back before anybody
// has looked.
func TestFolderThatIsMovedAwayAndBackIsWatchedAgain(t *testing.T) {
	f := newFolder(t)
	dir := filepath.Join(f.dir, "logs")
	must(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "events.log")
	f.append(path, "0\n")
	cfg := config(t, path)
	cfg.rescan = 0
	r := start(t, cfg)
	r.wants("0\n")
	r.tail.mu.Lock() // a busy moment
	must(t, os.Rename(dir, dir+".x"))
	must(t, os.Rename(dir+".x", dir))
	r.tail.mu.Unlock()
	eventually(t, "a line that is read at once", func() bool {
		n := len(r.got()) + 1
		at := time.Now()
		f.append(path, "1\n")
		eventually(t, "the line", func() bool { return len(r.got()) == n })
		return time.Since(at) < pollEvery/4
	})
	// That line may have been read by luck, in the look that finds out.
	eventually(t, "the log's folder is watched", func() bool { return len(r.tail.watch.watcher.WatchList()) == 1 })
}

func TestFilesThatWereLostAreForgottenInTheEnd(t *testing.T) {
	f := newFolder(t)
	var s *State
	for i := range 12 {
		must(t, os.RemoveAll(f.path))
		f.write(numbered(i*100, i*100+10))
		s = f.read(s, numbered(i*100, i*100+10))
	}
	running := handReader(t, f)
	running.cfg.State, running.nextNumber = s, s.Next
	running.read()
	last := s.Generations[len(s.Generations)-1]
	running.State(Mark{Position: Position{last.Number, last.Offset}, Before: last.Before})
	running.look(time.Now().Add(time.Hour), false)
	running.look(time.Now().Add(2*time.Hour), false)
	if n := len(running.gens); n > mostLost+1 {
		t.Errorf("%d files are remembered, want %d that were lost and the log", n, mostLost)
	}
}
