package torture

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Table prints results, one a line.
func Table(w io.Writer, results []Result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "where\trotation\tevery\twriter\trate/s\tseed\tlines\twritten/s\trotations\tkills\tmissing\tduplicate\ttorn\tdisorder\twindow\ttruncated\tdeleted\tCPU %\tCPU ms/MB\t")
	for _, r := range results {
		every, writer := "5ms–5s", "lines"
		if r.Interval > 0 {
			every = r.Interval.String()
		}
		if r.Style == NoRotation {
			every = "–"
		}
		if r.Buffered {
			writer = "4 KiB"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.2f\t\n",
			r.Where, r.Style, every, writer, r.Rate, r.Seed, r.Lines, float64(r.Lines)/r.Duration.Seconds(),
			r.Rotations, r.Killed, r.Missing, r.Duplicate, r.Torn, r.Disorder, r.Window, r.Truncated, r.Deleted,
			100*r.CPU.Seconds()/r.Elapsed.Seconds(), float64(r.CPU)/float64(time.Millisecond)/(float64(r.Bytes)/1e6))
	}
	_ = t.Flush()
}
