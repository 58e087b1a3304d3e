package ship

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Group is what the Shippers of a process have in common: metrics, which are sums
// over them, and what is said of the way to Kafka, which is the same for all. Its
// methods may be called from any goroutine.
type Group struct {
	log     zerolog.Logger
	class   func(error) string
	metrics *metrics

	mu       sync.Mutex
	members  map[*Shipper]struct{}
	failing  map[*Shipper]struct{} // the last thing these heard was an error
	trouble  trouble
	unsaved  map[*Shipper]struct{} // of these the state can't be stored
	storing  trouble
	checking time.Time // when the second began in which
	checks   int       // so many had receipts checked
	state    Status    // what is not a sum over members
}

// Status is what a Group says of its Shippers.
type Status struct {
	// Connected is whether the last thing heard from Kafka was good. Err and
	// RetryIn say what is wrong if not.
	Connected bool
	Err       error
	RetryIn   time.Duration
	// Unacked lines were read and are not safe yet; Oldest is how long the first
	// of them has been waiting.
	Unacked int
	// InFlight is batches that were sent and have no answer yet.
	InFlight int
	Oldest   time.Duration
	// Unsaved is how long ago the state was stored, of the Shipper that waits longest
	// with something new to store.
	Unsaved time.Duration
	// Acked is how many lines the broker has acknowledged since the start.
	Acked uint64
}

// NewGroup returns a Group that says what is wrong to log. class is as in
// Options; reg may be nil.
func NewGroup(class func(error) string, log zerolog.Logger, reg prometheus.Registerer) *Group {
	g := &Group{log: log, class: withOwn(class), members: make(map[*Shipper]struct{}), failing: make(map[*Shipper]struct{}), unsaved: make(map[*Shipper]struct{})}
	g.metrics = newMetrics(reg, g)
	return g
}

// Status sums up.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status(time.Now())
}

// status is Status for a caller that holds mu.
func (g *Group) status(now time.Time) Status {
	sum := g.state
	for s := range g.members {
		s.view.addTo(&sum, now)
	}
	return sum
}

func (g *Group) join(s *Shipper) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[s] = struct{}{}
}

// mayCheck counts those who have receipts checked in a second, and tells whether there
// is room for one more.
func (g *Group) mayCheck(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.checking) >= time.Second {
		g.checking, g.checks = now, 0
	}
	g.checks++
	return g.checks <= checksASecond
}

// leave ends a Shipper's part. Its trouble goes with it.
func (g *Group) leave(s *Shipper) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := Status{}
	s.view.addTo(&sum, time.Now())
	g.state.Acked += sum.Acked
	delete(g.members, s)
	delete(g.unsaved, s)
	if _, was := g.failing[s]; was {
		delete(g.failing, s)
		if len(g.failing) == 0 {
			g.trouble, g.state.Err, g.state.RetryIn = trouble{}, nil, 0
		}
	}
}

// view is what others may know of a Shipper while its loop goes on.
type view struct {
	mu      sync.Mutex
	unacked int
	flying  int
	since   time.Time // when the oldest of them was read; zero if there is none
	saved   time.Time // zero if there is nothing new
	acked   uint64
}

func (v *view) addTo(sum *Status, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum.Unacked += v.unacked
	sum.InFlight += v.flying
	sum.Acked += v.acked
	if !v.since.IsZero() {
		sum.Oldest = max(sum.Oldest, now.Sub(v.since))
	}
	if !v.saved.IsZero() {
		sum.Unsaved = max(sum.Unsaved, now.Sub(v.saved))
	}
}

// show brings the view up to date.
func (s *Shipper) show() {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	flying := 0
	for _, l := range s.lanes {
		flying += len(l.flying)
	}
	s.view.flying = flying
	s.view.unacked, s.view.since, s.view.acked, s.view.saved = s.order.lines, s.order.since(), s.ackedLines, time.Time{}
	if s.order.moved {
		s.view.saved = s.saved
	}
}

// trouble is what is wrong with the way to Kafka, and when that was last said.
type trouble struct {
	since, said time.Time
	text        string
}

// fails takes note of an error, and says it if it is new or was said long ago.
func (g *Group) fails(s *Shipper, err error, retryIn time.Duration) {
	g.metrics.errors.WithLabelValues(g.class(err)).Inc()
	s.show()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failing[s] = struct{}{}
	g.state.Connected, g.state.Err, g.state.RetryIn = false, err, retryIn
	now := time.Now()
	if g.trouble.since.IsZero() {
		g.trouble.since = now
	}
	if err.Error() == g.trouble.text && now.Sub(g.trouble.said) < repeatWarning {
		return
	}
	g.trouble.text, g.trouble.said = err.Error(), now
	sum := g.status(now)
	g.log.Warn().Err(err).Int("unacked", sum.Unacked).Stringer("oldest", sum.Oldest.Round(time.Second)).
		Stringer("retry_in", retryIn.Round(time.Millisecond)).Msg(g.wording(err))
}

// wording is the message for an error: one that only names the topic does not say
// that Kafka is away.
func (g *Group) wording(err error) string {
	if own := leaderError(""); errors.As(err, &own) {
		return "partition is not ready, lines wait in the log file"
	}
	switch g.class(err) {
	case TopicMissing:
		return "topic missing, lines wait in the log file"
	case Refused:
		return "kafka refuses the lines, they wait in the log file"
	case Authorization:
		return "a right is missing, lines wait in the log file"
	case Timestamp:
		return "kafka does not take lines of this time, they wait in the log file"
	}
	return "kafka unreachable, lines wait in the log file"
}

// heals takes note that Kafka does its part for a Shipper.
func (g *Group) heals(s *Shipper) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failing, s)
	if len(g.failing) > 0 {
		return // another one is still in trouble
	}
	g.state.Connected, g.state.Err, g.state.RetryIn = true, nil, 0
	if !g.trouble.since.IsZero() {
		g.log.Info().Stringer("after", time.Since(g.trouble.since).Round(time.Millisecond)).Msg("kafka reachable again")
		g.trouble = trouble{}
	}
}

// cannotStore takes note that a Shipper's state is not on disk, and says so if that
// is new or was said long ago.
func (g *Group) cannotStore(s *Shipper, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsaved[s] = struct{}{}
	now := time.Now()
	if g.storing.since.IsZero() {
		g.storing.since = now
	}
	if err.Error() == g.storing.text && now.Sub(g.storing.said) < repeatWarning {
		return
	}
	g.storing.text, g.storing.said = err.Error(), now
	g.log.Warn().Err(err).Stringer("retry_in", saveEvery).
		Msg("state can't be stored, only lines whose numbers are reserved go on, the others wait in the log file")
}

// stores takes note that a Shipper's state is on disk.
func (g *Group) stores(s *Shipper) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.unsaved, s)
	if len(g.unsaved) > 0 || g.storing.since.IsZero() {
		return
	}
	g.log.Info().Stringer("after", time.Since(g.storing.since).Round(time.Millisecond)).Msg("state can be stored again")
	g.storing = trouble{}
}
