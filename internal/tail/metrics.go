package tail

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are sums over the Tails whose Config.Metrics they are. A nil *Metrics
// counts nothing.
type Metrics struct {
	mu    sync.Mutex
	tails map[*Tail]struct{}
}

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
	return m
}

// Unread is how many bytes there are in the files of all logs that were not read
// yet. It may be called from any goroutine.
func (m *Metrics) Unread() int64 { return m.sum((*Tail).Unread) }

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
