package ship

import (
	"context"
	"testing"
	"time"
)

// lateAppender answers whenever it is told to.
type lateAppender struct{ answers chan func(int64, error) }

func (lateAppender) Producer(context.Context, int64) (Producer, error) { return Producer{}, nil }
func (lateAppender) LeaderEpoch() int32                                { return -1 }
func (lateAppender) Retire()                                           {}
func (lateAppender) Close() error                                      { return nil }
func (a lateAppender) Append(_ Batch, done func(int64, error))         { a.answers <- done }

// Of a connection that is given up with batches to be handed over, answers may come when
// the loop has ended. There is room for those of the partitions that there were at the
// start, and there may be more since: nobody waits for ever because of that.
func TestAnswerAfterTheEndKeepsNobodyWaiting(t *testing.T) {
	a := lateAppender{make(chan func(int64, error), maxInFlight)}
	s := &session{appender: a, batches: make(chan Batch, maxInFlight)}
	events, over := make(chan event, 1), make(chan struct{})
	s.start(&lane{}, events, over)
	for range maxInFlight {
		s.batches <- Batch{}
	}
	close(s.batches)
	(<-a.answers)(0, nil)
	if len(events) != 1 {
		t.Error("an answer for which there is room got lost")
	}
	close(over)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for range maxInFlight - 1 {
			(<-a.answers)(0, nil)
		}
	}()
	select {
	case <-answered:
	case <-time.After(time.Minute):
		t.Fatal("an answer waits for the loop that has ended")
	}
}
