package eventgen

import (
	"os"
	"path/filepath"
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
