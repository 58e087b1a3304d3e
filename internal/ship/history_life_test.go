package ship

import (
	"bytes"
	"context"
)

// mayDie is what a process sees of the leaders.
type mayDie struct {
	*leaders
	h *history
}

func (m mayDie) Open(ctx context.Context, partition int32) (Appender, error) {
	if m.h.step() {
		return nil, errKilled
	}
	a, err := m.leaders.Open(ctx, partition)
	if err != nil {
		return nil, err
	}
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	return &dying{toLeader: a.(*toLeader), h: m.h, life: m.h.life}, nil
}

func (m mayDie) Scan(ctx context.Context, n int32, from, id int64, epoch int16, each func(Stored) error) (Log, error) {
	if m.h.step() {
		return Log{}, errKilled
	}
	return m.leaders.Scan(ctx, n, from, id, epoch, each)
}

type dying struct {
	*toLeader
	h    *history
	life *life
	sent []request // when dead
}

func (d *dying) Append(b Batch, done func(int64, error)) {
	d.h.mu.Lock()
	dead := d.h.stepOf(d.life)
	d.h.mu.Unlock()
	if !dead {
		d.toLeader.Append(b, done)
		return
	}
	lines := make([][]byte, len(b.Lines))
	for i, line := range b.Lines {
		lines[i] = bytes.Clone(line)
	}
	b.Lines = lines
	d.h.mu.Lock()
	d.sent = append(d.sent, request{d.partition, d.epoch, b})
	d.h.mu.Unlock()
	done(-1, errKilled)
}

func (d *dying) Close() error {
	d.h.mu.Lock()
	// The network may have lost all behind any point.
	if n := d.h.rnd.Intn(len(d.sent) + 1); n > 0 {
		d.h.held = append(d.h.held, d.sent[:n])
	}
	d.sent = nil
	d.h.mu.Unlock()
	return d.toLeader.Close()
}
