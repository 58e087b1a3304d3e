package ship

import (
	"fmt"
	"math/rand"
	"os"
	"slices"
	"testing"
	"time"
)

// rotate renames the log.
func (r *rig) rotate(n int) {
	r.t.Helper()
	if err := os.Rename(r.log(), r.rotated(n)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) rotated(n int) string { return fmt.Sprintf("%s-20261122%05d", r.log(), n) }

// A rotated file may be deleted while a killed process is down. Of its lines those that
// were not sent are lost; of the files after it no line is lost or there twice, though
// the place of a lost one in the numbering is not known any more.
func TestFileThatIsGoneAfterAKillTakesNothingElseWithIt(t *testing.T) {
	for _, seed := range []int64{15, 1, 2, 3, 4, 5, 6, time.Now().UnixNano()} {
		rnd := rand.New(rand.NewSource(seed))
		c := newCluster(1 + rnd.Intn(2))
		c.maxBytes = 3000 + rnd.Intn(5000)
		w := &world{rnd: rand.New(rand.NewSource(seed + 1)), cluster: c}
		r := newRig(t, c)
		r.said = new(said)
		var files []string
		next := 0
		for range 4 {
			n := 200 + rnd.Intn(3000)
			files = append(files, numbered(next, next+n))
			next += n
			r.write(files[len(files)-1])
			r.rotate(len(files))
		}
		w.live(t, r, 1+rnd.Intn(30))
		w.release(false)
		// The first of which anything is missing.
		read := make(map[string]bool)
		for _, log := range c.logs {
			for _, line := range log {
				read[line] = true
			}
		}
		gone := slices.IndexFunc(files, func(text string) bool { return !has(read, text) })
		if gone < 0 {
			continue // it had sent all
		}
		if err := os.Remove(r.rotated(gone + 1)); err != nil {
			t.Fatal(err)
		}
		r.write(numbered(next, next+100))
		for w.live(t, r, rnd.Intn(20)) {
			w.release(false)
		}
		w.release(true)
		text := numbered(next, next+100)
		for i, file := range files {
			if i != gone {
				text += file
			}
		}
		c.dropLate(r.said)
		checkOnce(t, seed, c, text, files[gone])
	}
}

// dropLate takes out of the topic what came a second time in requests of the dead, as
// far as it was said that so many have.
func (c *cluster) dropLate(s *said) {
	late := s.late()
	for p, log := range c.logs {
		seen := make(map[string]bool)
		c.logs[p] = slices.DeleteFunc(log, func(line string) bool {
			again := seen[line]
			seen[line] = true
			if again {
				late--
			}
			return again && late >= 0
		})
	}
}

func has(read map[string]bool, text string) bool {
	for line := range lines(text) {
		if !read[line] {
			return false
		}
	}
	return true
}
