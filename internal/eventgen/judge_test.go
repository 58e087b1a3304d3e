//go:build python

package eventgen

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eventline/internal/generate"
)

// python runs the judge, which shares nothing with us.
func python(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("python3", append([]string{"testdata/judge.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// TestPythonComesToTheSameAnswers recomputes a dirty run's answer key, and sees each of a row of small
// changes to the log.
func TestPythonComesToTheSameAnswers(t *testing.T) {
	s := newStory(t, strings.Fields(killedRun+" --unpaced")...)
	if c := s.start(t, 2); c.ended(t) != 0 {
		t.Fatal(c.stderr.String())
	}
	if got := python(t, s.path, s.truth()); got != "" {
		t.Fatalf("the answer key is wrong:\n%s", got)
	}
	text := s.text(t)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, change := range map[string]func() [][]byte{
		"a line removed": func() [][]byte { return append(slices.Clone(lines[:100]), lines[101:]...) },
		"a line doubled": func() [][]byte { return append(slices.Clone(lines[:100]), lines[99:]...) },
		"two swapped": func() [][]byte {
			return append(append(slices.Clone(lines[:100]), lines[101], lines[100]), lines[102:]...)
		},
		"a byte changed": func() [][]byte {
			changed := slices.Clone(lines)
			changed[100] = bytes.Replace(changed[100], []byte(`"quantity":`), []byte(`"quantitY":`), 1)
			return changed
		},
	} {
		file := filepath.Join(t.TempDir(), "changed.log")
		if err := os.WriteFile(file, bytes.Join(change(), nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := python(t, file, s.truth()); !strings.Contains(got, "chain") {
			t.Errorf("%s: nothing differs in the chain: %q", name, got)
		}
	}
}

// TestPythonFindsTheDistributionsInALog fits Zipf's law and the prices from the outside.
func TestPythonFindsTheDistributionsInALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	profile := filepath.Join(t.TempDir(), "profile.yaml")
	if err := os.WriteFile(profile, []byte("sessions:\n  bots: 0\nprices:\n  drift: 0\n  discount: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("eventgen", strings.Fields("run --admin-listen off --seed 4 --rate 100 --count 200000 --unpaced --start 2026-11-22T10:00:00Z")...)
	cmd.Args = append(cmd.Args, "--path", path, "--profile", profile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got struct {
		Slope     float64
		Quantiles map[string][3]float64
	}
	if err := json.Unmarshal([]byte(python(t, "--fit", path)), &got); err != nil {
		t.Fatal(err)
	}
	p := generate.DefaultProfile()
	if math.Abs(got.Slope-p.Popularity) > 0.05 {
		t.Errorf("the slope of the first hundred products is %.3f, the profile says %.2f", got.Slope, p.Popularity)
	}
	for _, c := range p.Categories {
		// 1.2816 is the 90 % quantile of the standard normal distribution. A hundred products or so let
		// the logarithm of a quantile vary by a fifth of sigma.
		for i, z := range []float64{-1.2816, 0, 1.2816} {
			want := math.Log(c.Median) + z*c.Sigma
			if off := math.Log(got.Quantiles[c.Name][i]) - want; math.Abs(off) > 0.5*c.Sigma {
				t.Errorf("quantile %d of %s is %.2f, want about %.2f", i, c.Name, got.Quantiles[c.Name][i], math.Exp(want))
			}
		}
	}
}
