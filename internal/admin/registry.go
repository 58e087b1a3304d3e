package admin

import (
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry with what every daemon tells of itself: the
// Go runtime, the process (CPU, memory, open files, start time) and
// NAME_build_info, whose labels hold the version.
func NewRegistry(name, version string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        name + "_build_info",
		Help:        "Always 1; the labels say what was built and with what.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	if _, err := os.Stat(bootTime); err != nil {
		reg.MustRegister(started(time.Now()))
	}
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return reg
}

// bootTime is where the process collector learns what a process's start time
// counts from. Under ProcSubset=pid (systemd.exec(5)) it is not there, and the
// collector leaves the start time out.
const bootTime = "/proc/stat"

// started is a start time that the process collector doesn't give.
type started time.Time

var startedDesc = prometheus.NewDesc("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", nil, nil)

// Describe names nothing: the process collector has claimed the name.
func (started) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s started) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(startedDesc, prometheus.GaugeValue, float64(time.Time(s).UnixMilli())/1000)
}
