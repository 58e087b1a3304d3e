package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// recorder is a handler that remembers. on, if set, sees each batch first.
type recorder struct {
	on func(ctx context.Context, partition int32, recs []Record) error

	mu       sync.Mutex
	got      map[int32][]string // "offset:value"
	assigned map[int32][]int64  // what Assigned was told
	held     map[int32]bool
	progress map[int32][2]int64
	states   []string
	lastErr  error
	wrong    []string // broken promises of the caller
}

func (r *recorder) Assigned(partition int32, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got, r.assigned, r.held, r.progress = map[int32][]string{}, map[int32][]int64{}, map[int32]bool{}, map[int32][2]int64{}
	}
	if r.held[partition] {
		r.wrong = append(r.wrong, fmt.Sprintf("partition %d assigned twice", partition))
	}
	r.held[partition] = true
	r.assigned[partition] = append(r.assigned[partition], next)
}

func (r *recorder) Records(ctx context.Context, partition int32, recs []Record) error {
	if r.on != nil {
		if err := r.on(ctx, partition, recs); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held[partition] {
		r.wrong = append(r.wrong, fmt.Sprintf("records of partition %d without a claim", partition))
	}
	for _, rec := range recs {
		if rec.Partition != partition {
			r.wrong = append(r.wrong, fmt.Sprintf("record of partition %d among those of %d", rec.Partition, partition))
		}
		r.got[partition] = append(r.got[partition], fmt.Sprintf("%d:%s", rec.Offset, rec.Value))
	}
	return nil
}

func (r *recorder) Progress(partition int32, next, end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress[partition] = [2]int64{next, end}
}

func (r *recorder) Revoked(partition int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held[partition] {
		r.wrong = append(r.wrong, fmt.Sprintf("partition %d revoked without a claim", partition))
	}
	delete(r.held, partition)
}

func (r *recorder) State(connected bool, err error, retryIn time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, fmt.Sprintf("connected=%v class=%q waits=%v", connected, ClassOf(err), retryIn > 0))
	r.lastErr = err
}

func (r *recorder) values(partition int32) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got[partition])
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, v := range r.got {
		n += len(v)
	}
	return n
}

func (r *recorder) holds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

func (r *recorder) said(state string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.states, state)
}

func (r *recorder) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastErr
}

// run is a RunGroup under way.
type run struct {
	t    *testing.T
	h    *recorder
	stop context.CancelFunc
	done chan error
}

func join(t *testing.T, c *Client, g GroupConfig, h *recorder) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{t: t, h: h, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- c.RunGroup(ctx, g, h) }()
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the member and returns what RunGroup said.
func (r *run) end() error {
	r.t.Helper()
	r.stop()
	return r.wait()
}

func (r *run) wait() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		for _, w := range r.h.wrong {
			r.t.Errorf("handler was called wrongly: %s", w)
		}
		return err
	case <-time.After(patience):
		r.t.Fatal("RunGroup does not end")
		return nil
	}
}
