package ship

import (
	"sync"
	"time"
)

// Status is what a Shipper says of itself.
type Status struct {
	// Connected is whether the last thing heard from Kafka was good. Err and
	// RetryIn say what is wrong if not.
	Connected bool
	Err       error
	RetryIn   time.Duration
	// Unacked lines were read and are not safe yet; Oldest is how long the first
	// of them has been waiting.
	Unacked int
	Oldest  time.Duration
	// Acked is how many lines the broker has acknowledged since the start.
	Acked uint64
}

// view is the status as others may see it while the loop goes on.
type view struct {
	mu sync.Mutex
	Status
}

// Status may be called from any goroutine at any time.
func (s *Shipper) Status() Status {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	return s.view.Status
}

// show brings the view and the gauges up to date.
func (s *Shipper) show() {
	now := time.Now()
	oldest := s.order.oldest(now)
	s.metrics.unacked.Set(float64(s.order.lines))
	s.metrics.oldest.Set(oldest.Seconds())
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	s.view.Unacked, s.view.Oldest, s.view.Acked = s.order.lines, oldest, s.ackedLines
}

// trouble is what is wrong with the way to Kafka, and when that was last said.
type trouble struct {
	since, said time.Time
	text        string
}

// failing takes note of an error, and says it if it is new or was said long ago.
func (s *Shipper) failing(err error, retryIn time.Duration) {
	s.metrics.errors.WithLabelValues(s.o.Class(err)).Inc()
	s.metrics.connect.Set(0)
	s.setState(false, err, retryIn)
	now := time.Now()
	if s.trouble.since.IsZero() {
		s.trouble.since = now
	}
	if err.Error() == s.trouble.text && now.Sub(s.trouble.said) < repeatWarning {
		return
	}
	s.trouble.text, s.trouble.said = err.Error(), now
	s.o.Log.Warn().Err(err).Int("unacked", s.order.lines).Stringer("oldest", s.order.oldest(now).Round(time.Second)).
		Stringer("retry_in", retryIn.Round(time.Millisecond)).Msg(s.wording(err))
}

// wording is the message for an error: one that only names the topic does not say
// that Kafka is away.
func (s *Shipper) wording(err error) string {
	if s.o.Class(err) == TopicMissing {
		return "topic missing, lines wait in the log file"
	}
	return "kafka unreachable, lines wait in the log file"
}

// healed takes note that Kafka does its part.
func (s *Shipper) healed() {
	s.metrics.connect.Set(1)
	if s.trouble.since.IsZero() {
		s.setState(true, nil, 0)
		return
	}
	for _, l := range s.lanes {
		if l.err != nil {
			return // another partition is still in trouble
		}
	}
	s.o.Log.Info().Stringer("after", time.Since(s.trouble.since).Round(time.Millisecond)).Msg("kafka reachable again")
	s.trouble = trouble{}
	s.setState(true, nil, 0)
}

func (s *Shipper) setState(connected bool, err error, retryIn time.Duration) {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	s.view.Connected, s.view.Err, s.view.RetryIn = connected, err, retryIn
}
