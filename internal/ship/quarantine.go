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
	"strconv"
	"strings"

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

// quarantine writes the line's bytes, without a newline, to DIR/GENERATION-OFFSET,
// durably. Doing it again changes nothing. Where another line is kept under that name
// (of a log that had the same path before, and whose position is forgotten) it gets the
// next one that is free, with .2 and so on.
func quarantine(dir string, r refusal) (path string, size int64, err error) {
	if err := checkpoint.MakeDir(dir); err != nil {
		return "", 0, fmt.Errorf("make quarantine: %w", err)
	}
	for n := 1; ; n++ {
		path = filepath.Join(dir, nameOf(r.at, n))
		same, err := holds(path, r.content())
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return path, 0, fmt.Errorf("read quarantine: %w", err)
		case err == nil && !same:
			continue
		}
		size, err = checkpoint.Replace(path, r.content())
		return path, size, err
	}
}

// holds tells whether a file has just that content.
func holds(path string, content io.Reader) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var a, b [32 << 10]byte
	for {
		n, errA := io.ReadFull(f, a[:])
		m, errB := io.ReadFull(content, b[:])
		switch {
		case errA != nil && !errors.Is(errA, io.EOF) && !errors.Is(errA, io.ErrUnexpectedEOF):
			return false, errA
		case errB != nil && !errors.Is(errB, io.EOF) && !errors.Is(errB, io.ErrUnexpectedEOF):
			return false, errB
		case !bytes.Equal(a[:n], b[:m]):
			return false, nil
		case errA != nil:
			return true, nil
		}
	}
}

// keptLine is a line in the quarantine.
type keptLine struct {
	at   tail.Position
	name string
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
		if at, ok := positionIn(e.Name()); ok {
			s.kept = append(s.kept, keptLine{at, e.Name()})
		}
	}
	slices.SortFunc(s.kept, func(a, b keptLine) int { return byPosition(a, b.at) })
	s.recalled = true
	return nil
}

// nameOf is the n-th name for a line at a position, n from 1.
func nameOf(p tail.Position, n int) string {
	if n > 1 {
		return fmt.Sprintf("%d-%d.%d", p.Generation, p.Offset, n)
	}
	return fmt.Sprintf("%d-%d", p.Generation, p.Offset)
}

func positionIn(name string) (p tail.Position, ok bool) {
	base, more, named := strings.Cut(name, ".")
	n := 1
	if named {
		n, _ = strconv.Atoi(more)
	}
	_, err := fmt.Sscanf(base, "%d-%d", &p.Generation, &p.Offset)
	return p, err == nil && n > 0 && name == nameOf(p, n)
}

func byPosition(a keptLine, b tail.Position) int {
	return cmp.Or(cmp.Compare(a.at.Generation, b.Generation), cmp.Compare(a.at.Offset, b.Offset))
}

// reclaim takes lines out of the quarantine that are in the topic, or about to be.
// After an error they may not be sent. One that is kept under the same name and is
// another stays.
func (s *Shipper) reclaim(p piece) error {
	if len(s.kept) == 0 {
		return nil
	}
	b := p.chunk.held.block
	i, _ := slices.BinarySearchFunc(s.kept, b.Start, byPosition)
	for i < len(s.kept) && byPosition(s.kept[i], tail.Position{Generation: b.Start.Generation, Offset: p.chunk.end}) < 0 {
		k := s.kept[i]
		from := b.Data[k.at.Offset-b.Start.Offset:]
		n := slices.IndexFunc(p.lines, func(line []byte) bool { return &line[0] == &from[0] })
		if n < 0 {
			i++
			continue
		}
		whole, _, _ := bytes.Cut(from, []byte("\n")) // of which the line may be a piece
		path, same := filepath.Join(s.o.Quarantine, k.name), false
		for _, content := range [][]byte{p.lines[n], whole} {
			is, err := holds(path, bytes.NewReader(content))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read quarantine: %w", err)
			}
			same = same || is
		}
		if same {
			if err := checkpoint.Delete(path); err != nil {
				return fmt.Errorf("take line out of quarantine: %w", err)
			}
			s.o.Log.Info().Stringer("position", k.at).Msg("line is sent after all, taken out of the quarantine")
		}
		s.kept = slices.Delete(s.kept, i, i+1)
	}
	return nil
}
