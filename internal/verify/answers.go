package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"eventline/internal/truth"
)

// Answers is an answer key with its line digests, read from files.
type Answers struct {
	Key *truth.Key
	// Notes say what the key lacks.
	Notes []string

	digests []uint64 // in log order; nil without the file
}

// Load reads the key at path and the file of line digests beside it. A key without digests, or whose file
// of them is not there, is good enough to tell whether anything is wrong; Notes say so. An error means that
// the files can't be used, and that trying again does not help.
func Load(path string) (*Answers, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read answer key: %w", err)
	}
	defer f.Close()
	key, err := truth.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a := &Answers{Key: key}
	if key.Digests == "" {
		a.Notes = append(a.Notes, "no line digests: the key names no file of them, so lines can be counted and not named")
		return a, nil
	}
	if filepath.Base(key.Digests) != key.Digests {
		return nil, fmt.Errorf("%s: digests: want the name of a file in the same folder, got %q", path, key.Digests)
	}
	sidecar := filepath.Join(filepath.Dir(path), key.Digests)
	a.digests, err = loadDigests(sidecar, key)
	if errors.Is(err, fs.ErrNotExist) {
		a.Notes = append(a.Notes, fmt.Sprintf("no line digests: %s is not there, so lines can be counted and not named", sidecar))
		return a, nil
	}
	return a, err
}

// loadDigests reads the digests of the key's lines. The file of a key that is not complete may have more.
func loadDigests(path string, key *truth.Key) ([]uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read line digests: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read line digests: %w", err)
	}
	size := uint64(info.Size())
	if key.Lines >= math.MaxUint32 {
		return nil, fmt.Errorf("read line digests %q: %d lines are more than can be told apart, which is %d", path, key.Lines, uint32(math.MaxUint32-1))
	}
	if want := 8 * key.Lines; size < want || key.Complete && size != want {
		return nil, fmt.Errorf("read line digests %q: it has %d bytes, the key's %d lines take %d: it is not the file of this key", path, size, key.Lines, want)
	}
	digests := make([]uint64, key.Lines)
	buf := make([]byte, 1<<20)
	for done := 0; done < len(digests); {
		part := buf[:8*min(len(buf)/8, len(digests)-done)]
		if _, err := io.ReadFull(f, part); err != nil {
			return nil, fmt.Errorf("read line digests %q: %w", path, err)
		}
		for ; len(part) > 0; part = part[8:] {
			digests[done] = binary.LittleEndian.Uint64(part)
			done++
		}
	}
	return digests, nil
}
