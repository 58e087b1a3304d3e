package tail

import "github.com/prometheus/client_golang/prometheus"

func newMetrics(reg prometheus.Registerer, t *Tail) {
	if reg == nil {
		return
	}
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "logship_unread_bytes", Help: "Bytes of the log that were not read yet.",
		}, func() float64 { return float64(t.Unread()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "logship_generations", Help: "Files of the log that are being read or wait for it.",
		}, func() float64 { return float64(t.Generations()) }),
	)
}
