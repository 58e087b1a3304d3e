package eventgen

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"eventline/internal/pace"
)

type metrics struct {
	events, bytes, dropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, rate pace.Rate, lag func() time.Duration) *metrics {
	m := &metrics{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_events_total", Help: "Events written.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_bytes_total", Help: "Bytes written.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventgen_dropped_total", Help: "Events that were due and made, but given up: the process had to stop while they could not be written.",
		}),
	}
	target := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "eventgen_target_rate", Help: "Events per second that were asked for.",
	})
	target.Set(rate.Float())
	behind := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eventgen_schedule_lag_seconds", Help: "How long the oldest event that is due has been waiting to be written.",
	}, func() float64 { return lag().Seconds() })
	reg.MustRegister(m.events, m.bytes, m.dropped, target, behind)
	return m
}
