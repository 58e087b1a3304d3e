package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// Record is one record read from a topic.
type Record struct {
	Partition int32
	Offset    int64
	Key       []byte // nil when the key is null
	Value     []byte // nil when the value is null (a tombstone)
	Time      time.Time
}

// GroupConfig names a consumer group, its member and its topic.
type GroupConfig struct {
	Group      string
	Topic      string
	InstanceID string // static member id; empty for a dynamic member

	// CommitInterval is the least time between two commits; 0 means 1 s.
	CommitInterval time.Duration
	// Retry is the wait between attempts, at start and later; the zero value
	// means the client's own.
	Retry Backoff
}

// GroupHandler receives what the group assigns to this member. The methods of
// one partition are called from one goroutine at a time, in the order
// Assigned, then Records and Progress in any order, then Revoked; different
// partitions run concurrently. State is called from one goroutine at a time too,
// beside all others.
type GroupHandler interface {
	// Assigned comes before the first records of a claim. next is the first
	// offset that will come, or -1 if the broker could not be asked.
	Assigned(partition int32, next int64)
	// Records hands over records in order, at most about a thousand. A nil error
	// says that everything up to the last one is done for good and may be
	// committed; any other ends RunGroup with that error. The slice is valid
	// until Records returns. ctx ends when the member has to let go of
	// everything; an error returned then commits nothing and ends nothing else.
	Records(ctx context.Context, partition int32, recs []Record) error
	// Progress tells the position (the next offset to come) and the partition's
	// end offset as of the last fetch that brought records, after each Records
	// and every two seconds. Either is -1 when unknown.
	Progress(partition int32, next, end int64)
	// Revoked comes after the last Records of a claim.
	Revoked(partition int32)
	// State tells that the member is connected, or why it is not and when it
	// tries again. It is called when that changes and after every failed attempt.
	State(connected bool, err error, retryIn time.Duration)
}

const (
	progressInterval = 2 * time.Second
	maxRecords       = 1000 // of one Records call
	// farewell bounds the last commit and leaving the group.
	farewell = 5 * time.Second
	// settled is how long a membership must have lasted for the back-off to
	// begin anew. Shorter ones may end for the same reason again.
	settled = 10 * time.Second
)

// RunGroup consumes as a member of a group until ctx ends. It survives
// everything a cluster can do: it retries for ever with back-off and reports
// through h.State. A topic that does not exist is waited for.
//
// Before it returns it commits what was handled, for which it takes at most some
// seconds. It returns nil when ctx ended, the error of a handler's Records, or
// one that no retry can heal: a name Kafka does not allow, a closed client.
func (c *Client) RunGroup(ctx context.Context, g GroupConfig, h GroupHandler) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.open.Done()
	if g.CommitInterval <= 0 {
		g.CommitInterval = time.Second
	}
	if g.Retry == (Backoff{}) {
		g.Retry = c.cfg.Retry
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	for attempt := 1; ; attempt++ {
		began := time.Now()
		m := &member{client: c, group: g, handler: h, began: make(chan struct{}), trouble: make(chan error, 1)}
		err := m.run(ctx)
		switch {
		case m.verdict() != nil:
			return m.verdict()
		case c.ctx.Err() != nil:
			return errClosed
		case ctx.Err() != nil:
			return nil
		}
		var config sarama.ConfigurationError
		if errors.As(err, &config) {
			return errorf(Invalid, "", "join group %q: %w", g.Group, err)
		}
		if m.joined() && time.Since(began) > settled {
			attempt = 1
		}
		wait := g.Retry.Jittered(attempt)
		h.State(false, err, wait)
		if sleep(ctx, wait) != nil && c.ctx.Err() == nil {
			return nil
		}
	}
}

// member is one membership: from joining the group to whatever ends it.
type member struct {
	client  *Client
	group   GroupConfig
	handler GroupHandler

	began   chan struct{} // closed when the first assignment is here
	once    sync.Once
	trouble chan error // latest error of a partition, for watch

	mu     sync.Mutex
	last   error // the latest thing that went wrong
	broken error // a handler's error

	stop      context.CancelFunc // ends the membership
	marked    atomic.Bool        // something is to be committed
	committer sync.WaitGroup
	commits   sync.Mutex
	endCommit chan struct{}
}

// run joins and consumes. It returns what ended the membership, never nil unless
// ctx ended or a handler failed.
func (m *member) run(ctx context.Context) error {
	ctx, m.stop = context.WithCancel(ctx)
	defer m.stop()
	c := m.client
	// Ask by ourselves first: sarama's answer to a missing topic or a listener
	// that is not Kafka would be slower and say less.
	if _, _, err := c.topic(ctx, m.group.Topic); err != nil {
		return err
	}

	// The connections outlive ctx for as long as the last commit may take.
	netCtx, cut := context.WithCancel(c.ctx)
	defer cut()
	unhook := context.AfterFunc(ctx, func() {
		if m.joined() {
			time.AfterFunc(farewell, cut)
		} else {
			cut()
		}
	})
	defer unhook()

	group, err := sarama.NewConsumerGroup(c.addrs(), m.group.Group, m.config(netCtx))
	if err != nil {
		return c.explain(ctx, "", err)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for err := range group.Errors() {
			m.note(err)
		}
	})
	watchCtx, endWatch := context.WithCancel(ctx)
	watching.Go(func() { m.watch(watchCtx) })

	err = group.Consume(ctx, []string{m.group.Topic}, m)
	timer := time.AfterFunc(farewell, cut) // leaving a group whose coordinator is away
	closeErr := group.Close()
	timer.Stop()
	endWatch()
	watching.Wait()

	for _, e := range []error{err, m.lastError(), closeErr} {
		if e != nil {
			return m.explain(ctx, e)
		}
	}
	return errorf(Other, "", "group %q ended the session", m.group.Group)
}

// explain turns an error of sarama's group into one for a person.
func (m *member) explain(ctx context.Context, err error) error {
	g := m.group
	switch {
	case errors.Is(err, sarama.ErrFencedInstancedId):
		return errorf(Other, "", "another member of group %q uses the instance id %q%w", g.Group, g.InstanceID, quiet{err})
	case errors.Is(err, sarama.ErrOffsetOutOfRange):
		return errorf(Other, "", "group %q: the committed offset is outside of topic %q: its records were deleted before they were read; choose where to go on with kafka-consumer-groups.sh --group %s --topic %s --reset-offsets: %w",
			g.Group, g.Topic, g.Group, g.Topic, err)
	case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
		return errorf(Authorization, "", "not allowed to use group %q (needs READ on it)%w", g.Group, quiet{err})
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return errorf(Authorization, "", "not allowed to read topic %q (needs READ on it)%w", g.Topic, quiet{err})
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return topicMissing(g.Topic)
	}
	var config sarama.ConfigurationError
	if errors.As(err, &config) {
		return err
	}
	err = m.client.explain(ctx, "", err)
	var e *Error
	if errors.As(err, &e) && e.Addr == "" && (e.Class == Unreachable || e.Class == Timeout) {
		// sarama does not say which broker. Asking once more mostly does.
		if _, _, now := m.client.topic(ctx, m.group.Topic); now != nil {
			return now
		}
	}
	return err
}

func (m *member) config(ctx context.Context) *sarama.Config {
	conf := m.client.config(ctx)
	conf.ChannelBufferSize = maxRecords
	conf.Metadata.Full = false // only our topic
	conf.Metadata.RefreshFrequency = time.Minute
	conf.Metadata.Timeout = 2 * m.client.cfg.RequestTimeout
	cons := &conf.Consumer
	cons.Return.Errors = true
	cons.IsolationLevel = sarama.ReadCommitted
	cons.Fetch.Default = 4 << 20
	cons.MaxWaitTime = 500 * time.Millisecond
	cons.MaxProcessingTime = time.Second
	cons.Retry.Backoff = 500 * time.Millisecond
	cons.Offsets.Initial = sarama.OffsetOldest
	cons.Offsets.AutoCommit.Enable = false
	// A committed offset that retention has overtaken is reported, not skipped:
	// jumping would hide a loss.
	cons.Group.ResetInvalidOffsets = false
	// A rebalance is noticed at the next heartbeat, and takes two of them.
	cons.Group.Heartbeat.Interval = time.Second
	cons.Group.InstanceId = m.group.InstanceID
	cons.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyCooperativeSticky(), // has state: one for each group
	}
	return conf
}

// note keeps an error that did not end the session.
func (m *member) note(err error) {
	m.client.log.Debug().Err(err).Str("topic", m.group.Topic).Msg("consumer group error")
	m.mu.Lock()
	m.last = err
	m.mu.Unlock()
	m.marked.Store(true) // it may have been a commit; committing nothing costs nothing
	select {
	case <-m.trouble:
	default:
	}
	select {
	case m.trouble <- err:
	default:
	}
}

func (m *member) lastError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// fail ends RunGroup with a handler's error.
func (m *member) fail(err error) {
	m.mu.Lock()
	m.broken = err
	m.mu.Unlock()
	m.stop()
}

func (m *member) verdict() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

func (m *member) joined() bool {
	select {
	case <-m.began:
		return true
	default:
		return false
	}
}

// watch tells the handler about the connection: good when the group has joined,
// bad when a partition reports an error, good again when the leaders of all
// partitions answer.
func (m *member) watch(ctx context.Context) {
	select {
	case <-m.began:
		m.handler.State(true, nil, 0)
	case <-ctx.Done():
		return
	}
	for {
		var err error
		select {
		case err = <-m.trouble:
		case <-ctx.Done():
			return
		}
		for attempt := 1; err != nil; attempt++ {
			wait := m.group.Retry.Delay(attempt)
			m.handler.State(false, m.explain(ctx, err), wait)
			if sleep(ctx, wait) != nil {
				return
			}
			_, err = m.client.EndOffsets(ctx, m.group.Topic)
			if ctx.Err() != nil {
				return
			}
		}
		m.handler.State(true, nil, 0)
	}
}

// errClosed is what a closed client's calls return.
var errClosed = fmt.Errorf("kafka client: %w", net.ErrClosed)
