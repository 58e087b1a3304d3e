package tail

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are sums over the Tails whose Config.Metrics they are. A nil *Metrics
// counts nothing.
type Metrics struct {
	counts

	mu    sync.Mutex
	tails map[*Tail]struct{}
}

// counts are what has happened to logs since the start.
type counts struct {
	retired   [len(retirements)]atomic.Int64
	rotated   [len(rotations)]atomic.Int64
	truncated atomic.Int64 // files
	abandoned atomic.Int64 // bytes that were there and could not be read any more
	tooLong   atomic.Int64 // lines
}

// retirement is why a rotated file counted as complete.
type retirement int

const (
	byLease   retirement = iota // nobody had it open for writing
	byQuiet                     // that could not be asked, and it had not grown for a while
	bySilence                   // its writer kept it open and wrote nothing
	byState                     // a run before this one had decided it
)

var retirements = [...]string{byLease: "lease", byQuiet: "quiet", bySilence: "silence", byState: "state"}

// rotation is how a file ended to be the live one.
type rotation int

const (
	renamed   rotation = iota // it has another name in the log's folder
	moved                     // it has one in another folder, or none that is known
	deleted                   // it has no name
	copied                    // it was truncated, and a copy was found in which its rest is
	truncated                 // it was truncated, and none was found
)

var rotations = [...]string{renamed: "renamed", moved: "moved", deleted: "deleted", copied: "copied", truncated: "truncated"}

// NewMetrics registers the sums; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{tails: make(map[*Tail]struct{})}
	if reg == nil {
		return m
	}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "logship_unread_bytes", Help: "Bytes of the logs that were not read yet.",
		}, func() float64 { return float64(m.Unread()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "logship_generations", Help: "Files of the logs that are being read or wait for it.",
		}, func() float64 {
			return float64(m.sum(func(t *Tail) int64 { return int64(t.Generations()) }))
		}),
	)
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "logship_oldest_unread_seconds", Help: "For how long there have been bytes in a log that were not read: the oldest of them is no older.",
	}, func() float64 { return m.behind(time.Now()).Seconds() }))
	counter := func(name, help string, labels prometheus.Labels, n *atomic.Int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "logship_" + name, Help: help, ConstLabels: labels},
			func() float64 { return float64(n.Load()) }))
	}
	for by, name := range retirements {
		counter("generations_retired_total", "Rotated files that were read to their end, by what told that it is the end.",
			prometheus.Labels{"by": name}, &m.retired[by])
	}
	for how, name := range rotations {
		counter("rotations_total", "Files that ended to be a log's live one, by how.", prometheus.Labels{"style": name}, &m.rotated[how])
	}
	counter("truncations_total", "Files that were found truncated.", nil, &m.truncated)
	counter("abandoned_bytes_total", "Bytes that were seen and could not be read any more: truncated or deleted before.", nil, &m.abandoned)
	counter("lines_too_long_total", "Lines longer than max_line.", nil, &m.tooLong)
	return m
}

// Unread is how many bytes there are in the files of all logs that were not read
// yet. It may be called from any goroutine.
func (m *Metrics) Unread() int64 { return m.sum((*Tail).Unread) }

// behind is for how long the log that is behind for longest has been.
func (m *Metrics) behind(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest time.Duration
	for t := range m.tails {
		longest = max(longest, t.Behind(now))
	}
	return longest
}

func (m *Metrics) sum(of func(*Tail) int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for t := range m.tails {
		n += of(t)
	}
	return n
}

func (m *Metrics) add(t *Tail) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tails[t] = struct{}{}
	}
}

func (m *Metrics) remove(t *Tail) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.tails, t)
	}
}
