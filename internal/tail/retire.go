package tail

import (
	"context"
	"errors"
	"time"
)

// retire ends a generation that is read to its end and can't grow any more. The
// live file always can.
func (t *Tail) retire(ctx context.Context, g *generation) (done bool, err error) {
	if g.live || !t.unwritten(g) {
		return false, nil
	}
	// Nobody writes any more: what came before the last writer closed is read now.
	p, buf, err := t.readBlock(ctx, g)
	switch {
	case buf == nil && err == nil:
		return false, nil
	case err == nil && p.buf != nil:
		_, err := t.handOver(ctx, g, p)
		return false, err
	}
	t.pool.give(buf)
	if err == nil {
		err = t.emitRest(ctx, g)
	}
	if errors.Is(err, errChanged) {
		t.truncated(g)
		return true, nil
	}
	if err != nil || ctx.Err() != nil {
		return false, err
	}
	t.cfg.Log.Info().Str("path", g.name).Int64("generation", g.number).Int64("bytes", g.offset).Msg("rotated file read to its end")
	t.end(g)
	return true, nil
}

// unwritten tells whether nobody writes to a rotated file any more, as far as
// can be told.
func (t *Tail) unwritten(g *generation) bool {
	still := time.Since(g.grown)
	switch writersOf(g.file) {
	case writersThere:
		if still < patience {
			return false
		}
		t.cfg.Log.Warn().Str("path", g.name).Stringer("quiet", still.Round(time.Second)).
			Msg("rotated file is still open for writing, what is written to it from now on is lost")
	case writersUnknown:
		return still >= quiet
	case writersNone:
	}
	return true
}

// emitRest hands over a last line without a newline.
func (t *Tail) emitRest(ctx context.Context, g *generation) error {
	size := bufferSize
	for {
		buf := t.take(ctx, size)
		if buf == nil {
			return nil
		}
		p, err := g.rest(buf, t.cfg.MaxLine)
		if err == nil && p.buf != nil {
			_, err = t.handOver(ctx, g, p)
			return err
		}
		t.pool.give(buf)
		if err != nil || p.need == 0 {
			return err
		}
		size = p.need
	}
}
