package logfile

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

type metrics struct {
	errors *prometheus.CounterVec
}

// newMetrics registers with reg unless it is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eventgen_write_errors_total",
		Help: "Failed attempts to open, write or close the log file, each of which is tried again, by reason.",
	}, []string{"errno"})}
	if reg != nil {
		reg.MustRegister(m.errors)
	}
	return m
}

// failed counts err under its name in errno(3), or under "other".
func (m *metrics) failed(err error) {
	name := "other"
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name = unix.ErrnoName(errno); name == "" {
			name = "other"
		}
	}
	m.errors.WithLabelValues(name).Inc()
}
