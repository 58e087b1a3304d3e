package verify

import (
	"bufio"
	"fmt"
	"io"
	"text/tabwriter"
)

// listed is how many differences and open windows are printed.
const listed = 20

// Print writes the report for people: a table of the checks, and examples of what is wrong.
func (r *Report) Print(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "topic %s, partitions: %d, records: %d\n", r.Topic, r.Partitions, r.Records)
	if !r.Complete {
		fmt.Fprintln(w, "the answer key is not complete: it tells of the lines up to the moment at which it was written")
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tEXPECTED\tFOUND\tRESULT")
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Name, short(c.Expected), short(c.Found), c.Result)
	}
	_ = t.Flush() // the writer keeps its first error for Flush
	for _, c := range r.Checks {
		if c.Note != "" {
			fmt.Fprintf(w, "%s: %s (%s)\n", c.Name, c.Result, c.Note)
		}
	}
	for _, name := range classNames {
		r.Lines[name].print(w, name)
	}
	list(w, "differences in windows", r.Windows, func(d Difference) string {
		return fmt.Sprintf("%s %s: %s: expected %s, found %s", d.Window, d.Bucket, d.Figure, d.Expected, d.Found)
	})
	list(w, "open windows", r.Open, func(key string) string { return key })
	list(w, "unreadable results", r.Unreadable, func(u Unreadable) string {
		return fmt.Sprintf("partition %d, offset %d, key %q: %s", u.Partition, u.Offset, u.Key, u.Problem)
	})
	verdict := "\nall right"
	if !r.Equal {
		verdict = "\nnot all right"
	}
	fmt.Fprintln(w, verdict)
	return w.Flush()
}

// list prints the first of some things under a heading, and nothing if there are none.
func list[T any](w io.Writer, heading string, all []T, row func(T) string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", heading)
	for _, v := range all[:min(len(all), listed)] {
		fmt.Fprintf(w, "  %s\n", row(v))
	}
	if len(all) > listed {
		fmt.Fprintf(w, "  and %d more\n", len(all)-listed)
	}
}

// short shows the beginning of a hash.
func short(s string) string {
	if len(s) > 20 {
		return s[:16] + "…"
	}
	return s
}

func (c *Class) print(w io.Writer, name string) {
	if c == nil || len(c.Examples) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", name)
	for _, e := range c.Examples {
		fmt.Fprintf(w, "  %s\n", e.text())
	}
}

func (e *Example) text() string {
	s := ""
	add := func(format string, args ...any) {
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf(format, args...)
	}
	switch {
	case e.Last > 0:
		add("lines %d to %d", e.Line, e.Last)
	case e.Line > 0:
		add("line %d", e.Line)
	}
	if e.After > 0 {
		add("after line %d", e.After)
	}
	if e.Before > 0 {
		add("before line %d", e.Before)
	}
	if e.Partition != nil {
		add("partition %d, offset %d", *e.Partition, *e.Offset)
	}
	if e.EventID != "" {
		add("event_id %s", e.EventID)
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}
