//go:build torture

package torture

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	minutes = flag.Float64("minutes", 1, "how long all runs take together")
	styles  = flag.String("styles", "", "run only these styles, separated by commas")
	without = flag.String("without", "", "leave out this style, in mixed rotation too")
	seed    = flag.Uint64("seed", 0, "of the first run; 0 for the time")
)

// plan is what is run: up to a few minutes every style once, at 20,000 lines/s
// and with a rotation each 50 ms; above that also the other rates, writers and
// intervals.
func plan() []Options {
	chosen := func(s Style) bool {
		return string(s) != *without && (*styles == "" || strings.Contains(","+*styles+",", ","+string(s)+","))
	}
	variants := []Options{{Rate: 20_000, Interval: 50 * time.Millisecond}}
	if *minutes >= 5 {
		variants = append(variants,
			Options{Rate: 100_000, Interval: 50 * time.Millisecond},
			Options{Rate: 20_000, Interval: 50 * time.Millisecond, Buffered: true},
			Options{Rate: 100_000, Buffered: true},
		)
	}
	var runs []Options
	for i, v := range variants {
		for j, style := range Styles {
			if !chosen(style) {
				continue
			}
			for k, where := range places {
				if *minutes < 5 && (j+k)%2 == 1 {
					continue // one of the two
				}
				o := v
				o.Without = Style(*without)
				o.Style, o.Where, o.Kills, o.Patience = style, where.name, 400*time.Millisecond, 30*time.Second
				o.Seed = *seed + uint64(i*1000+j*10+k)
				runs = append(runs, o)
			}
		}
	}
	return runs
}

var places = []struct{ name, dir string }{{"disk", ""}, {"tmpfs", "/dev/shm"}}

func placeOf(t *testing.T, name string) string {
	t.Helper()
	for _, p := range places {
		if p.name == name {
			dir, err := os.MkdirTemp(p.dir, "torture")
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}
	}
	panic(name)
}

func TestTorture(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano() / 1e6)
	}
	runs := plan()
	const control = 4 * time.Second
	share := time.Duration(*minutes*float64(time.Minute)-float64(len(controls)*int(control))) / time.Duration(len(runs))
	// Starting, draining and looking once more takes a second or two.
	share = max(share-time.Second, 2*time.Second)
	t.Logf("%d runs of %s, seeds from %d", len(runs), share.Round(time.Second/10), *seed)
	var results []Result
	for _, o := range runs {
		o.Duration, o.Dir, o.Reader = share, placeOf(t, o.Where), by("tail")
		r, err := Run(o)
		clean(t, r, err)
		results = append(results, r)
		if err != nil || !r.Clean() {
			t.Logf("kept: %s", filepath.Join(o.Dir, "reader.log"))
			_ = os.RemoveAll(filepath.Join(o.Dir, "lines"))
			continue
		}
		if err := os.RemoveAll(o.Dir); err != nil {
			t.Error(err)
		}
	}
	var plain []Result
	for _, style := range controls {
		plain = append(plain, loses(t, style, control))
	}
	var out strings.Builder
	Table(&out, results)
	out.WriteString("\nthe same with plain nxadm/tail, never killed:\n")
	Table(&out, plain)
	t.Logf("\n%s", out.String())
}

// controls are what plain nxadm/tail must not pass.
var controls = []Style{Rename, Create, CopyTruncate}

// loses runs plain nxadm/tail in tail's place, which must fail the audit. What it
// loses is chance: on a quiet machine it may be nothing for some seconds.
func loses(t *testing.T, style Style, d time.Duration) Result {
	t.Helper()
	var r Result
	var err error
	for i := range uint64(10) {
		dir := placeOf(t, "disk")
		r, err = Run(Options{
			Style: style, Rate: 100_000, Interval: 50 * time.Millisecond, Duration: d,
			Seed: *seed + i, Where: "disk", Dir: dir, Reader: by("nxadm"), Patience: time.Second,
		})
		_ = os.RemoveAll(dir)
		if r.Missing > 0 {
			return r
		}
	}
	t.Errorf("plain nxadm/tail, %s: got no missing line in 10 runs (%v), the audit can't be trusted", style, err)
	return r
}
