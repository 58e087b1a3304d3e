package tail

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Files that look alike and are none of another's copies. What is taken for a copy
// is not read, so each of these would be a loss that nobody is told of.

// banner is a header longer than what is remembered of a file's beginning.
var banner = strings.Repeat("=", 299) + "\n"

// wide are lines from…to of 100 bytes each that begin differently and end alike.
func wide(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%08d %s\n", i, strings.Repeat("p", 90))
	}
	return b.String()
}

func TestFileThatEndsALittleBeforeAnotherOneDidIsRead(t *testing.T) {
	for name, later := range map[string]string{"": "", "and another file was read since": "x\n"} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			f.write(banner + wide(0, 100))
			running := handReader(t, f)
			running.read()
			if later != "" {
				f.rotate(".9")
				f.write(later)
				running.read()
			}
			state := running.State(running.last)
			f.rotate(".2")
			f.write(banner + wide(100, 195)) // five lines fewer: the same bytes where it ends
			f.rotate(".1")
			f.write("y\n")
			f.nothing(f.read(&state, banner+wide(100, 195)+"y\n"))
		})
	}
}

// Jobs that write the same header and the same footer, and as much between them.
func TestFilesOfTheSameHeaderAndFooterAreAllRead(t *testing.T) {
	job := func(i int) string {
		return banner + numbered(i*100, i*100+100) + strings.Repeat("-", 599) + "\n"
	}
	f := newFolder(t)
	for i := range 3 {
		f.write(job(i))
		f.rotate(fmt.Sprintf("-2026010%d", i))
	}
	f.write("x\n")
	s := f.read(nil, job(0)+job(1)+job(2)+"x\n")
	f.rotate("-20260103") // and of a job that came while we were down
	f.write(job(3))
	f.rotate("-20260104")
	f.write("y\n")
	f.nothing(f.read(s, job(3)+"y\n"))
}

func TestLargeFilesAreComparedAllOver(t *testing.T) {
	f := newFolder(t)
	size := int64(3*comparedWhole + 12_345)
	for _, name := range []string{"a", "b", "c"} {
		f.append(f.path+name, "")
		must(t, os.Truncate(f.path+name, size))
	}
	w, err := os.OpenFile(f.path+"c", os.O_WRONLY, 0)
	must(t, err)
	_, err = w.WriteAt([]byte(strings.Repeat("x", 4*comparedPiece)), size/2)
	must(t, err)
	must(t, w.Close())
	open := func(name string) *os.File {
		file, err := os.Open(f.path + name)
		must(t, err)
		t.Cleanup(func() { file.Close() })
		return file
	}
	a, b, c := open("a"), open("b"), open("c")
	if !sameText(a, b, size) || sameText(a, c, size) {
		t.Errorf("sameText: got %v for the same bytes and %v for others, want true and false", sameText(a, b, size), sameText(a, c, size))
	}
}

// Its descriptor is still open then, and what it leads to is no copy of itself.
func TestRotatedFileThatIsRewrittenInPlaceIsRead(t *testing.T) {
	for _, wait := range []time.Duration{0, keepOpen + time.Second} {
		t.Run(fmt.Sprintf("%s after its end", wait), func(t *testing.T) {
			f := newFolder(t)
			f.write(numbered(0, 100))
			running := handReader(t, f)
			running.read()
			f.rotate(".1")
			f.write(numbered(100, 110))
			running.read()
			running.look(time.Now().Add(wait), false)
			must(t, os.WriteFile(f.path+".1", []byte(numbered(110, 220)), 0o600)) // the same inode
			running.read()
			same(t, split(running.text), split(numbered(0, 220)))
		})
	}
}

// As `cp events.log events.log.1; : > events.log` does each day.
func TestCopyOverTheCopyOfTheDayBeforeIsRead(t *testing.T) {
	for _, seen := range []bool{true, false} {
		for _, wait := range []time.Duration{0, keepOpen + time.Second} {
			for _, restart := range []bool{true, false} {
				t.Run(fmt.Sprintf("the first one seen before the truncation %v, the second %s later, over a restart %v", seen, wait, restart), func(t *testing.T) {
					f := newFolder(t)
					f.write(numbered(0, 100))
					running := handReader(t, f)
					running.read()
					f.copyFile(".1")
					if seen {
						running.read()
					}
					must(t, os.Truncate(f.path, 0))
					running.read()
					running.look(time.Now().Add(wait), false)
					if restart {
						state, text := running.State(running.last), running.text
						running = handReader(t, f)
						running.cfg.State, running.nextNumber, running.text = &state, state.Next, text
					}
					f.write(numbered(100, 300)) // nobody takes blocks, or nobody is there
					f.copyFile(".1")            // the same inode
					must(t, os.Truncate(f.path, 0))
					f.write(numbered(300, 310))
					running.read()
					running.read()
					same(t, split(running.text), split(numbered(0, 310)))
				})
			}
		}
	}
}
