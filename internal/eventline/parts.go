package eventline

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// parts is a stack of things that run until they are stopped, the last started
// first.
type parts struct {
	stack []*running
	mu    sync.Mutex
	ended chan struct{} // closed when one has ended
}

type running struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// start runs a part under a context of its own: a signal must not end them all
// at once.
func (p *parts) start(name string, run func(context.Context) error) {
	if p.ended == nil {
		p.ended = make(chan struct{})
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{name: name, cancel: cancel, done: make(chan struct{})}
	p.stack = append(p.stack, r)
	go func() {
		defer close(r.done)
		r.err = run(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		select {
		case <-p.ended:
		default:
			close(p.ended)
		}
	}()
}

// failed is closed when a part has ended, which none should by itself.
func (p *parts) failed() <-chan struct{} { return p.ended }

// stop ends the parts one after the other and returns what went wrong in any.
func (p *parts) stop() error {
	var errs []error
	for i := len(p.stack) - 1; i >= 0; i-- {
		r := p.stack[i]
		r.cancel()
		<-r.done
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
		}
	}
	p.stack = nil
	return errors.Join(errs...)
}
