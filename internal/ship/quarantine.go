package ship

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"eventline/internal/checkpoint"
	"eventline/internal/tail"
)

// mostRefused is how many lines in a row, with none that was taken between, go to the
// quarantine for their content. After that it is the topic that takes no lines (a
// compacted one takes none without a key), and they wait.
const mostRefused = 100

// refusal is a line that no broker takes: longer than the topic's limit, or
// refused for its size. Its bytes are kept in a file of its own, and only when
// they are on disk is the line dealt with.
type refusal struct {
	chunk   *chunk
	at      tail.Position
	content func() io.Reader // from the beginning at each call
}

func bytesOf(line []byte) func() io.Reader {
	return func() io.Reader { return bytes.NewReader(line) }
}

// refuse puts a line into quarantine, or leaves it for the next tick.
func (s *Shipper) refuse(r refusal) {
	s.refused = append(s.refused, r)
	s.quarantineAll()
}

func (s *Shipper) quarantineAll() {
	for len(s.refused) > 0 {
		if s.keep(s.refused[0]) != nil {
			return
		}
		s.refused[0] = refusal{}
		s.refused = s.refused[1:]
	}
}

// keep puts a line into quarantine. Once its bytes are on disk it is dealt with.
func (s *Shipper) keep(r refusal) error {
	path, size, err := quarantine(s.o.Quarantine, r)
	if err != nil {
		s.o.Log.Error().Err(err).Stringer("position", r.at).Msg("line can't be kept in quarantine, waiting with it")
		return err
	}
	s.o.Log.Warn().Stringer("position", r.at).Int64("bytes", size).Str("path", path).
		Msg("line is not one that the topic takes, kept in quarantine")
	s.metrics.quarantined.Inc()
	s.order.final(r.chunk, 1)
	return nil
}

// quarantine writes the line's bytes, without a newline, to
// DIR/GENERATION-OFFSET, durably. Doing it again changes nothing.
func quarantine(dir string, r refusal) (path string, size int64, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", 0, fmt.Errorf("make quarantine: %w", err)
	}
	path = filepath.Join(dir, nameOf(r.at))
	size, err = checkpoint.Replace(path, r.content())
	return path, size, err
}

// recall finds out, once, which lines are in the quarantine already. A leader may
// refuse a line that has a number, and this process be killed before the decision to
// leave it out is stored: then it is sent again, and taken perhaps.
func (s *Shipper) recall() error {
	if s.recalled {
		return nil
	}
	entries, err := os.ReadDir(s.o.Quarantine)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read quarantine: %w", err)
	}
	for _, e := range entries {
		var p tail.Position
		if _, err := fmt.Sscanf(e.Name(), "%d-%d", &p.Generation, &p.Offset); err == nil && e.Name() == nameOf(p) {
			s.kept = append(s.kept, p)
		}
	}
	slices.SortFunc(s.kept, byPosition)
	s.recalled = true
	return nil
}

func nameOf(p tail.Position) string { return fmt.Sprintf("%d-%d", p.Generation, p.Offset) }

func byPosition(a, b tail.Position) int {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Offset, b.Offset))
}

// reclaim takes lines out of the quarantine that are in the topic, or about to be.
// After an error they may not be sent.
func (s *Shipper) reclaim(p piece) error {
	if len(s.kept) == 0 {
		return nil
	}
	b := p.chunk.held.block
	i, _ := slices.BinarySearchFunc(s.kept, b.Start, byPosition)
	for i < len(s.kept) && byPosition(s.kept[i], tail.Position{Generation: b.Start.Generation, Offset: p.chunk.end}) < 0 {
		at := s.kept[i]
		first := &b.Data[at.Offset-b.Start.Offset]
		if !slices.ContainsFunc(p.lines, func(line []byte) bool { return &line[0] == first }) {
			i++
			continue
		}
		if err := checkpoint.Delete(filepath.Join(s.o.Quarantine, nameOf(at))); err != nil {
			return fmt.Errorf("take line out of quarantine: %w", err)
		}
		s.o.Log.Info().Stringer("position", at).Msg("line is sent after all, taken out of the quarantine")
		s.kept = slices.Delete(s.kept, i, i+1)
	}
	return nil
}
