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

	// holds, if set, answers in the place of what a leader holds.
	holds func(partition int32, id int64) (Producer, error)

	// Of brokers that are not like that.
	fromZero bool  // an unknown producer id has to begin with sequence 0
	producer error // answers in the place of Producer

	busy    bool                              // others append all the time
	bounds  func(Log) Log                     // what a leader tells of its log
	scanned func(id int64, epoch int16) error // before a scan
	scans   int
	asked   int // what a leader holds
	reread  int // records that were handed out before

	epoch   int32     // of the leader
	shared  int32     // and of a connection to it that Open gives until it is retired
	behind  int       // so many more connections lead to a broker that was deposed,
	deposed *Producer // which appends nothing, and says this
	retired int
	stamp   int64 // of the last batch of every producer

	mu         sync.Mutex
	starts     map[int32]int64 // offset of the oldest record, where some were deleted
	logs       [][]string
	stored     [][]batchStored // by partition, what logs consists of
	handed     map[int64]bool  // offsets of records that a scan handed out
	topicID    string
	compacted  bool
	lags       bool // Identity is what it was at the question before
	told       Description
	producers  map[[2]int64]*producer // by partition and id
	nextID     int64
	described  int
	opened     int
	closed     int
	maxBytes   int
	largest    int // batch, in bytes of lines
	mostFlying int
}

type batchStored struct {
	Stored
	id    int64
	epoch int16
}

type producer struct {
	epoch int16
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
	errFenced   = refusedError(Fenced)
)

func class(err error) string {
	var r refusedError
	if errors.As(err, &r) {
		return string(r)
	}
	return "other"
}

func newCluster(partitions int) *cluster {
	return &cluster{
		logs: make([][]string, partitions), stored: make([][]batchStored, partitions), topicID: "topic-1",
		producers: make(map[[2]int64]*producer), maxBytes: 1 << 20, starts: make(map[int32]int64), handed: make(map[int64]bool),
	}
}

var _ Topic = (*cluster)(nil)

func (c *cluster) Describe(ctx context.Context) (Description, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.described++
	if c.describe != nil {
		if err := c.describe(c.described); err != nil {
			return Description{}, err
		}
	}
	return c.description(), nil
}

func (c *cluster) description() Description {
	return Description{ClusterID: "cluster-1", TopicID: c.topicID, Partitions: int32(len(c.logs)), MaxBytes: c.maxBytes, Compacted: c.compacted}
}

func (c *cluster) Identity(context.Context) (Description, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := c.description()
	if c.lags && c.told.TopicID != "" {
		told, c.told = c.told, told
	} else {
		c.told = told
	}
	return told, nil
}

func (c *cluster) Producer(_ context.Context, partition int32, id int64) (Producer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	switch {
	case c.producer != nil:
		return Producer{}, c.producer
	case c.holds != nil:
		return c.holds(partition, id)
	}
	p := c.producers[[2]int64{int64(partition), id}]
	if p == nil {
		return Producer{}, nil
	}
	return Producer{Known: true, Epoch: p.epoch, LastSequence: (p.next - 1) & sequenceMask, LastTimestamp: c.stamp}, nil
}

func (c *cluster) Scan(_ context.Context, partition int32, from, id int64, epoch int16, each func(Stored) error) (Log, error) {
	c.mu.Lock()
	c.scans++
	hook := c.scanned
	c.mu.Unlock()
	if hook != nil {
		if err := hook(id, epoch); err != nil {
			return Log{}, err
		}
	}
	log, err := c.Log(context.Background(), partition)
	c.mu.Lock()
	batches := c.stored[partition]
	c.mu.Unlock()
	from = max(from, log.Start)
	for _, b := range batches {
		if b.BaseOffset >= log.HighWatermark || b.BaseOffset+int64(len(b.Lines)) <= from || b.id != id || b.epoch != epoch && epoch != EveryEpoch {
			continue
		}
		if n := from - b.BaseOffset; n > 0 {
			b.Stored = Stored{Epoch: b.epoch, FirstSequence: sequenceOf(int64(b.FirstSequence) + n), BaseOffset: from, Lines: b.Lines[n:]}
		}
		if err := each(b.Stored); err != nil {
			return Log{}, err
		}
		c.mu.Lock()
		if c.handed[b.BaseOffset] {
			c.reread += len(b.Lines)
		}
		c.handed[b.BaseOffset] = true
		c.mu.Unlock()
	}
	return log, err
}

func (c *cluster) Log(_ context.Context, partition int32) (Log, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.appendOthers(partition)
	}
	l := Log{Start: c.starts[partition], HighWatermark: int64(len(c.logs[partition])), LeaderEpoch: c.epoch, Replicas: 1, InSync: 1, MinInSync: 1}
	if c.bounds != nil {
		l = c.bounds(l)
	}
	return l, nil
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
	epoch, deposed := c.shared, c.behind > 0
	if deposed {
		epoch = max(c.epoch-1, -1)
		c.behind--
	}
	c.mu.Unlock()
	k := &link{cluster: c, partition: partition, epoch: epoch, deposed: deposed, calls: make(chan linkCall, 100), done: make(chan struct{})}
	go k.serve()
	return k, nil
}

// othersLine is what others append.
const othersLine = "somebody else's"

func (c *cluster) appendOthers(partition int32) {
	b := Stored{BaseOffset: int64(len(c.logs[partition])), Lines: [][]byte{[]byte(othersLine)}}
	c.logs[partition] = append(c.logs[partition], othersLine)
	c.stored[partition] = append(c.stored[partition], batchStored{Stored: b, id: othersID})
}

// link is a connection: it serves batches one after the other, and none after an
// error.
type link struct {
	cluster   *cluster
	partition int32
	epoch     int32
	deposed   bool
	calls     chan linkCall
	done      chan struct{}

	mu     sync.Mutex
	closed bool
}

type linkCall struct {
	b    Batch
	done func(int64, error)
}

func (k *link) Producer(ctx context.Context, id int64) (Producer, error) {
	if k.deposed {
		return *k.cluster.deposed, nil
	}
	return k.cluster.Producer(ctx, k.partition, id)
}

func (k *link) LeaderEpoch() int32 { return k.epoch }

func (k *link) Retire() {
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	k.cluster.retired++
	k.cluster.shared = k.cluster.epoch
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
		if k.deposed {
			broken = errLost
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
	switch {
	case p == nil && c.fromZero && b.FirstSequence != 0:
		return -1, errOrder
	case p == nil:
		p = &producer{epoch: b.Epoch}
		c.producers[key] = p
	case b.Epoch < p.epoch:
		return -1, errFenced
	case b.Epoch > p.epoch:
		if b.FirstSequence != 0 {
			return -1, errOrder
		}
		*p = producer{epoch: b.Epoch}
	default:
		for _, m := range p.known {
			if m.first == b.FirstSequence && m.lines == len(b.Lines) {
				return m.base, nil
			}
		}
		if b.FirstSequence != p.next {
			return -1, errOrder
		}
	}
	base := int64(len(c.logs[partition]))
	kept := batchStored{Stored: Stored{Epoch: b.Epoch, FirstSequence: b.FirstSequence, BaseOffset: base}, id: b.ProducerID, epoch: b.Epoch}
	for _, line := range b.Lines {
		c.logs[partition] = append(c.logs[partition], string(line))
		kept.Lines = append(kept.Lines, []byte(string(line)))
	}
	c.stored[partition] = append(c.stored[partition], kept)
	p.next = sequenceOf(int64(b.FirstSequence) + int64(len(b.Lines)))
	p.known = append(p.known, memory{b.FirstSequence, len(b.Lines), base})
	if len(p.known) > maxInFlight {
		p.known = p.known[1:]
	}
	return base, nil
}
