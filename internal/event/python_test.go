//go:build python

// Compares with a live python3, which need not exist on every machine that runs
// the tests: go test -tags python ./internal/event
package event

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func TestGoldenFileIsWhatThisPythonPrints(t *testing.T) {
	got, err := exec.Command("python3", "testdata/golden.py").Output()
	if err != nil {
		t.Fatalf("run testdata/golden.py: %v", err)
	}
	want, err := os.ReadFile("testdata/classic.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("testdata/classic.jsonl differs from the output of testdata/golden.py; make it anew and read the difference")
	}
}

func TestRandomNumbersPrintAsThisPythonPrintsThem(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var numbers [][]byte
	for len(numbers) < 300_000 {
		n := randomNumber(rng)
		if f, err := strconv.ParseFloat(string(n), 64); err != nil || math.IsInf(f, 0) {
			continue
		}
		numbers = append(numbers, n)
	}
	cmd := exec.Command("python3", "testdata/golden.py", "repr")
	cmd.Stdin = bytes.NewReader(append(bytes.Join(numbers, []byte("\n")), '\n'))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run testdata/golden.py repr: %v", err)
	}
	want := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	if len(want) != len(numbers) {
		t.Fatalf("python3 printed %d numbers of %d", len(want), len(numbers))
	}
	for i, n := range numbers {
		p, ok := parseNumber(n)
		if got := p.AppendPython(nil); !ok || !bytes.Equal(got, want[i]) {
			t.Errorf("%s prints as %s (in range %t), want %s", n, got, ok, want[i])
		}
	}
}

// randomNumber writes a random float64, shortest or with digits to spare, or a
// decimal as it comes in prices.
func randomNumber(rng *rand.Rand) []byte {
	switch rng.IntN(4) {
	case 0:
		return AppendCents(nil, rng.Int64N(1_000_000))
	case 1:
		return strconv.AppendInt(nil, int64(rng.Uint64()), 10)
	case 2:
		f := math.Ldexp(rng.Float64(), rng.IntN(120)-60)
		return strconv.AppendFloat(nil, f, "ef"[rng.IntN(2)], rng.IntN(25), 64)
	}
	f := math.Float64frombits(rng.Uint64())
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.AppendFloat(nil, f, 'e', rng.IntN(20)-1, 64)
}
