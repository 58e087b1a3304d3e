package eventgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/generate"
	"eventline/internal/truth"
)

// TestKeyIsThereWhileTheRunGoesOn and is not complete then.
func TestKeyIsThereWhileTheRunGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth.json")
	w := generate.New(1, generate.DefaultProfile())
	k := newAnswerKey(path, time.Minute, w, truth.Key{Seed: 1}, zerolog.Nop())
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	defer k.close()
	shop, at := w.NewShop(), time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	read := func() *truth.Key {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		key, err := truth.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if !k.due(time.Now()) {
		t.Error("the first key is not due at once")
	}
	for n := uint64(1); n <= 3; n++ {
		text, lines := shop.Append(nil, time.Duration(n), at, nil)
		k.add(text, lines)
		if err := k.save(n == 3); err != nil {
			t.Fatal(err)
		}
		if key := read(); key.Lines != n || key.Complete != (n == 3) || key.Seed != 1 || key.Digests != "truth.json.lines" {
			t.Errorf("after %d lines the key is %+v", n, key)
		}
		if info, err := os.Stat(digestsPath(path)); err != nil || info.Size() != int64(8*n) {
			t.Errorf("after %d lines the digests are %v, %v", n, info, err)
		}
		if now := time.Now(); k.due(now) || !k.due(now.Add(k.pause)) {
			t.Errorf("the next key is not due in %v", k.pause)
		}
	}
}

// TestDigestsOfAnotherRunAreNotTaken finds a file that is too short to be of this run.
func TestDigestsOfAnotherRunAreNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth.json")
	w := generate.New(1, generate.DefaultProfile())
	k := newAnswerKey(path, time.Minute, w, truth.Key{}, zerolog.Nop())
	k.rec.Text([]byte("a\nb\n"), 2)
	if err := os.WriteFile(digestsPath(path), make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.open(); err == nil {
		t.Error("one digest is taken for two lines")
	}
	if err := os.WriteFile(digestsPath(path), make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(digestsPath(path)); err != nil || info.Size() != 16 {
		t.Errorf("the file is not cut to two digests: %v, %v", info, err)
	}
	_ = k.close()
}

// TestDigestsThatWereGivenUpTakeNoMemory goes on counting lines.
func TestDigestsThatWereGivenUpTakeNoMemory(t *testing.T) {
	w := generate.New(1, generate.DefaultProfile())
	k := newAnswerKey(filepath.Join(t.TempDir(), "truth.json"), time.Minute, w, truth.Key{}, zerolog.Nop())
	k.lost = true
	shop := w.NewShop()
	for i := range 100 {
		text, lines := shop.Append(nil, time.Duration(i), time.Now(), nil)
		k.add(text, lines)
	}
	if len(k.buf) > 0 || k.rec.Lines() != 100 {
		t.Errorf("%d bytes of digests are kept, of %d lines", len(k.buf), k.rec.Lines())
	}
}

// TestRunThatGoesOnRefusesDigestsOfAnother ends with 78, as at a first start.
func TestRunThatGoesOnRefusesDigestsOfAnother(t *testing.T) {
	s := newStory(t, "--rate=1k", "--count=500", "--start=2026-11-22T10:00:00Z", "--unpaced", "--state-dir", filepath.Join(t.TempDir(), "state"))
	if c := s.start(t, 1); c.ended(t) != 0 {
		t.Fatal(c.stderr.String())
	}
	if err := os.Truncate(digestsPath(s.truth()), 8); err != nil {
		t.Fatal(err)
	}
	if c := s.start(t, 1); c.ended(t) != 78 || !strings.Contains(c.stderr.String(), "it is not the file of this run") {
		t.Errorf("exit code %d, want 78: %s", c.ProcessState.ExitCode(), c.stderr.String())
	}
}
