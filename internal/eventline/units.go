package eventline

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// or prints a figure, or a dash where it is unknown.
func or(v *float64, text func(float64) string) string {
	if v == nil {
		return "-"
	}
	return text(*v)
}

func percent(cores float64) string { return fmt.Sprintf("%.1f%%", cores*100) }

// list prints numbers with commas, or that there are none.
func list(numbers []int) string {
	if len(numbers) == 0 {
		return "none"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

func count(v float64) string { return fmt.Sprintf("%.0f", v) }

// number prints a rate with the precision its size deserves.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 10e3:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func perSecond(v float64) string { return number(v) + "/s" }

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
