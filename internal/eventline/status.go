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
		return "lag " + count(s.sum("bucketer_consumer_lag_records")) + " records, " + count(s.sum("bucketer_records_rejected_total")) + " rejected"
	}},
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
	Lag      *float64 `json:"lag"` // seconds, bytes, records: see LagUnit
	LagUnit  string   `json:"lag_unit"`
	PID      string   `json:"pid,omitempty"`
	detail   string
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs,
		Short: "Show how the three daemons are doing",
		Long: "Show how the three daemons are doing: rates, lag, CPU, memory, open files and restarts.\n" +
			"Exit code 3 if one of them is down or waits for something.",
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON instead of text")
	addresses := make(map[string]*string)
	for _, w := range pipeline {
		addresses[w.name] = cmd.Flags().String(w.name, "127.0.0.1:"+w.port, "host:port of "+w.name+"'s admin port")
	}
	// The operator's commands all take these; status asks no broker.
	cmd.Flags().StringSlice("brokers", nil, "not used by status")
	cmd.Flags().String("topic", "", "not used by status")
	for _, name := range []string{"brokers", "topic"} {
		_ = cmd.Flags().MarkHidden(name)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for name, addr := range addresses {
			if _, err := url.Parse("http://" + *addr); err != nil {
				return daemon.ConfigError(fmt.Errorf("--%s: want host:port, got %q", name, *addr))
			}
		}
		all := askAll(cmd.Context(), addresses)
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

func askAll(ctx context.Context, addresses map[string]*string) []daemonStatus {
	all := make([]daemonStatus, len(pipeline))
	var group sync.WaitGroup
	for i, w := range pipeline {
		group.Go(func() { all[i] = ask(ctx, w, *addresses[w.name]) })
	}
	group.Wait()
	return all
}

// ask reads a daemon's metrics twice, sampleTime apart.
func ask(ctx context.Context, w watched, addr string) daemonStatus {
	s := daemonStatus{Name: w.name, Address: addr, State: "down", Unit: w.unit, LagUnit: w.lagUnit}
	s.Restarts = restarts(ctx, w.name)
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

// restarts asks systemd how often it restarted the unit; nil where there is no
// systemd or no such unit.
func restarts(ctx context.Context, unit string) *int64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,NRestarts", unit+".service").Output()
	if err != nil || !strings.Contains(string(out), "LoadState=loaded") {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "NRestarts="); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return &n
			}
		}
	}
	return nil
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
