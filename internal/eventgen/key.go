package eventgen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/checkpoint"
	"eventline/internal/generate"
	"eventline/internal/truth"
)

const (
	// digestBuffer is how much of the line digests is kept before it is written.
	digestBuffer = 64 << 10
	// digestPatience is how much of them is kept while their file can't be written: 8 million lines.
	digestPatience = 64 << 20
	// A key of a run that goes on is written this often, or less often where writing it takes long.
	keyEvery   = 10 * time.Second
	keyPortion = 100 // at most a hundredth of the time
)

// answerKey keeps the answer key of a run and its file of line digests.
type answerKey struct {
	path    string
	log     zerolog.Logger
	rec     *truth.Recorder
	world   *generate.World
	head    truth.Key // what the run is
	digests *os.File
	buf     []byte
	id      []byte
	saved   time.Time
	pause   time.Duration
	failing bool // and it was said
	lost    bool // the digests were given up
}

// newAnswerKey begins the key at path. It does not touch the disk.
func newAnswerKey(path string, window time.Duration, w *generate.World, head truth.Key, log zerolog.Logger) *answerKey {
	p := w.Profile()
	return &answerKey{
		path: path, log: log, world: w, head: head, pause: keyEvery,
		rec: truth.NewRecorder(window, p.Furthest()),
	}
}

// digestsPath is the file of line digests of a key.
func digestsPath(key string) string { return key + ".lines" }

var errNotOurs = errors.New("it is not the file of this run")

// open makes the file of line digests end behind as many lines as the key knows.
func (k *answerKey) open() error {
	f, err := os.OpenFile(digestsPath(k.path), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("open answer key: %w", err)
	}
	size := int64(8 * k.rec.Lines())
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("%q has %d line digests, the run has %d lines: %w", f.Name(), info.Size()/8, k.rec.Lines(), errNotOurs)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, 0)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open answer key: %w", err), f.Close())
	}
	k.digests = f
	return nil
}

// add notes lines that were written.
func (k *answerKey) add(text []byte, lines []generate.Line) {
	k.rec.Text(text, len(lines))
	for i := range lines {
		l := &lines[i]
		if !k.lost {
			k.buf = binary.LittleEndian.AppendUint64(k.buf, truth.Digest(text[:l.Len]))
		}
		text = text[l.Len:]
		if l.Valid {
			k.rec.Price(l.At, l.Cents)
		}
		if l.Kind != generate.Clean {
			k.id = k.world.AppendID(k.id[:0], l.Event)
			k.rec.Defect(l.Kind.String(), k.id)
		}
	}
	if len(k.buf) >= digestBuffer {
		_ = k.flush() // said, and tried again
	}
}

// flush writes the digests that are not in the file yet.
func (k *answerKey) flush() error {
	if k.digests == nil || k.lost || len(k.buf) == 0 {
		return nil
	}
	n, err := k.digests.Write(k.buf)
	k.buf = k.buf[:copy(k.buf, k.buf[n:])]
	if err != nil && len(k.buf) > digestPatience {
		k.lost, k.buf = true, nil
		k.log.Error().Str("path", digestsPath(k.path)).Msg("line digests given up: their file could not be written for too long")
	}
	return k.said(err)
}

// said reports the first of a row of errors, and its end.
func (k *answerKey) said(err error) error {
	switch {
	case err != nil && !k.failing:
		k.log.Warn().Str("path", k.path).AnErr("err", err).Msg("cannot write answer key, events go on")
		k.failing = true
	case err == nil && k.failing:
		k.log.Info().Str("path", k.path).Msg("answer key is written again")
		k.failing = false
	}
	return err
}

// due says that it is time to save the key of a run that goes on.
func (k *answerKey) due(now time.Time) bool { return now.Sub(k.saved) >= k.pause }

// save writes the key in the place of the one before.
func (k *answerKey) save(complete bool) error {
	began := time.Now()
	err := k.flush()
	if err == nil {
		key := k.rec.Key()
		key.Complete = complete
		key.Seed, key.ProfileSHA256, key.Start = k.head.Seed, k.head.ProfileSHA256, k.head.Start
		if !k.lost {
			key.Digests = filepath.Base(digestsPath(k.path))
		}
		var b bytes.Buffer
		if err = key.Encode(&b); err == nil {
			_, err = checkpoint.Replace(k.path, &b)
			err = k.said(err)
		}
	}
	if err == nil && k.lost {
		err = errors.New("the line digests were given up")
	}
	k.saved = time.Now()
	k.pause = max(keyEvery, keyPortion*time.Since(began))
	if err != nil {
		return fmt.Errorf("write answer key: %w", err)
	}
	return nil
}

func (k *answerKey) close() error {
	if k.digests == nil {
		return nil
	}
	return k.digests.Close()
}

// belongsTo makes sure that a key which is already at path may be replaced: a key is work, and the log that
// it tells of may still be there.
func belongsTo(path string, head truth.Key) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open answer key: %w", err)
	}
	defer f.Close()
	old, err := truth.Decode(f)
	if err != nil {
		return fmt.Errorf("truth: %q is there and is no answer key: %w", path, err)
	}
	if old.Seed != head.Seed || old.Start != head.Start || old.ProfileSHA256 != head.ProfileSHA256 {
		return fmt.Errorf("truth: %q is the answer key of another run (seed %d, start %s); move it away, or name another file", path, old.Seed, old.Start)
	}
	return nil
}
