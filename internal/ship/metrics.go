package ship

import (
	"github.com/prometheus/client_golang/prometheus"

	"eventline/internal/tail"
)

type metrics struct {
	linesRead, bytesRead prometheus.Counter
	ackedLines, acked    prometheus.Counter
	quarantined, cuts    prometheus.Counter
	lost, disowned, late prometheus.Counter
	numberings, trips    prometheus.Counter
	conflicts            prometheus.Counter
	split, truncated     prometheus.Counter
	saveFailures         prometheus.Counter
	errors, recoveries   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, g *Group) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "logship_" + name, Help: help})
	}
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "logship_" + name, Help: help}, func() float64 { return value(g.Status()) })
	}
	m := &metrics{
		linesRead:    counter("lines_read_total", "Lines read from the log."),
		bytesRead:    counter("bytes_read_total", "Bytes read from the log."),
		ackedLines:   counter("lines_acked_total", "Lines that the broker has acknowledged."),
		acked:        counter("bytes_acked_total", "Bytes of the log up to which every line is safe, since the start."),
		quarantined:  counter("lines_quarantined_total", "Lines that the topic does not take, kept in the quarantine."),
		cuts:         counter("cuts_total", "Lines that a leader refused after they had a number."),
		lost:         counter("lines_lost_by_cluster_total", "Lines that the cluster had acknowledged and then lost."),
		disowned:     counter("records_without_line_total", "Records of this logship whose lines are no longer in the log."),
		late:         counter("records_late_total", "Records of before a start of the machine that arrived after it."),
		numberings:   counter("numberings_total", "Times that a partition's lines were numbered anew, with another producer id or epoch."),
		split:        counter("lines_split_total", "Lines longer than the topic takes that were sent as several."),
		truncated:    counter("lines_truncated_total", "Lines longer than the topic takes of which the beginning was sent."),
		conflicts:    counter("conflicting_lines_total", "Lines acknowledged under a number under which the topic holds another line."),
		trips:        counter("trips_total", "Times that a leader held other lines than were sent."),
		saveFailures: counter("checkpoint_failures_total", "Times that the state could not be stored."),
		recoveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logship_recoveries_total", Help: "Times that a leader was asked what it holds after a batch had failed, by class of the error.",
		}, []string{"class"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "logship_produce_errors_total", Help: "Attempts to reach the topic or to append to it that ended with an error, by class.",
		}, []string{"class"}),
	}
	if reg != nil {
		reg.MustRegister(m.linesRead, m.bytesRead, m.ackedLines, m.acked, m.quarantined, m.errors, m.recoveries,
			m.cuts, m.lost, m.disowned, m.late, m.numberings, m.trips, m.conflicts, m.split, m.truncated, m.saveFailures,
			gauge("unacked_lines", "Lines read and not safe yet.", func(s Status) float64 { return float64(s.Unacked) }),
			gauge("batches_in_flight", "Batches that were sent and have no answer yet.", func(s Status) float64 { return float64(s.InFlight) }),
			gauge("oldest_unacked_seconds", "How long the oldest line that is not safe has been waiting since it was read.",
				func(s Status) float64 { return s.Oldest.Seconds() }),
			gauge("checkpoint_age_seconds", "How long ago the state was stored that was not stored for longest though there was something new.",
				func(s Status) float64 { return s.Unsaved.Seconds() }),
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
