package logship

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"eventline/internal/kafka"
	"eventline/internal/ship"
)

// route is the way of all sources to the topic: it is described once for all, and
// there is one connection for each partition that anybody sends to. A thousand
// quiet logs hold none.
type route struct {
	topic *kafka.Topic
	delay func(n int) time.Duration

	mu         sync.Mutex
	partitions int32 // 0 until the topic has been described
	maxBytes   int
	asking     chan struct{} // closed when the question under way is answered
	attempts   int           // in vain
	err        error         // of the last one, until
	until      time.Time     // it is worth asking again
	links      map[int32]*link

	turns chan struct{} // has room for those who may ask for a producer id at a time
}

var _ ship.Topic = (*route)(nil)

// errStale is why a batch was not sent, or what became of it is not known, though
// nothing is wrong with it nor with Kafka: another source gave up the connection.
var errStale = errors.New("connection was given up by another log")

// classOf sorts the errors of a route.
func classOf(err error) string {
	if errors.Is(err, errStale) {
		return ship.Stale
	}
	return string(kafka.ClassOf(err))
}

func newRoute(topic *kafka.Topic, delay func(n int) time.Duration) *route {
	return &route{topic: topic, delay: delay, links: make(map[int32]*link), turns: make(chan struct{}, 4)}
}

// Describe implements ship.Topic. Whoever asks while the question is under way
// gets its answer, and whoever asks too soon after a failure gets that again.
func (r *route) Describe(ctx context.Context) (partitions int32, maxBytes int, err error) {
	for {
		r.mu.Lock()
		switch asking := r.asking; {
		case r.partitions > 0:
			defer r.mu.Unlock()
			return r.partitions, r.maxBytes, nil
		case r.err != nil && time.Now().Before(r.until):
			defer r.mu.Unlock()
			return 0, 0, r.err
		case asking == nil:
			r.asking = make(chan struct{})
			r.mu.Unlock()
			return r.ask(ctx)
		default:
			r.mu.Unlock()
			select {
			case <-asking:
			case <-ctx.Done():
				return 0, 0, context.Cause(ctx)
			}
		}
	}
}

func (r *route) ask(ctx context.Context) (partitions int32, maxBytes int, err error) {
	d, err := r.topic.Describe(ctx)
	partitions, maxBytes = d.Partitions, d.MaxBytes
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.asking)
	r.asking = nil
	switch {
	case err == nil:
		r.partitions, r.maxBytes = partitions, maxBytes
	case ctx.Err() == nil: // else it says nothing to the others
		r.attempts++
		r.err, r.until = err, time.Now().Add(r.delay(r.attempts))
	}
	return partitions, maxBytes, err
}

// ProducerID implements ship.Topic. A thousand logs that begin together do not
// make a thousand connections.
func (r *route) ProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return -1, 0, context.Cause(ctx)
	}
	return r.topic.ProducerID(ctx)
}

// link is a connection to the leader of one partition, for as many sources as send
// to it.
type link struct {
	opened    chan struct{} // closed when partition and err are there
	partition *kafka.Partition
	err       error
	gaveUp    bool // who opened it did not wait for the end

	users int         // under the route's mu
	cut   atomic.Bool // a user broke it: errors after that say nothing
}

// Open implements ship.Topic.
func (r *route) Open(ctx context.Context, partition int32) (ship.Appender, error) {
	for {
		r.mu.Lock()
		l := r.links[partition]
		if l == nil {
			l = &link{opened: make(chan struct{})}
			r.links[partition] = l
			r.mu.Unlock()
			return r.open(ctx, partition, l)
		}
		r.mu.Unlock()
		select {
		case <-l.opened:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if l.err != nil {
			if l.gaveUp {
				continue
			}
			return nil, l.err
		}
		r.mu.Lock()
		if r.links[partition] == l {
			l.users++
			r.mu.Unlock()
			return &appender{route: r, id: partition, link: l}, nil
		}
		r.mu.Unlock()
	}
}

func (r *route) open(ctx context.Context, partition int32, l *link) (ship.Appender, error) {
	p, err := r.topic.OpenPartition(ctx, partition)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(l.opened)
	if err != nil {
		l.err, l.gaveUp = err, ctx.Err() != nil
		delete(r.links, partition)
		return nil, err
	}
	l.partition, l.users = p, 1
	return &appender{route: r, id: partition, link: l}, nil
}

// drop sees to it that nobody else gets a link.
func (r *route) drop(partition int32, l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.links[partition] == l {
		delete(r.links, partition)
	}
}

// leave tells whether it was the last user who left.
func (r *route) leave(partition int32, l *link) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.users--
	if l.users == 0 && r.links[partition] == l {
		delete(r.links, partition)
	}
	return l.users == 0
}

// appender is one source's use of a link.
type appender struct {
	route *route
	id    int32
	link  *link

	mu      sync.Mutex
	closed  bool
	pending int
}

var _ ship.Appender = (*appender)(nil)

// Append implements ship.Appender.
func (a *appender) Append(b ship.Batch, done func(int64, error)) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		go done(-1, net.ErrClosed)
		return
	}
	a.pending++
	a.mu.Unlock()
	a.link.partition.Append(kafka.Batch(b), func(base int64, err error) {
		if err != nil {
			a.route.drop(a.id, a.link)
			if a.link.cut.Load() || errors.Is(err, kafka.ErrNotSent) {
				err = errStale
			}
		}
		done(base, err)
		a.mu.Lock()
		a.pending--
		a.mu.Unlock()
	})
}

// Close implements ship.Appender. Where answers are to come it breaks the
// connection for everybody, who then connect anew.
func (a *appender) Close() error {
	a.mu.Lock()
	already, pending := a.closed, a.pending
	a.closed = true
	a.mu.Unlock()
	if already {
		return nil
	}
	if pending > 0 {
		a.link.cut.Store(true)
		a.route.drop(a.id, a.link)
		_ = a.link.partition.Close()
	}
	if a.route.leave(a.id, a.link) {
		return a.link.partition.Close()
	}
	return nil
}
