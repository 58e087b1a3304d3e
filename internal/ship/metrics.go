package ship

import (
	"github.com/prometheus/client_golang/prometheus"

	"eventline/internal/tail"
)

type metrics struct {
	linesRead, bytesRead prometheus.Counter
	ackedLines, acked    prometheus.Counter
	quarantined          prometheus.Counter
	errors               *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, g *Group) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logship_" + name, Help: help})
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "logship_" + name, Help: help}, func() float64 { return value(g.Status()) })
	}
	m := &metrics{
		linesRead:   counter("lines_read_total", "Lines read from the log."),
		bytesRead:   counter("bytes_read_total", "Bytes read from the log."),
		ackedLines:  counter("lines_acked_total", "Lines that the broker has acknowledged."),
		acked:       counter("bytes_acked_total", "Bytes of the log up to which every line is safe, since the start."),
		quarantined: counter("lines_quarantined_total", "Lines larger than the topic takes, kept in the quarantine."),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logship_produce_errors_total", Help: "Attempts to reach the topic or to append to it that ended with an error, by class.",
		}, []string{"class"}),
	}
	if reg != nil {
		reg.MustRegister(m.linesRead, m.bytesRead, m.ackedLines, m.acked, m.quarantined, m.errors,
			gauge("unacked_lines", "Lines read and not safe yet.", func(s Status) float64 { return float64(s.Unacked) }),
			gauge("oldest_unacked_seconds", "How long the oldest line that is not safe has been waiting since it was read.",
				func(s Status) float64 { return s.Oldest.Seconds() }),
			gauge("kafka_connected", "1 if the last thing heard from Kafka was good, 0 if it can't be reached or refuses.",
				func(s Status) float64 {
					if s.Connected {
						return 1
					}
					return 0
				}))
	}
	return m
}

func (m *metrics) read(b *tail.Block) {
	m.bytesRead.Add(float64(b.End.Offset - b.Start.Offset))
	if b.TooLong > 0 {
		m.linesRead.Inc()
		return
	}
	m.linesRead.Add(float64(b.Lines))
}
