package rollup

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"eventline/internal/event"
)

type metrics struct {
	topic      string
	records    *prometheus.CounterVec
	behind     *prometheus.GaugeVec
	holds      *prometheus.GaugeVec
	processed  []prometheus.Counter // by bucket
	rejected   map[event.Reason]prometheus.Counter
	rebalances prometheus.Counter
	connected  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, topic string, buckets []string) *metrics {
	m := &metrics{
		topic: topic,
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bucketer_records_consumed_total", Help: "Records read from the topic.",
		}, []string{"topic", "partition"}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bucketer_consumer_lag_records", Help: "Records of an assigned partition that were not read yet.",
		}, []string{"topic", "partition"}),
		holds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bucketer_partition_assigned", Help: "1 for each partition that this member of the group reads.",
		}, []string{"topic", "partition"}),
		rejected: make(map[event.Reason]prometheus.Counter),
		rebalances: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bucketer_rebalances_total", Help: "Partitions that were assigned to this member.",
		}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bucketer_kafka_connected", Help: "1 if this is a member of its group, 0 if not.",
		}),
	}
	processed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bucketer_records_processed_total", Help: "Events sorted into a bucket.",
	}, []string{"bucket"})
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bucketer_records_rejected_total", Help: "Records that are not events, by reason.",
	}, []string{"reason"})
	for _, label := range buckets {
		m.processed = append(m.processed, processed.WithLabelValues(label))
	}
	for _, reason := range event.Rejections() {
		m.rejected[reason] = rejected.WithLabelValues(reason.String())
	}
	if reg != nil {
		reg.MustRegister(m.records, m.behind, m.holds, processed, rejected, m.rebalances, m.connected)
	}
	return m
}

func (m *metrics) consumed(partition int32, n int) {
	m.records.WithLabelValues(m.topic, strconv.Itoa(int(partition))).Add(float64(n))
}

func (m *metrics) lag(partition int32, n int64) {
	m.behind.WithLabelValues(m.topic, strconv.Itoa(int(partition))).Set(float64(n))
}

func (m *metrics) assigned(partition int32) {
	m.rebalances.Inc()
	m.holds.WithLabelValues(m.topic, strconv.Itoa(int(partition))).Set(1)
}

// revoked drops the lag of a partition that another member reads now: an old
// figure would be a wrong one.
func (m *metrics) revoked(partition int32) {
	m.behind.DeleteLabelValues(m.topic, strconv.Itoa(int(partition)))
	m.holds.DeleteLabelValues(m.topic, strconv.Itoa(int(partition)))
}

func (m *metrics) connection(up bool) {
	if up {
		m.connected.Set(1)
		return
	}
	m.connected.Set(0)
}
