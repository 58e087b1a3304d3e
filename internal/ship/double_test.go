package ship

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// cluster stands in for Kafka: it appends by the broker's rules and fails when it
// is told to. The rules are those of KIP-98, as measured on Kafka 3.6.2: a known
// producer id takes exactly the next sequence, recognises its last five batches,
// and answers OutOfOrder to anything else; an unknown one takes any.
type cluster struct {
	describe func(call int) error // nil answers
	// fault is asked for each batch: before it is appended, and after.
	fault func(partition int32, b Batch, appended bool) error

	mu         sync.Mutex
	logs       [][]string
	producers  map[[2]int64]*producer // by partition and id
	nextID     int64
	described  int
	opened     int
	closed     int
	maxBytes   int
	largest    int // batch, in bytes of lines
	mostFlying int
}

type producer struct {
	next  int32
	known []memory
}

type memory struct {
	first int32
	lines int
	base  int64
}

type refusedError string

func (e refusedError) Error() string { return string(e) }

var (
	errLost     = errors.New("connection lost")
	errTooLarge = refusedError(TooLarge)
	errOrder    = refusedError(OutOfOrder)
	errOthers   = refusedError(Stale)
)

func class(err error) string {
	var r refusedError
	if errors.As(err, &r) {
		return string(r)
	}
	return "other"
}

func newCluster(partitions int) *cluster {
	return &cluster{logs: make([][]string, partitions), producers: make(map[[2]int64]*producer), maxBytes: 1 << 20}
}

var _ Topic = (*cluster)(nil)

func (c *cluster) Describe(context.Context) (int32, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.described++
	if c.describe != nil {
		if err := c.describe(c.described); err != nil {
			return 0, 0, err
		}
	}
	return int32(len(c.logs)), c.maxBytes, nil
}

func (c *cluster) ProducerID(context.Context) (int64, int16, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID++
	return c.nextID, 0, nil
}

func (c *cluster) Open(ctx context.Context, partition int32) (Appender, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.opened++
	c.mu.Unlock()
	k := &link{cluster: c, partition: partition, calls: make(chan linkCall, 100), done: make(chan struct{})}
	go k.serve()
	return k, nil
}

// link is a connection: it serves batches one after the other, and none after an
// error.
type link struct {
	cluster   *cluster
	partition int32
	calls     chan linkCall
	done      chan struct{}

	mu     sync.Mutex
	closed bool
}

type linkCall struct {
	b    Batch
	done func(int64, error)
}

func (k *link) Append(b Batch, done func(int64, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		done(-1, errLost)
		return
	}
	k.calls <- linkCall{b, done}
}

func (k *link) Close() error {
	k.mu.Lock()
	if !k.closed {
		k.closed = true
		close(k.calls)
		defer func() {
			k.cluster.mu.Lock()
			defer k.cluster.mu.Unlock()
			k.cluster.closed++
		}()
	}
	k.mu.Unlock()
	<-k.done
	return nil
}

func (k *link) serve() {
	defer close(k.done)
	var broken error
	for call := range k.calls {
		k.cluster.fly(len(k.calls) + 1)
		if broken != nil {
			call.done(-1, broken)
			continue
		}
		base, err := k.cluster.append(k.partition, call.b)
		// A refusal does not break the connection: what is behind it is tried too.
		if err != nil && class(err) == "other" {
			broken = err
		}
		call.done(base, err)
	}
}

func (c *cluster) fly(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mostFlying = max(c.mostFlying, n)
}

func (c *cluster) append(partition int32, b Batch) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		if err := c.fault(partition, b, false); err != nil {
			return -1, err
		}
	}
	size := 0
	for _, line := range b.Lines {
		size += len(line)
	}
	c.largest = max(c.largest, size)
	if size > c.maxBytes {
		return -1, errTooLarge
	}
	base, err := c.store(partition, b)
	if err == nil && c.fault != nil {
		err = c.fault(partition, b, true)
	}
	return base, err
}

func (c *cluster) store(partition int32, b Batch) (int64, error) {
	if b.ProducerID < 0 {
		panic(fmt.Sprintf("batch with producer id %d: a broker appends that without any check", b.ProducerID))
	}
	key := [2]int64{int64(partition), b.ProducerID}
	p := c.producers[key]
	if p != nil {
		for _, m := range p.known {
			if m.first == b.FirstSequence && m.lines == len(b.Lines) {
				return m.base, nil
			}
		}
		if b.FirstSequence != p.next {
			return -1, errOrder
		}
	} else {
		p = &producer{}
		c.producers[key] = p
	}
	base := int64(len(c.logs[partition]))
	for _, line := range b.Lines {
		c.logs[partition] = append(c.logs[partition], string(line))
	}
	p.next = nextSequence(b.FirstSequence, len(b.Lines))
	p.known = append(p.known, memory{b.FirstSequence, len(b.Lines), base})
	if len(p.known) > maxInFlight {
		p.known = p.known[1:]
	}
	return base, nil
}
