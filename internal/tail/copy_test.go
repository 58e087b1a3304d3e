package tail

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// byHand is a Tail that looks and reads when told.
type byHand struct {
	*Tail
	t    *testing.T
	text string
	last Mark
}

func handReader(t *testing.T, f *folder) *byHand {
	tail, err := New(config(t, f.path))
	must(t, err)
	tail.watch = newWatch(f.dir, tail.log, true)
	t.Cleanup(tail.cleanup)
	return &byHand{Tail: tail, t: t}
}

// read looks and reads all there is.
func (h *byHand) read() {
	h.look(time.Now(), false)
	for h.step(time.Now()) {
		h.take()
	}
}

// block reads one block of lines, and the decisions before it.
func (h *byHand) block() {
	for text := h.text; h.text == text; h.take() {
		if !h.step(time.Now()) {
			h.t.Fatal("there is no block to read")
		}
	}
}

func (h *byHand) take() {
	if b := h.pending; b != nil {
		h.text += string(b.Data)
		h.last = b.Mark(b.End.Offset, nil)
		b.Release()
		h.pending = nil
	}
}

// copytruncate copies a log without its last lines, which were written between
// copy and truncation.
func (f *folder) copytruncate(to string, window int) {
	f.t.Helper()
	text, err := os.ReadFile(f.path)
	must(f.t, err)
	must(f.t, os.WriteFile(f.path+to, text[:len(text)-window], 0o600))
	must(f.t, os.Truncate(f.path, 0))
}

func TestCopyThatEndsBeforeThePositionIsNotReadAgain(t *testing.T) {
	for _, lines := range []int{30, 1000, 100_000} {
		for _, window := range []int{1, 32, 10 * 32, lines * 32 / 4} {
			t.Run(fmt.Sprintf("%d lines, %d bytes read that are not in the copy", lines, window), func(t *testing.T) {
				f := newFolder(t)
				f.write(numbered(0, lines))
				running := handReader(t, f)
				running.read()
				state := running.State(running.last)
				f.copytruncate(".1", window)
				f.write(numbered(lines, lines+10))
				running.read()
				same(t, split(running.text), split(numbered(0, lines+10)))
				f.nothing(f.read(&state, numbered(lines, lines+10)))
			})
		}
	}
}

func TestSeveralCopytruncatesBetweenTwoLooksAreReadInOrder(t *testing.T) {
	for _, read := range []int{0, 50} {
		t.Run(fmt.Sprintf("%d lines were read before", read), func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, read))
			running := handReader(t, f)
			running.read()
			state := running.State(running.last)
			for i := range 3 {
				f.write(numbered(50*i+read, 50*i+50+read))
				f.copytruncate(fmt.Sprintf("-2026112%d", i), 0)
			}
			f.write(numbered(150+read, 200))
			running.read()
			same(t, split(running.text), split(numbered(0, 200)))
			f.nothing(f.read(&state, numbered(read, 200)))
		})
	}
}

func TestUnreadFileThatIsTruncatedWhileDownIsReadInOrder(t *testing.T) {
	for name, rotate := range map[string]func(*folder){
		"and truncated again": func(f *folder) { f.copytruncate("-20261122", 0) },
		"and renamed":         func(f *folder) { f.rotate("-20261122") },
	} {
		t.Run(name, func(t *testing.T) { testUnreadFile(t, rotate) })
	}
}

func TestUnreadFilesKeepTheirOrderThroughARestart(t *testing.T) {
	f := newFolder(t)
	for i := range 3 {
		f.write(numbered(50*i, 50*i+50))
		f.rotate(fmt.Sprintf("-2026112%d", i))
	}
	f.write(numbered(150, 200))
	running := handReader(t, f)
	running.look(time.Now(), false)
	running.block()
	f.copyFile("-20261123") // of which the live file's head is known
	running.look(time.Now(), false)
	state := running.State(running.last)
	f.nothing(f.read(&state, numbered(50, 200)))
}

func testUnreadFile(t *testing.T, rotate func(*folder)) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	f.rotate("-20261120")
	f.write(numbered(50, 100))
	running := handReader(t, f)
	running.look(time.Now(), false)
	running.block()
	same(t, split(running.text), split(numbered(0, 50)))
	state := running.State(running.last) // knows the live file, of which nothing was read
	f.copytruncate("-20261121", 0)
	f.write(numbered(100, 150))
	rotate(f)
	f.write(numbered(150, 200))
	f.nothing(f.read(&state, numbered(50, 200)))
}

func TestCopyOfAFileThatIsTruncatedDuringTheLookIsNotReadAgain(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.write(numbered(100, 150))
	f.copyFile(".1")
	s, err := running.survey(make(map[string]*found))
	must(t, err)
	must(t, os.Truncate(f.path, 0))
	running.learn(s, nil, time.Now())
	s.close()
	f.write(numbered(150, 200))
	running.read()
	same(t, split(running.text), split(numbered(0, 200)))
}

func TestCopyOfWhatWasNotReadYetIsKnown(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	f.write(numbered(100, 150))
	f.copyFile(".1")
	running.read()
	same(t, split(running.text), split(numbered(0, 150)))
}

func TestCopyThatIsBeingMadeAtAStartIsKnown(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	s := f.read(nil, numbered(0, 100))
	f.rotate(".2")
	f.write(numbered(100, 200))
	must(t, os.WriteFile(f.path+".1", []byte(numbered(100, 150)), 0o600))
	f.nothing(f.read(s, numbered(100, 200)))
}

// A generation was read ahead into the window, and crash came before anything of
// it was dealt with. What its copy has can still be read.
func TestGenerationThatEndedBeyondItsCopyIsReadFromIt(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	running := handReader(t, f)
	running.read()
	dealt := running.last
	f.rotate("-20261120")
	f.write(numbered(50, 150))
	running.read()
	f.copytruncate("-20261121", 10*32)
	f.write(numbered(150, 200))
	running.read()
	same(t, split(running.text), split(numbered(0, 200)))
	state := running.State(dealt)
	f.nothing(f.read(&state, numbered(50, 140)+numbered(150, 200)))
}

func TestCopyThatIsMadeDuringTheLookIsReadOn(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	state := running.State(running.last)
	f.write(numbered(100, 150))
	again := handReader(t, f)
	again.cfg.State = &state
	var surveys []*survey
	for _, h := range []*byHand{running, again} {
		s, err := h.survey(make(map[string]*found))
		must(t, err)
		surveys = append(surveys, s)
	}
	f.copytruncate(".1", 0)
	f.write(numbered(150, 160))
	for i, h := range []*byHand{running, again} {
		if more := h.learn(surveys[i], nil, time.Now()); more != (h == again) {
			t.Errorf("reader %d: got %t for another survey", i, more)
		}
		surveys[i].close()
		h.read()
	}
	same(t, split(running.text), split(numbered(0, 160)))
	same(t, split(again.text), split(numbered(100, 160)))
}

func TestUnreadFileThatIsTruncatedAndRenamedIsReadInOrder(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	f.rotate("-20261120")
	f.write(numbered(50, 100))
	running := handReader(t, f)
	running.look(time.Now(), false)
	f.copytruncate("-20261121", 0)
	f.write(numbered(100, 150))
	f.rotate("-20261122")
	f.write(numbered(150, 200))
	running.read()
	same(t, split(running.text), split(numbered(0, 200)))
}

func TestFileThatIsTruncatedBeforeItsTurnIsReadInOrder(t *testing.T) {
	for name, look := range map[string]bool{"with a look at each copy": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 50))
			f.rotate("-20261120")
			f.write(numbered(50, 100))
			running := handReader(t, f)
			running.look(time.Now(), false)
			for i := range 3 {
				f.copyFile(fmt.Sprintf("-2026112%d", i+1))
				if look {
					running.look(time.Now(), false)
				}
				must(t, os.Truncate(f.path, 0))
				f.write(numbered(100+50*i, 150+50*i))
				if look {
					running.look(time.Now(), false)
				}
			}
			for running.step(time.Now()) { // without a look of ours
				running.take()
			}
			running.read()
			same(t, split(running.text), split(numbered(0, 250)))
		})
	}
}

func TestEndOfAGenerationIsKeptThroughRestarts(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.look(time.Now(), false)
	running.step(time.Now())
	begin := running.pending.Mark(0, nil)
	running.take()
	f.write(numbered(100, 150))
	f.copytruncate(".1", 0)
	f.write(numbered(150, 160))
	running.read() // the first 100 lines are one generation, the rest of the copy another
	same(t, split(running.text), split(numbered(0, 160)))
	state := running.State(begin)
	again := handReader(t, f)
	again.cfg.State, again.nextNumber = &state, state.Next
	again.look(time.Now(), false)
	state = again.State(begin)
	f.read(&state, numbered(0, 160))
}

// Whoever leaves out by position what comes again after a crash must find the
// same positions, wherever the lines are by then.
func TestLinesKeepTheirPositionsInACopy(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 100))
	running := handReader(t, f)
	running.read()
	state := running.State(Mark{Position: Position{Generation: running.last.Generation}})
	again := handReader(t, f)
	again.cfg.State, again.nextNumber = &state, state.Next
	again.look(time.Now(), false)
	f.write(numbered(100, 150))
	f.copytruncate(".1", 0) // before anything was read again
	again.read()
	same(t, split(again.text), split(numbered(0, 150)))
	if want := (Position{running.last.Generation, 150 * 32}); again.last.Position != want {
		t.Errorf("position after the rest in the copy: got %s, want %s", again.last.Position, want)
	}
}

// The rest of a generation has the trail of what it goes on from, and its own end.
func TestTrailsOfTwoGenerationsAreTwo(t *testing.T) {
	f := newFolder(t)
	running := handReader(t, f)
	var begin Mark
	for i := range 40 {
		f.write(numbered(25*i, 25*i+25))
		running.read()
		if i == 0 {
			begin = running.last
		}
	}
	f.write(numbered(1000, 1030))
	f.copytruncate(".1", 0)
	f.write(numbered(1030, 1040))
	running.read()
	same(t, split(running.text), split(numbered(0, 1040)))
	state := running.State(begin)
	must(t, state.check())
	f.nothing(f.read(&state, numbered(25, 1040)))
}

// It is deleted, or moved where nobody looks, while the directory is looked at.
func TestFileThatGoesWhileItIsFoundIsRead(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 50))
	f.rotate(".1")
	f.write(numbered(50, 100))
	running := handReader(t, f)
	opened := make(map[string]*found)
	_, _, err := running.list(opened)
	must(t, err)
	must(t, os.Remove(f.path+".1"))
	s, _, err := running.list(opened)
	must(t, err)
	running.learn(s, nil, time.Now())
	s.close()
	running.read()
	same(t, split(running.text), split(numbered(0, 100)))
}

// The crumbs are few, and where a copy is likely to end they are close.
func TestTrailIsDenseOnlyNearItsEnd(t *testing.T) {
	data := []byte(numbered(0, 32_768)) // 1 MiB
	var trail []Crumb
	offset := int64(0)
	for _, n := range []int{1 << 20, 32, 64, 1 << 12, 1 << 20, 1 << 20, 512, 1 << 20} {
		buf := data[:n]
		if offset > 0 { // with the frontier
			buf = append(data[len(data)-frontierSize:len(data):len(data)], data[:n]...)
		}
		trail = strew(trail, buf, n, offset)
		offset += int64(n)
		for i, c := range trail {
			if i > 0 && c.Offset <= trail[i-1].Offset {
				t.Fatalf("crumb at %d after %d", c.Offset, trail[i-1].Offset)
			}
		}
	}
	if len(trail) > 40 {
		t.Errorf("got %d crumbs for %d bytes, want about two for each doubling", len(trail), offset)
	}
	for back := int64(1024); back < offset/4; back *= 2 {
		upTo := upTo(trail, offset-back)
		if n := len(upTo); n == 0 || upTo[n-1].Offset < offset-4*back {
			t.Errorf("no crumb between %d and %d before the end: %v", back, 4*back, upTo)
		}
	}
}

// A log may be truncated in the moment in which its copy is known by it. What shows
// that the copy has to be read in its place is the copy's head, then.
func TestLogThatIsTruncatedWhileItsCopyIsComparedIsNotForgotten(t *testing.T) {
	f := newFolder(t)
	old, next := numbered(0, 200), numbered(200, 400)
	f.write(old)
	f.copyFile(".1")
	tail := looked(t, f, small(t, f))
	file, err := os.Open(f.path)
	must(t, err)
	defer file.Close()
	id, st, err := identify(file)
	must(t, err)
	g := &generation{id: id, name: f.path, file: file, live: true, size: st.Size}
	tail.number(g)
	copied, err := os.Open(f.path + ".1")
	must(t, err)
	defer copied.Close()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := f.writer(f.path)
		defer w.Close()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			text := old
			if i%2 > 0 {
				text = next
			}
			_ = w.Truncate(0)
			_, _ = w.WriteString(text)
		}
	}()
	known := 0
	for known < 2000 {
		g.head = nil
		begin := make(beginnings)
		begin.add(g)
		if tail.original(&found{path: f.path + ".1", file: copied, size: int64(len(old))}, begin) == nil {
			continue
		}
		known++
		if string(g.head) != old[:headSize] {
			t.Errorf("the copy was known, and by the head %.20q…", g.head)
			break
		}
	}
	close(stop)
	<-done
	g.file = nil
}

// What a truncation takes is counted by the size that the file had before it.
func TestBytesThatATruncationTookAreCounted(t *testing.T) {
	f := newFolder(t)
	f.write(numbered(0, 1000))
	tail := looked(t, f, small(t, f))
	now := time.Now()
	tail.look(now, false)
	tail.step(now) // the decision
	tail.pending.Release()
	tail.handedOver()
	tail.step(now)
	read := tail.pending.End.Offset
	tail.pending.Release()
	tail.handedOver()
	must(t, os.Truncate(f.path, 0))
	tail.look(now, true)
	if want, got := int64(len(numbered(0, 1000)))-read, tail.counts.abandoned.Load(); got != want {
		t.Errorf("%d bytes are counted as abandoned, want %d", got, want)
	}
}
