package bucketer

import (
	"context"
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// statusEvery is how often the service manager is told, if something changed.
const statusEvery = time.Second

// tellStatus keeps the service manager's status line true until ctx is done.
func (a *App) tellStatus(ctx context.Context) {
	decided := func() uint64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.decided
	}
	a.notify.Tell(ctx, statusEvery, decided, func(events uint64, took time.Duration) string {
		return a.statusText(float64(events) / took.Seconds())
	})
}

// statusText says in one line what is going on. The figures are those of the
// metrics.
func (a *App) statusText(rate float64) string {
	if err := a.ready(); err != nil {
		return err.Error()
	}
	var lag, rejected float64
	buckets := make(map[string]float64)
	families, err := a.figures.Gather()
	if err != nil {
		return err.Error()
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "bucketer_consumer_lag_records":
				lag += m.GetGauge().GetValue()
			case "bucketer_records_rejected_total":
				rejected += m.GetCounter().GetValue()
			case "bucketer_records_processed_total":
				buckets[label(m, "bucket")] = m.GetCounter().GetValue()
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "reading topic %s: %.1f events/s, lag %.0f;", a.cfg.Topic, rate, lag)
	for _, name := range a.table.Labels() {
		fmt.Fprintf(&b, " %s %.0f", name, buckets[name])
	}
	if rejected > 0 {
		fmt.Fprintf(&b, ", %.0f rejected", rejected)
	}
	return b.String()
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
