package tail

import (
	"errors"
	"slices"
	"time"
)

// current returns the generation that is being read, nil if there is none.
func (t *Tail) current() (g *generation, later bool) {
	for _, x := range t.gens {
		if x.ended {
			continue
		}
		if g != nil {
			return g, true
		}
		g = x
	}
	return g, false
}

// step reads one block, or ends a generation. It reports whether it got on; if
// not, waiting says why.
func (t *Tail) step(now time.Time) (moved bool) {
	moved, err := t.advance(now)
	if errors.Is(err, errChanged) {
		if g, _ := t.current(); g != nil {
			g.held, t.held = true, true
		}
		t.look(now, true)
		g, _ := t.current()
		return g == nil || !g.held // else what tells what became of it can't be looked at
	}
	if err != nil || t.readErr != nil {
		t.readErr = err
		t.tell(now)
	}
	return moved && err == nil
}

func (t *Tail) advance(now time.Time) (bool, error) {
	t.waiting = atWork
	g, later := t.current()
	if g == nil || g.held {
		t.pool.abandon()
		t.waiting = atEnd
		return false, nil
	}
	buf := t.buffer()
	if buf == nil {
		t.waiting = starved
		return false, nil
	}
	// Asked before reading: what is at its end now and had no writer before
	// stays at its end.
	w := writersThere
	if !g.live {
		w = writersOf(g.file)
	}
	t.lastRead = now
	p, err := piece{}, error(nil)
	if t.follow.follower != nil {
		p = t.followed(g, later, buf, now)
	}
	if t.follow.follower == nil && p.nothing() {
		p, err = g.read(buf, t.cfg.MaxLine)
		if err == nil && t.passed(g, p, now) {
			t.pool.give(buf)
			return true, nil
		}
		if err == nil && p.nothing() {
			t.small = true
			switch {
			case !g.live:
				p, err = t.endOf(g, w, later, buf, now)
			case later:
				t.yield(g)
			default:
				t.calm(g, now)
			}
		}
	}
	if err != nil || p.empty() {
		t.pool.give(buf)
		if err == nil && g.live {
			t.waiting = atEnd
			t.caughtUp.Store(now.UnixNano())
		}
		return p.more || g.ended, err
	}
	if p.need > 0 {
		t.pool.give(buf)
		t.need = p.need
		return true, nil
	}
	if !g.begun || g.anew {
		return true, t.next(g, p, buf, now)
	}
	t.need = 0
	return true, t.emit(g, p, buf, now)
}

// buffer takes memory for the next read, nil if there is none now.
func (t *Tail) buffer() []byte {
	if buf := t.kept; buf != nil {
		t.kept = nil
		return buf
	}
	if t.small && t.need == 0 {
		return t.pool.takeSmall()
	}
	return t.pool.take(t.need)
}

// nothing tells whether the read came to the end, empty whether there is nothing
// to hand over.
func (p piece) nothing() bool { return p.empty() && !p.more }
func (p piece) empty() bool   { return p.data == nil && p.tooLong == 0 && p.need == 0 }

// endOf deals with a rotated file that is at its end. Once nothing can be added
// to it any more it gives the unfinished last line, if there is one, and then
// ends the generation.
func (t *Tail) endOf(g *generation, w writers, later bool, buf []byte, now time.Time) (piece, error) {
	if err := g.look(now); err != nil {
		return piece{}, err
	}
	quiet := now.Sub(g.grown)
	complete := g.limit > 0 || w == writersNone ||
		later && w == writersUnknown && quiet >= t.cfg.quiet ||
		later && w == writersThere && quiet >= t.cfg.linger ||
		later && t.cfg.Once && g.size == g.offset // a next run finds what comes late
	switch {
	case g.limit > 0:
	case w == writersNone:
		g.by = byLease
	case w == writersUnknown:
		g.by = byQuiet
	default:
		g.by = bySilence
	}
	if !complete {
		t.waiting = atTail
		if t.cfg.Once && !later {
			t.waiting = atEnd
		}
		return piece{}, nil
	}
	p, err := g.rest(buf, t.cfg.MaxLine)
	if err != nil || !p.empty() {
		if err == nil && p.need == 0 && g.limit == 0 {
			t.cut(g, p, now)
			p = piece{more: true}
		}
		return p, err
	}
	if err := syncData(int(g.file.Fd()), g.name); err != nil {
		return piece{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g.ended, g.endedAt = true, now
	t.counts.retired[g.by].Add(1)
	t.log.Debug().Str("file", g.name).Int64("generation", g.number).Int64("offset", g.offset).Msg("log file is complete")
	return piece{}, nil
}

// cut decides that the unfinished last line, p, is a line.
func (t *Tail) cut(g *generation, p piece, now time.Time) {
	if !g.begun || g.anew {
		t.begins(g, now)
		return
	}
	t.mu.Lock()
	g.limit = g.offset + int64(len(p.data)) + p.tooLong
	g.limitBefore = clone(p.buf[max(0, len(p.buf)-frontierSize):])
	t.mu.Unlock()
	t.decide(Cut, g, now)
}

// yield lets the files that were found late be read before the live one goes on:
// a live file never ends, so its generation does, here, and another one continues
// in the same file.
func (t *Tail) yield(g *generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := &generation{
		id: g.id, name: g.name, file: g.file, live: true, head: g.head, trail: slices.Clone(g.trail),
		start: g.offset, startBefore: clone(g.before), offset: g.offset, before: clone(g.before),
		size: g.size, grown: g.grown, goal: g.goal,
	}
	if g.goal > g.offset {
		t.goal.left = append(t.goal.left, rest)
	}
	g.file, g.live, g.ended = nil, false, true
	t.number(rest)
}

// emit makes a block of a piece and moves on.
func (t *Tail) emit(g *generation, p piece, buf []byte, now time.Time) error {
	b := &Block{Data: p.data, buf: p.buf, TooLong: p.tooLong, Read: now, pool: t.pool}
	end := g.offset + int64(len(p.data)) + p.tooLong
	head, err := g.longerHead(end, p.data)
	if err == nil && p.tooLong > 0 {
		b.from, b.tail = clone(g.before), t
		b.file, err = duplicate(g.file)
	}
	if err != nil {
		t.pool.give(buf)
		return err
	}
	t.mu.Lock()
	start, end := g.accept(p, head, now)
	t.mu.Unlock()
	b.Start, b.End = Position{g.number, start}, Position{g.number, end}
	b.Lines = countLines(p.data)
	if p.tooLong > 0 {
		b.head = g.head
		b.Lines = 1
		t.counts.tooLong.Add(1)
	}
	t.idle = 0
	t.atRest.Store(-1)
	t.pending, t.busy, t.small = b, b.Lines > burst, len(p.data) < smallBuffer/2
	t.follow.lines += b.Lines
	return nil
}
