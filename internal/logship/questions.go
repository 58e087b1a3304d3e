package logship

import (
	"context"
	"sync"
	"time"

	"eventline/internal/kafka"
	"eventline/internal/ship"
)

// answer is what many ask and one gets for all. Whoever asks while the question is
// under way gets its answer, and whoever asks too soon after a failure gets that
// again.
type answer[T any] struct {
	fresh time.Duration             // how long an answer is good; 0 is for ever
	delay func(n int) time.Duration // how long the nth failure in a row is

	mu       sync.Mutex
	asking   chan struct{} // closed when the question under way is answered
	value    T
	err      error
	attempts int       // in vain
	have     bool      // value or err, and
	until    time.Time // how long they are good, zero for ever
}

func (a *answer[T]) get(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	for {
		a.mu.Lock()
		switch asking := a.asking; {
		case a.have && (a.until.IsZero() || time.Now().Before(a.until)):
			defer a.mu.Unlock()
			return a.value, a.err
		case asking == nil:
			a.asking = make(chan struct{})
			a.mu.Unlock()
			return a.ask(ctx, ask)
		default:
			a.mu.Unlock()
			select {
			case <-asking:
			case <-ctx.Done():
				var none T
				return none, context.Cause(ctx)
			}
		}
	}
}

func (a *answer[T]) ask(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	began := time.Now()
	value, err := ask(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.asking)
	a.asking = nil
	switch {
	case err == nil:
		a.have, a.value, a.err, a.attempts, a.until = true, value, nil, 0, time.Time{}
		if a.fresh > 0 {
			a.until = began.Add(a.fresh)
		}
	case ctx.Err() == nil: // else it says nothing to the others
		a.attempts++
		var none T
		a.have, a.value, a.err, a.until = true, none, err, time.Now().Add(a.delay(a.attempts))
	}
	return value, err
}

// turns has room for those who may ask at a time.
type turns chan struct{}

func (t turns) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turns) give() { <-t }

// recall is a question to a partition's leader, for all who ask before its turn has
// come. One that is under way is not joined: what was acknowledged meanwhile need not
// be in its answer.
type recall struct {
	ids    []int64
	done   chan struct{} // closed when the rest is there
	gaveUp bool          // who asked did not wait for the end
	found  []kafka.Producer
	err    error
}

// Producer implements ship.Topic. A broker's answer is about all producers of a
// partition, whoever asks, so a thousand logs are answered with one.
func (r *route) Producer(ctx context.Context, partition int32, id int64) (ship.Producer, error) {
	for {
		r.mu.Lock()
		q := r.recalled[partition]
		first := q == nil
		if first {
			q = &recall{done: make(chan struct{})}
			r.recalled[partition] = q
		}
		at := len(q.ids)
		q.ids = append(q.ids, id)
		r.mu.Unlock()
		if first {
			r.recall(ctx, partition, q)
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			return ship.Producer{}, context.Cause(ctx)
		}
		switch {
		case q.gaveUp && ctx.Err() == nil:
			continue // it said nothing of Kafka
		case q.err != nil:
			return ship.Producer{}, q.err
		}
		return ship.Producer(q.found[at]), nil
	}
}

func (r *route) recall(ctx context.Context, partition int32, q *recall) {
	defer close(q.done)
	err := r.turns.take(ctx)
	r.mu.Lock()
	delete(r.recalled, partition) // nobody joins any more
	r.mu.Unlock()
	if err == nil {
		defer r.turns.give()
		q.found, err = r.topic.Producers(ctx, partition, q.ids...)
	}
	q.err, q.gaveUp = err, ctx.Err() != nil
}
