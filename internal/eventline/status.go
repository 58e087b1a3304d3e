package eventline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventline/internal/daemon"
)

// sampleTime lies between the two readings that rates are computed from.
const sampleTime = time.Second

// watched is a daemon whose admin port status asks.
type watched struct {
	name, port string
	unit       string // of the work it does
	work       string // the counter of its work
	lag        string // the gauge of what is left to do
	lagUnit    string
	detail     func(sample) string // what else there is to say
}

var pipeline = []watched{
	{name: "eventgen", port: "9461", work: "eventgen_events_total", unit: "events/s", lag: "eventgen_schedule_lag_seconds", lagUnit: "seconds", detail: func(s sample) string {
		return "target " + perSecond(s.sum("eventgen_target_rate")) + ", " + duration(s.sum("eventgen_schedule_lag_seconds")) + " behind"
	}},
	{name: "logship", port: "9462", work: "logship_lines_acked_total", unit: "lines/s", lag: "logship_unread_bytes", lagUnit: "bytes", detail: func(s sample) string {
		return daemon.Bytes(s.sum("logship_unread_bytes")) + " unread, " + count(s.sum("logship_unacked_lines")) + " lines unacked"
	}},
	{name: "bucketer", port: "9463", work: "bucketer_records_consumed_total", unit: "records/s", lag: "bucketer_consumer_lag_records", lagUnit: "records", detail: func(s sample) string {
		return "partitions " + list(s.numbers("bucketer_partition_assigned", "partition")) +
			", lag " + count(s.sum("bucketer_consumer_lag_records")) + " records, " + count(s.sum("bucketer_records_rejected_total")) + " rejected"
	}},
}

// instances are the instances of bucketer@.service whose admin ports its unit
// settles: 9471 to 9479.
const instances = 9

// place is where a daemon is looked for.
type place struct {
	watched
	unit    string // systemd's name of it, without .service
	address string
	maybe   bool // not missed if nobody is there
}

// places returns where the three daemons are looked for: at the addresses given
// by name, else at their own ports. Then bucketer may be instances, or one
// daemon, or both.
func places(addresses map[string][]string) []place {
	var all []place
	for _, w := range pipeline {
		for _, address := range addresses[w.name] {
			all = append(all, place{watched: w, unit: w.name, address: address})
		}
		if len(addresses[w.name]) > 0 {
			continue
		}
		all = append(all, place{watched: w, unit: w.name, address: "127.0.0.1:" + w.port})
		for i := 1; w.name == "bucketer" && i <= instances; i++ {
			n := strconv.Itoa(i)
			all = append(all, place{watched: w, unit: "bucketer@" + n, address: "127.0.0.1:947" + n, maybe: true})
		}
	}
	return all
}

// daemonStatus is one line of the answer; a nil figure is unknown, which is not
// zero.
type daemonStatus struct {
	Name     string   `json:"daemon"`
	Address  string   `json:"address"`
	State    string   `json:"state"` // ready, waiting or down
	Reason   string   `json:"reason,omitempty"`
	Version  string   `json:"version,omitempty"`
	Uptime   *float64 `json:"uptime_seconds"`
	CPU      *float64 `json:"cpu_cores"`
	Memory   *float64 `json:"memory_bytes"`
	Files    *float64 `json:"open_files"`
	Restarts *int64   `json:"restarts"` // by systemd, of its unit
	Rate     *float64 `json:"rate"`
	Unit     string   `json:"rate_unit"`
	Holds    []int    `json:"partitions,omitempty"` // of bucketer
	Lag      *float64 `json:"lag"`                  // seconds, bytes, records: see LagUnit
	LagUnit  string   `json:"lag_unit"`
	PID      string   `json:"pid,omitempty"`
	detail   string
	enabled  bool // by systemd, so that it is missed when it is down
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs,
		Short: "Show how the three daemons are doing",
		Long: "Show how the three daemons are doing: rates, lag, CPU, memory, open files and restarts.\n" +
			"Exit code 3 if one of them is down or waits for something.",
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON instead of text")
	given := make(map[string]*[]string)
	for _, w := range pipeline {
		usage := "host:port of " + w.name + "'s admin port (default 127.0.0.1:" + w.port + ")"
		if w.name == "bucketer" {
			usage = "host:port of bucketer's admin port, repeatable (default 127.0.0.1:" + w.port + " and those of bucketer@1 to bucketer@9)"
		}
		given[w.name] = cmd.Flags().StringSlice(w.name, nil, usage)
	}
	// The operator's commands all take these; status asks no broker.
	cmd.Flags().StringSlice("brokers", nil, "not used by status")
	cmd.Flags().String("topic", "", "not used by status")
	for _, name := range []string{"brokers", "topic"} {
		_ = cmd.Flags().MarkHidden(name)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		addresses := make(map[string][]string)
		for name, list := range given {
			for _, addr := range *list {
				if _, err := url.Parse("http://" + addr); err != nil {
					return daemon.ConfigError(fmt.Errorf("--%s: want host:port, got %q", name, addr))
				}
			}
			addresses[name] = *list
		}
		all := askAll(cmd.Context(), places(addresses))
		if err := printStatus(cmd.OutOrStdout(), all, *asJSON); err != nil {
			return err
		}
		for _, s := range all {
			if s.State != "ready" {
				return daemon.Exit(daemon.ExitDegraded, nil)
			}
		}
		return nil
	}
	return cmd
}

// askAll asks everywhere at once. Where nobody is that need not be there is left
// out, and so is bucketer itself where instances do its work.
func askAll(ctx context.Context, places []place) []daemonStatus {
	all := make([]daemonStatus, len(places))
	var group sync.WaitGroup
	for i, p := range places {
		group.Go(func() { all[i] = ask(ctx, p) })
	}
	group.Wait()
	instance := false
	for i, p := range places {
		instance = instance || p.maybe && all[i].State != "down"
	}
	var found []daemonStatus
	for i, p := range places {
		if all[i].State == "down" && (p.maybe && !all[i].enabled || p.unit == "bucketer" && instance && !all[i].enabled) {
			continue
		}
		found = append(found, all[i])
	}
	return found
}

// ask reads a daemon's metrics twice, sampleTime apart.
func ask(ctx context.Context, p place) daemonStatus {
	w, addr := p.watched, p.address
	s := daemonStatus{Name: p.unit, Address: addr, State: "down", Unit: w.unit, LagUnit: w.lagUnit}
	s.Restarts, s.enabled = systemd(ctx, p.unit)
	first, err := scrape(ctx, addr)
	if err == nil && !first.has(w.name+"_build_info") {
		err = fmt.Errorf("something else than %s answers on %s", w.name, addr)
	}
	var second sample
	if err == nil {
		select {
		case <-time.After(sampleTime):
		case <-ctx.Done():
		}
		second, err = scrape(ctx, addr)
	}
	if err != nil {
		s.Reason = reason(err)
		return s
	}
	s.State = "ready"
	if why := notReady(ctx, addr); why != "" {
		s.State, s.Reason = "waiting", why
	}
	s.PID = second.pid
	s.Version = second.label(w.name+"_build_info", "version")
	seconds := second.at.Sub(first.at).Seconds()
	if start := second.get("process_start_time_seconds"); start != nil {
		up := float64(second.at.UnixMilli())/1000 - *start
		s.Uptime = &up
	}
	s.CPU = rate(first, second, "process_cpu_seconds_total", seconds)
	s.Memory = second.get("process_resident_memory_bytes")
	s.Files = second.get("process_open_fds")
	s.Rate = rate(first, second, w.work, seconds)
	s.Lag = second.get(w.lag)
	s.Holds = second.numbers("bucketer_partition_assigned", "partition")
	s.detail = w.detail(second)
	return s
}

func rate(first, second sample, name string, seconds float64) *float64 {
	if !first.has(name) || !second.has(name) || seconds <= 0 {
		return nil
	}
	r := max(0, (second.sum(name)-first.sum(name))/seconds)
	return &r
}

// reason shortens the usual errors to what a person wants to read.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "not running: connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

// systemd tells how often the unit was restarted, nil where there is no systemd
// or no such unit, and whether the unit starts with the host.
func systemd(ctx context.Context, unit string) (restarts *int64, enabled bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,NRestarts,UnitFileState", unit+".service").Output()
	if err != nil {
		return nil, false
	}
	values := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	if n, err := strconv.ParseInt(values["NRestarts"], 10, 64); err == nil && values["LoadState"] == "loaded" {
		restarts = &n
	}
	return restarts, values["UnitFileState"] == "enabled"
}

func printStatus(out io.Writer, all []daemonStatus, asJSON bool) error {
	if asJSON {
		return printJSON(out, all)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DAEMON\tSTATE\tUP\tCPU\tMEMORY\tFILES\tRESTARTS\tRATE\tDETAIL")
	for _, s := range all {
		detail := s.detail
		if s.Reason != "" {
			detail = strings.TrimSuffix(s.Reason+"; "+detail, "; ")
		}
		restarted := "-"
		if s.Restarts != nil {
			restarted = strconv.FormatInt(*s.Restarts, 10)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.State,
			or(s.Uptime, duration), or(s.CPU, percent), or(s.Memory, daemon.Bytes), or(s.Files, count), restarted,
			or(s.Rate, func(r float64) string { return number(r) + " " + s.Unit }), detail)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if shared(all) {
		_, err := fmt.Fprintln(out, "The three run in one process: UP, CPU, MEMORY and FILES are that process's.")
		return err
	}
	return nil
}

// shared tells whether all daemons are parts of one process, as in the demo.
func shared(all []daemonStatus) bool {
	for _, s := range all {
		if s.PID == "" || s.PID != all[0].PID {
			return false
		}
	}
	return true
}
