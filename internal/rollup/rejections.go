package rollup

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/event"
)

// sayEvery bounds how often one reason is logged: the first record of a burst at
// once, the others as a sum.
const sayEvery = 10 * time.Second

// rejections counts records that are not events and says what they were. A
// stream of garbage must not become a log of garbage.
type rejections struct {
	log     zerolog.Logger
	metrics *metrics

	mu   sync.Mutex
	said map[event.Reason]*burst
}

// burst is what came of one reason since it was said last.
type burst struct {
	at        time.Time
	more      int
	partition int32 // of the latest
	offset    int64
}

func newRejections(log zerolog.Logger, m *metrics) *rejections {
	return &rejections{log: log, metrics: m, said: make(map[event.Reason]*burst)}
}

// note counts a record that is not an event.
func (r *rejections) note(reason event.Reason, partition int32, offset int64, now time.Time) {
	r.metrics.rejected[reason].Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.said[reason]
	if b == nil {
		b = &burst{}
		r.said[reason] = b
	}
	b.more++
	b.partition, b.offset = partition, offset
	r.sayOne(reason, b, now)
}

// say says what was only counted so far: what is due, or all of it.
func (r *rejections) say(now time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reason, b := range r.said {
		if all {
			b.at = time.Time{}
		}
		r.sayOne(reason, b, now)
	}
}

func (r *rejections) sayOne(reason event.Reason, b *burst, now time.Time) {
	if b.more == 0 || now.Sub(b.at) < sayEvery {
		return
	}
	r.log.Warn().Stringer("reason", reason).Int("records", b.more).Int32("partition", b.partition).Int64("offset", b.offset).
		Msg("records are not events, counted and left out")
	b.at, b.more = now, 0
}
