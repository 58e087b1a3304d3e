package ship

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"eventline/internal/checkpoint"
	"eventline/internal/tail"
)

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
		r := s.refused[0]
		path, size, err := quarantine(s.o.Quarantine, r)
		if err != nil {
			s.o.Log.Error().Err(err).Stringer("position", r.at).Msg("line can't be kept in quarantine, waiting with it")
			return
		}
		s.o.Log.Warn().Stringer("position", r.at).Int64("bytes", size).Str("path", path).
			Msg("line is larger than the topic takes, kept in quarantine")
		s.metrics.quarantined.Inc()
		s.order.final(r.chunk, 1)
		s.refused[0] = refusal{}
		s.refused = s.refused[1:]
	}
}

// quarantine writes the line's bytes, without a newline, to
// DIR/GENERATION-OFFSET, durably. Doing it again changes nothing.
func quarantine(dir string, r refusal) (path string, size int64, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", 0, fmt.Errorf("make quarantine: %w", err)
	}
	path = filepath.Join(dir, fmt.Sprintf("%d-%d", r.at.Generation, r.at.Offset))
	size, err = checkpoint.Replace(path, r.content())
	return path, size, err
}
