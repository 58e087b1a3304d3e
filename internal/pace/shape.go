package pace

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Shape says how a rate changes, as factors of the rate that was asked for, and how events come at it.
type Shape struct {
	Arrivals  string        `yaml:"arrivals" help:"paced: at even distances; poisson: at random, as independent customers do"`
	Curve     string        `yaml:"curve" help:"constant, ramp, steps, sine, daily or file; each takes the keys that begin like it"`
	RampFrom  float64       `yaml:"ramp_from" help:"factor of the rate at the start"`
	RampTo    float64       `yaml:"ramp_to" help:"factor of the rate at the end, and from there on"`
	RampOver  time.Duration `yaml:"ramp_over" help:"how long that takes"`
	Steps     []Step        `yaml:"steps" help:"the first one begins at 0s, the last one stays"`
	Period    time.Duration `yaml:"sine_period" help:"of a wave around the rate"`
	Amplitude float64       `yaml:"sine_amplitude" help:"of the wave, as a share of the rate; 1 goes down to nothing"`
	Hours     []float64     `yaml:"daily_hours" help:"24 weights, from midnight UTC on; the rate goes evenly from the middle of an hour to that of the next"`
	Weekdays  []float64     `yaml:"daily_weekdays" help:"7 weights, Monday first; the mean over the week is the rate"`
	File      string        `yaml:"file" help:"CSV with a line SECONDS,FACTOR for each change, beginning with second 0; with a rate of 1 factors are events per second"`
}

// Step is a change of the rate.
type Step struct {
	At     time.Duration `yaml:"at" help:"since the start"`
	Factor float64       `yaml:"factor" help:"of the rate"`
}

// The arrivals and the curves.
const (
	paced, poisson                               = "paced", "poisson"
	constant, ramp, steps, sine, daily, fromFile = "constant", "ramp", "steps", "sine", "daily", "file"
)

// DefaultShape is a constant rate at even distances, and what the other curves are if nothing else is said.
func DefaultShape() Shape {
	return Shape{
		Arrivals: paced, Curve: constant,
		RampFrom: 0, RampTo: 1, RampOver: 10 * time.Minute,
		Steps:  []Step{{0, 1}, {time.Minute, 2}, {2 * time.Minute, 1}},
		Period: 10 * time.Minute, Amplitude: 0.5,
		Hours: []float64{
			2, 1.2, 0.8, 0.6, 0.6, 0.9, 1.8, 3, 4, 4.8, 5.2, 5.4,
			5.6, 5.4, 5.2, 5.2, 5.4, 5.8, 6.4, 7.2, 7.6, 6.8, 5, 3.4,
		},
		Weekdays: []float64{1, 0.95, 0.95, 1, 1.05, 1.1, 1.2},
	}
}

const week = 7 * 24 * time.Hour

// Problems returns what can't work, by key. It reads the file, if there is one.
func (s *Shape) Problems() map[string]string {
	f := map[string]string{}
	if s.Arrivals != paced && s.Arrivals != poisson {
		f["arrivals"] = fmt.Sprintf("want paced or poisson, got %q", s.Arrivals)
	}
	factor := func(key string, v, most float64) {
		if !(v >= 0 && v <= most) {
			f[key] = fmt.Sprintf("must be between 0 and %v, got %v", most, v)
		}
	}
	factor("ramp_from", s.RampFrom, maxFactor)
	factor("ramp_to", s.RampTo, maxFactor)
	span := func(key string, d time.Duration) {
		if d < time.Second || d > 366*24*time.Hour {
			f[key] = fmt.Sprintf("must be between 1s and %s, got %s", 366*24*time.Hour, d)
		}
	}
	span("ramp_over", s.RampOver)
	span("sine_period", s.Period)
	factor("sine_amplitude", s.Amplitude, 1)
	for i, step := range s.Steps {
		key := fmt.Sprintf("steps[%d].", i)
		switch {
		case i == 0 && step.At != 0:
			f[key+"at"] = fmt.Sprintf("the first step must be at 0s, got %s", step.At)
		case i > 0 && step.At <= s.Steps[i-1].At:
			f[key+"at"] = fmt.Sprintf("goes back in time: %s after %s", step.At, s.Steps[i-1].At)
		}
		factor(key+"factor", step.Factor, maxFactor)
	}
	weights := func(key string, list []float64, n int) {
		sum := 0.0
		for _, w := range list {
			if !(w >= 0 && w <= maxFactor) {
				f[key] = fmt.Sprintf("must be between 0 and %v, got %v", float64(maxFactor), w)
				return
			}
			sum += w
		}
		if len(list) != n {
			f[key] = fmt.Sprintf("must be %d numbers, got %d", n, len(list))
		} else if sum == 0 {
			f[key] = noEvents
		}
	}
	weights("daily_hours", s.Hours, 24)
	weights("daily_weekdays", s.Weekdays, 7)
	s.curveProblems(f)
	return f
}

// maxFactor is the largest factor: from a rate of 1/s to the highest there is.
const maxFactor = 1e9

func (s *Shape) curveProblems(f map[string]string) {
	switch s.Curve {
	case constant, sine, daily:
	case ramp:
		if s.RampFrom == 0 && s.RampTo == 0 {
			f["ramp_to"] = noEvents
		}
	case steps:
		sum := 0.0
		for _, step := range s.Steps {
			sum += step.Factor
		}
		if !(sum > 0) {
			f["steps"] = noEvents
		}
	case fromFile:
		if s.File == "" {
			f["file"] = "must be given for the curve file"
		} else if _, err := readCurve(s.File); err != nil {
			f["file"] = err.Error()
		}
	default:
		f["curve"] = fmt.Sprintf("want constant, ramp, steps, sine, daily or file, got %q", s.Curve)
	}
}

// Schedule makes a schedule of a Shape without Problems, around a base rate, for a run that starts at a
// time. The seed is for events that come at random. It fails if the file has changed since, or if the
// rate goes beyond MaxRate.
func (s *Shape) Schedule(base Rate, start time.Time, seed uint64) (Schedule, error) {
	if s.Curve == constant && s.Arrivals == paced {
		return base, nil
	}
	c, err := s.curve(base, start)
	if err != nil {
		return nil, err
	}
	if most := c.most(); most > MaxRate {
		return nil, fmt.Errorf("rate: the curve goes up to %s, above %s", most, MaxRate)
	}
	if s.Arrivals == poisson {
		return newPoisson(c, seed), nil
	}
	return c, nil
}

func (s *Shape) curve(base Rate, start time.Time) (*Curve, error) {
	switch s.Curve {
	case ramp:
		width := max(s.RampOver/10_000, time.Millisecond)
		parts := stairs(base, s.RampOver, width, func(at time.Duration) float64 {
			return s.RampFrom + (s.RampTo-s.RampFrom)*at.Seconds()/s.RampOver.Seconds()
		})
		return newCurve(append(parts, part{from: s.RampOver, rate: scale(base, s.RampTo)}), 0), nil
	case steps:
		return newCurve(toParts(base, s.Steps), 0), nil
	case sine:
		width := max(s.Period/3600, time.Millisecond)
		return newCurve(stairs(base, s.Period, width, func(at time.Duration) float64 {
			return 1 + s.Amplitude*math.Sin(2*math.Pi*at.Seconds()/s.Period.Seconds())
		}), s.Period), nil
	case daily:
		return newCurve(stairs(base, week, time.Minute, s.dailyFactor(start)), week), nil
	case fromFile:
		list, err := readCurve(s.File)
		if err != nil {
			return nil, err
		}
		return newCurve(toParts(base, list), 0), nil
	}
	return newCurve([]part{{rate: base}}, 0), nil
}

func toParts(base Rate, list []Step) []part {
	parts := make([]part, 0, len(list))
	for _, step := range list {
		parts = append(parts, part{from: step.At, rate: scale(base, step.Factor)})
	}
	return parts
}

// dailyFactor is the shape of a week, seen from a moment in it.
func (s *Shape) dailyFactor(start time.Time) func(time.Duration) float64 {
	hours, days := 0.0, 0.0
	for _, h := range s.Hours {
		hours += h / 24
	}
	for _, d := range s.Weekdays {
		days += d / 7
	}
	start = start.UTC()
	monday := time.Date(start.Year(), start.Month(), start.Day(), 0, 0, 0, 0, time.UTC).AddDate(0, 0, -(int(start.Weekday())+6)%7)
	phase := start.Sub(monday)
	return func(at time.Duration) float64 {
		at = (at + phase) % week
		day := int(at / (24 * time.Hour))
		// An hour's weight holds in its middle.
		h := (at % (24 * time.Hour)).Hours() + 23.5
		before := int(h) % 24
		share := h - math.Floor(h)
		hour := s.Hours[before]*(1-share) + s.Hours[(before+1)%24]*share
		return hour / hours * s.Weekdays[day] / days
	}
}

// readCurve reads a file of SECONDS,FACTOR lines. Empty lines, those that begin with # and a heading are
// passed over.
func readCurve(path string) ([]Step, error) {
	file, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	defer file.Close()
	var list []Step
	scan := bufio.NewScanner(file)
	sum := 0.0
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(scan.Text())
		if line == "" || line[0] == '#' || len(list) == 0 && n == 1 && strings.ContainsAny(line[:1], "sStT\"") {
			continue
		}
		at, factor, ok := strings.Cut(line, ",")
		seconds, err1 := strconv.ParseFloat(strings.TrimSpace(at), 64)
		v, err2 := strconv.ParseFloat(strings.TrimSpace(factor), 64)
		switch {
		case !ok || err1 != nil || err2 != nil:
			return nil, fmt.Errorf("%s:%d: want SECONDS,FACTOR, got %q", path, n, line)
		case !(seconds >= 0 && seconds < 1e9) || !(v >= 0 && v <= maxFactor):
			return nil, fmt.Errorf("%s:%d: seconds and factor must be between 0 and 1e9, got %q", path, n, line)
		}
		step := Step{time.Duration(seconds * float64(time.Second)), v}
		if len(list) == 0 && step.At != 0 {
			return nil, fmt.Errorf("%s:%d: the first line must be for second 0, got %q", path, n, line)
		}
		if len(list) > 0 && step.At <= list[len(list)-1].At {
			return nil, fmt.Errorf("%s:%d: goes back in time: %s after %s", path, n, step.At, list[len(list)-1].At)
		}
		sum += v
		list = append(list, step)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	if len(list) == 0 || sum == 0 {
		return nil, fmt.Errorf("%s: has no events", path)
	}
	return list, nil
}
