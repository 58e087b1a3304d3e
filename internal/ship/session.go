package ship

// session is one connection and the goroutine that feeds it: Append may block.
type session struct {
	appender Appender
	batches  chan Batch
	pending  int // callbacks to come
	broken   bool
}

// event is something that happened beside the loop.
type event struct {
	lane    *lane
	session *session
	kind    eventKind
	err     error

	base     int64       // of eventAnswered
	question question    // of eventOpened
	found    *found      // of eventOpened
	topic    Description // of eventDescribed and eventLooked
	sight    sight       // of eventLooked
	holds    Producer
	stamp    int64 // of eventOpened: of the last batch that the leader has
	others   others
	left     Lefts // of eventLeft
	records  int64

	progress progress // of eventSynced
	version  int
}

type eventKind int

const (
	eventOpened   eventKind = iota // session and found, or err
	eventAnswered                  // the next batch of the session, or err
	eventClosed
	eventRetry
	eventDescribed // the topic, or err
	eventDescribe
	eventLooked // what the tripwire saw, or err
	eventSynced // the log, or err
	eventLeft   // records of numberings that were left
)

// start hands batches over. Answers that come when the loop is over, and its channel
// full, are nobody's any more.
func (s *session) start(l *lane, events chan<- event, over <-chan struct{}) {
	go func() {
		for b := range s.batches {
			s.appender.Append(b, func(base int64, err error) {
				select {
				case events <- event{lane: l, session: s, kind: eventAnswered, base: base, err: err}:
				case <-over:
				}
			})
		}
	}()
}

// close breaks the connection beside the loop; eventClosed follows the last
// answer.
func (s *session) close(l *lane, events chan<- event) {
	s.broken = true
	close(s.batches)
	go func() {
		_ = s.appender.Close() // nobody can do anything about it; what was in flight has its own error
		events <- event{lane: l, session: s, kind: eventClosed}
	}()
}
