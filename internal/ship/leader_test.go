package ship

import (
	"context"
	"math/rand"
	"slices"
	"sync"
	"time"
)

// leaders are partitions as their leaders and followers have them, for histories: what
// is appended may not be replicated and get lost with its leader, one that was deposed
// goes on answering for a while, and what leaders know of producers expires.
type leaders struct {
	mu         sync.Mutex
	rnd        *rand.Rand
	faults     float64 // how often anything goes wrong
	partitions []*partition
	nextID     int64
	described  int // max.message.bytes as the settings say
	limit      int // and as it is by now
	// Of a single broker: it does not know the question what it holds (before Kafka 2.8),
	// or tells nothing and wants an unknown producer to begin with 0.
	mute, fromZero bool
	busy           bool // others append
	note           func(string, ...any)
}

type partition struct {
	batches   []kept
	end, high int64 // offset after the last record, and after the last that is replicated
	start     int64
	producers map[int64]*producer
	epoch     int32 // of the leader
	lags      bool  // nothing more is replicated for now

	index   int
	note    func(string, ...any)
	deposed map[int64]*producer // what the leader before knew
	stale   int                 // so many times it goes on answering
}

// othersID is somebody else's producer id.
const othersID = 1 << 40

type kept struct {
	Stored
	id    int64
	epoch int16
}

func newLeaders(rnd *rand.Rand, partitions int) *leaders {
	l := &leaders{rnd: rnd}
	for range partitions {
		l.grow()
	}
	return l
}

func (l *leaders) grow() {
	l.partitions = append(l.partitions, &partition{
		producers: make(map[int64]*producer), index: len(l.partitions), note: func(format string, args ...any) { l.note(format, args...) },
	})
}

// locked draws with the mutex held.
func (l *leaders) goesWrong() bool { return l.rnd.Float64() < l.faults }

func (l *leaders) Describe(context.Context) (Description, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.goesWrong() {
		return Description{}, errLost
	}
	return l.description(), nil
}

func (l *leaders) description() Description {
	return Description{ClusterID: "c", TopicID: "t", Partitions: int32(len(l.partitions)), MaxBytes: l.described, MinInSync: 2}
}

func (l *leaders) Identity(context.Context) (Description, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.description(), nil
}

func (l *leaders) ProducerID(context.Context) (int64, int16, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.goesWrong() {
		return -1, 0, errLost
	}
	l.nextID++
	return l.nextID, 0, nil
}

// settle ends a lag: what was not replicated is, or it is lost with its leader.
func (l *leaders) settle(p *partition) {
	if !p.lags {
		return
	}
	p.lags = false
	if l.rnd.Intn(2) == 0 {
		p.high = p.end
		return
	}
	l.elect(p)
}

// elect makes a follower the leader: it has what is replicated, and some batches more.
func (l *leaders) elect(p *partition) {
	p.deposed, p.stale = p.producers, l.rnd.Intn(confirmations)
	p.epoch++
	n := 0
	for n < len(p.batches) && (p.batches[n].BaseOffset < p.high || l.rnd.Intn(2) == 0) {
		n++
	}
	p.batches = slices.Clone(p.batches[:n])
	p.end = 0
	if n > 0 {
		p.end = p.batches[n-1].BaseOffset + int64(len(p.batches[n-1].Lines))
	}
	p.high, p.lags = p.end, false
	p.note("partition %d: elected, end %d, stale %d", p.index, p.end, p.stale)
	p.rebuild(l.rnd.Intn(2) == 0)
}

// rebuild is what a leader knows of producers from its log; with one, only the last
// batch of each is recognised.
func (p *partition) rebuild(one bool) {
	known := p.producers
	p.producers = make(map[int64]*producer)
	for _, b := range p.batches {
		if known[b.id] == nil {
			continue // expired
		}
		x := p.producers[b.id]
		if x == nil || x.epoch != b.epoch {
			x = &producer{epoch: b.epoch}
			p.producers[b.id] = x
		}
		x.next = sequenceOf(int64(b.FirstSequence) + int64(len(b.Lines)))
		x.known = append(x.known, memory{b.FirstSequence, len(b.Lines), b.BaseOffset})
		most := maxInFlight
		if one {
			most = 1
		}
		x.known = x.known[max(0, len(x.known)-most):]
	}
}

// forget is the expiry of what is known of producers.
func (p *partition) forget() { clear(p.producers) }

func (l *leaders) answer(of map[int64]*producer, id int64) (Producer, error) {
	x := of[id]
	switch {
	case l.mute:
		return Producer{}, refusedError(Unsupported)
	case x == nil, l.fromZero:
		return Producer{}, nil
	}
	return Producer{Known: true, Epoch: x.epoch, LastSequence: (x.next - 1) & sequenceMask}, nil
}

func (l *leaders) Producer(_ context.Context, n int32, id int64) (Producer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.partitions[n]
	if l.goesWrong() {
		return Producer{}, errLost
	}
	if p.stale > 0 && l.rnd.Intn(2) == 0 {
		p.stale--
		return l.answer(p.deposed, id)
	}
	return l.answer(p.producers, id)
}

func (l *leaders) Log(_ context.Context, n int32) (Log, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.goesWrong() {
		return Log{}, errLost
	}
	return l.log(l.partitions[n]), nil
}

func (l *leaders) log(p *partition) Log {
	if l.busy && l.rnd.Intn(2) == 0 {
		p.batches = append(p.batches, kept{Stored: Stored{BaseOffset: p.end, Lines: [][]byte{[]byte(othersLine)}}, id: othersID})
		if p.end++; !p.lags {
			p.high = p.end
		}
	}
	inSync := 3
	if p.lags {
		inSync = 1 + l.rnd.Intn(3)
	}
	return Log{Start: p.start, HighWatermark: p.high, LeaderEpoch: p.epoch, Replicas: 3, InSync: inSync, MinInSync: 2}
}

func (l *leaders) Scan(_ context.Context, n int32, from, id int64, epoch int16, each func(Stored) error) (Log, error) {
	l.mu.Lock()
	p := l.partitions[n]
	l.settleSometimes(p)
	if l.goesWrong() {
		l.mu.Unlock()
		return Log{}, errLost
	}
	log, batches := l.log(p), slices.Clone(p.batches)
	l.mu.Unlock()
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
	}
	return log, nil
}

func (l *leaders) settleSometimes(p *partition) {
	if l.rnd.Intn(3) == 0 {
		l.settle(p)
	}
}

func (l *leaders) Open(_ context.Context, n int32) (Appender, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.partitions[n]
	l.settleSometimes(p)
	if l.goesWrong() {
		return nil, errLost
	}
	k := &toLeader{leaders: l, partition: n, epoch: p.epoch, calls: make(chan linkCall, 100), done: make(chan struct{})}
	if p.stale > 0 && l.rnd.Intn(3) == 0 {
		k.epoch-- // who led before says that it does
	}
	go k.serve()
	return k, nil
}

// append is one request, which may come from a process that is dead.
func (l *leaders) append(n int32, epoch int32, b Batch) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.partitions[n]
	switch {
	case l.goesWrong():
		return -1, errLost
	case epoch != p.epoch:
		return -1, refusedError("leader")
	}
	if l.rnd.Float64() < l.faults && !l.mute && !l.fromZero {
		p.lags = true
	}
	size := 0
	for _, line := range b.Lines {
		size += len(line)
	}
	if size > l.limit {
		return -1, errTooLarge
	}
	if l.fromZero && p.producers[b.ProducerID] == nil && b.FirstSequence != 0 {
		return -1, errOrder
	}
	base, err := p.store(b)
	if err != nil {
		return -1, err
	}
	if p.lags {
		return -1, refusedError("timeout")
	}
	p.high = p.end
	if l.goesWrong() {
		return -1, errLost
	}
	if l.rnd.Float64() < l.faults/4 {
		l.elect(p)
	}
	return base, nil
}

func (p *partition) store(b Batch) (int64, error) {
	x := p.producers[b.ProducerID]
	switch {
	case x == nil:
		x = &producer{epoch: b.Epoch}
		p.producers[b.ProducerID] = x
	case b.Epoch < x.epoch:
		return -1, errFenced
	case b.Epoch > x.epoch:
		if b.FirstSequence != 0 {
			return -1, errOrder
		}
		*x = producer{epoch: b.Epoch}
	default:
		for _, m := range x.known {
			if m.first == b.FirstSequence && m.lines == len(b.Lines) {
				return m.base, nil
			}
		}
		if b.FirstSequence != x.next {
			return -1, errOrder
		}
	}
	k := kept{Stored: Stored{Epoch: b.Epoch, FirstSequence: b.FirstSequence, BaseOffset: p.end}, id: b.ProducerID, epoch: b.Epoch}
	for _, line := range b.Lines {
		k.Lines = append(k.Lines, slices.Clone(line))
	}
	p.batches = append(p.batches, k)
	p.note("partition %d: appended at %d: id %d epoch %d first %d lines %d (%.7s…%.7s)", p.index, k.BaseOffset, k.id, k.epoch, k.FirstSequence, len(k.Lines), k.Lines[0], k.Lines[len(k.Lines)-1])
	p.end += int64(len(b.Lines))
	x.next = sequenceOf(int64(b.FirstSequence) + int64(len(b.Lines)))
	x.known = append(x.known, memory{b.FirstSequence, len(b.Lines), k.BaseOffset})
	x.known = x.known[max(0, len(x.known)-maxInFlight):]
	return k.BaseOffset, nil
}

// takes is how long a request does.
func (l *leaders) takes() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.rnd.Intn(200)) * time.Millisecond
}

// toLeader is a connection.
type toLeader struct {
	leaders   *leaders
	partition int32
	epoch     int32
	calls     chan linkCall
	done      chan struct{}

	mu     sync.Mutex
	closed bool
}

func (k *toLeader) Producer(ctx context.Context, id int64) (Producer, error) {
	k.leaders.mu.Lock()
	defer k.leaders.mu.Unlock()
	p := k.leaders.partitions[k.partition]
	switch {
	case k.leaders.goesWrong():
		return Producer{}, errLost
	case k.epoch != p.epoch && p.stale > 0:
		p.stale--
		return k.leaders.answer(p.deposed, id)
	case k.epoch != p.epoch:
		return Producer{}, refusedError("leader")
	}
	return k.leaders.answer(p.producers, id)
}

func (k *toLeader) LeaderEpoch() int32 { return k.epoch }

func (k *toLeader) Retire() {}

func (k *toLeader) Append(b Batch, done func(int64, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		done(-1, errLost)
		return
	}
	k.calls <- linkCall{b, done}
}

func (k *toLeader) Close() error {
	k.mu.Lock()
	if !k.closed {
		k.closed = true
		close(k.calls)
	}
	k.mu.Unlock()
	<-k.done
	return nil
}

func (k *toLeader) serve() {
	defer close(k.done)
	var broken error
	for call := range k.calls {
		if broken != nil {
			call.done(-1, broken)
			continue
		}
		time.Sleep(k.leaders.takes())
		base, err := k.leaders.append(k.partition, k.epoch, call.b)
		if err != nil && class(err) == "other" {
			broken = err
		}
		call.done(base, err)
	}
}
