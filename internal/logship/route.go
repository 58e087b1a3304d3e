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

// route is the way of all sources to the topic: it is described once for all, its
// identity is asked for once a second, what a leader holds of producers is asked for
// all that want to know at the time, and there is one connection for each partition
// that anybody sends to. A thousand quiet logs hold none.
type route struct {
	topic *kafka.Topic

	described, identified *answer[kafka.Description]
	turns                 turns // of short questions
	scans                 turns // which take their time

	mu       sync.Mutex
	links    map[int32]*link
	recalled map[int32]*recall // by partition: those that wait for their turn
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
	return &route{
		topic:      topic,
		described:  &answer[kafka.Description]{delay: delay},
		identified: &answer[kafka.Description]{fresh: time.Second, delay: delay},
		turns:      make(turns, 4),
		scans:      make(turns, 4),
		links:      make(map[int32]*link),
		recalled:   make(map[int32]*recall),
	}
}

// Describe implements ship.Topic. The answer is kept for good.
func (r *route) Describe(ctx context.Context) (ship.Description, error) {
	d, err := r.described.get(ctx, r.topic.Describe)
	return ship.Description(d), err
}

// Identity implements ship.Topic. The answer is shared for a second, the failure to
// get one for as long as Describe's is.
func (r *route) Identity(ctx context.Context) (ship.Description, error) {
	d, err := r.identified.get(ctx, r.topic.Identity)
	return ship.Description(d), err
}

// ProducerID implements ship.Topic. A thousand logs that begin together do not
// make a thousand connections.
func (r *route) ProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	if err := r.turns.take(ctx); err != nil {
		return -1, 0, err
	}
	defer r.turns.give()
	return r.topic.ProducerID(ctx)
}

// Log implements ship.Topic.
func (r *route) Log(ctx context.Context, partition int32) (ship.Log, error) {
	if err := r.turns.take(ctx); err != nil {
		return ship.Log{}, err
	}
	defer r.turns.give()
	l, err := r.topic.Log(ctx, partition)
	return ship.Log(l), err
}

// Scan implements ship.Topic.
func (r *route) Scan(ctx context.Context, partition int32, from int64, id int64, epoch int16, each func(ship.Stored) error) (ship.Log, error) {
	if err := r.scans.take(ctx); err != nil {
		return ship.Log{}, err
	}
	defer r.scans.give()
	l, err := r.topic.Scan(ctx, partition, from, id, epoch, func(s kafka.Stored) error { return each(ship.Stored(s)) })
	return ship.Log(l), err
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
		delete(r.links, partition) // still this one: nobody retires what was not opened
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

// Producer implements ship.Appender.
func (a *appender) Producer(ctx context.Context, id int64) (ship.Producer, error) {
	found, err := a.link.partition.Producer(ctx, id)
	if err != nil {
		if a.link.cut.Load() {
			return ship.Producer{}, errStale
		}
		if class := kafka.ClassOf(err); ctx.Err() == nil && class != kafka.Unsupported && class != kafka.Authorization {
			a.route.drop(a.id, a.link)
		}
	}
	return ship.Producer(found), err
}

// Retire implements ship.Appender. Others go on over the link, for which nothing may be
// wrong: it may be to the right broker, and older than its present epoch as a leader.
func (a *appender) Retire() { a.route.drop(a.id, a.link) }

// LeaderEpoch implements ship.Appender.
func (a *appender) LeaderEpoch() int32 { return a.link.partition.LeaderEpoch() }

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
