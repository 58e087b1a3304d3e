package logship

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eventline/internal/admin"
	"eventline/internal/ship"
)

// report is what `logship status` says.
type report struct {
	StateDir string      `json:"state_dir"`
	Running  bool        `json:"running"`
	Unacked  *float64    `json:"unacked_lines"`          // null if it does not run
	Oldest   *float64    `json:"oldest_unacked_seconds"` // the same
	Logs     []reportLog `json:"logs"`
}

type reportLog struct {
	Path       string            `json:"path"`
	Topic      string            `json:"topic"`
	TopicID    string            `json:"topic_id"`
	Cluster    string            `json:"cluster"`
	Position   string            `json:"position"`
	Clean      bool              `json:"clean"` // nothing was on its way when it was stored
	Saved      time.Time         `json:"checkpoint"`
	Partitions []reportPartition `json:"partitions"`
}

type reportPartition struct {
	Partition int   `json:"partition"`
	ID        int64 `json:"producer_id"`
	Epoch     int16 `json:"epoch"`
	Sequence  int64 `json:"sequence"` // of the last line that is final; -1 if none
	Offset    int64 `json:"offset"`   // no later than that of the next line
	Reserved  int64 `json:"reserved"` // nothing beyond was sent
}

// newStatus is the command that says how far logship is.
func newStatus(cfg *Config, settings func(*cobra.Command) func() error) *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Say how far each log is: sequence, offset, reserved end, last checkpoint", Args: cobra.NoArgs}
	read := settings(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := read(); err != nil {
			return err
		}
		logs, err := readStored(*cfg)
		if err != nil {
			return err
		}
		r := report{StateDir: cfg.StateDir, Logs: []reportLog{}}
		if m, err := scrape(cmd.Context(), cfg.Admin.Listen); err == nil {
			r.Running = true
			r.Unacked, r.Oldest = m["logship_unacked_lines"], m["logship_oldest_unacked_seconds"]
		}
		for _, l := range logs {
			r.Logs = append(r.Logs, l.report())
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		}
		r.print(cmd.OutOrStdout(), time.Now())
		return nil
	}
	return cmd
}

func (s storedLog) report() reportLog {
	state := s.state()
	l := reportLog{
		Path: s.Path, Topic: s.Topic, TopicID: state.Topic, Cluster: state.Cluster, Position: s.place(),
		Clean: state.Clean, Saved: s.saved.UTC(), Partitions: []reportPartition{},
	}
	for i, p := range state.Partitions {
		l.Partitions = append(l.Partitions, reportPartition{i, p.ID, p.Epoch, int64(ship.Sequence(p.Final)), p.Offset, p.Reserved})
	}
	return l
}

func (r report) print(out io.Writer, now time.Time) {
	switch {
	case !r.Running:
		fmt.Fprintln(out, "logship does not run, or serves no metrics")
	case r.Unacked != nil && r.Oldest != nil:
		fmt.Fprintf(out, "logship runs: %.0f lines have no acknowledgement, the oldest for %s\n", *r.Unacked, time.Duration(*r.Oldest*float64(time.Second)).Round(time.Millisecond))
	}
	for _, l := range r.Logs {
		fmt.Fprintf(out, "\n%s\n  to topic %s, id %s in cluster %s\n  dealt with up to %s, stored %s ago", l.Path, l.Topic, l.TopicID, l.Cluster, l.Position, now.Sub(l.Saved).Round(time.Second))
		if l.Clean {
			fmt.Fprint(out, ", with nothing on its way")
		}
		fmt.Fprintln(out)
		for _, p := range l.Partitions {
			if p.ID < 0 {
				fmt.Fprintf(out, "  partition %d: nothing sent yet\n", p.Partition)
				continue
			}
			fmt.Fprintf(out, "  partition %d: producer id %d, epoch %d, sequence %d, offset %d, reserved up to %d\n", p.Partition, p.ID, p.Epoch, p.Sequence, p.Offset, p.Reserved)
		}
	}
}

// scrape asks a running daemon for its metrics without labels.
func scrape(ctx context.Context, listen string) (map[string]*float64, error) {
	if listen == admin.Off {
		return nil, fmt.Errorf("no metrics are served")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	found := make(map[string]*float64)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			found[name] = &v
		}
	}
	return found, nil
}
