package eventgen

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventline/internal/generate"
	"eventline/internal/pace"
)

type metrics struct {
	events, lines, bytes, dropped prometheus.Counter
	defects                       map[generate.Kind]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, rate pace.Rate, lag func() time.Duration) *metrics {
	m := &metrics{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_events_total", Help: "Events written.",
		}),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_lines_total", Help: "Lines written: one for each event, and one for each that is written again on purpose.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_bytes_total", Help: "Bytes written.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_dropped_total", Help: "Events that were due and never written: left out because the run was further behind than max_lag, or given up because the process had to stop while they could not be written.",
		}),
		defects: make(map[generate.Kind]prometheus.Counter),
	}
	defects := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eventgen_defects_total", Help: "Lines written with something wrong on purpose, by kind.",
	}, []string{"kind"})
	for _, k := range generate.Kinds() {
		m.defects[k] = defects.WithLabelValues(k.String())
	}
	target := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eventgen_target_rate", Help: "Events per second that were asked for.",
	})
	target.Set(rate.Float())
	behind := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eventgen_schedule_lag_seconds", Help: "How long the oldest event that is due has been waiting to be written.",
	}, func() float64 { return lag().Seconds() })
	reg.MustRegister(m.events, m.lines, m.bytes, m.dropped, defects, target, behind)
	return m
}
