package config

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// ExitCode is what a daemon exits with when its settings can't work: EX_CONFIG
// of sysexits(3). The units name it in RestartPreventExitStatus.
const ExitCode = 78

// Problems is every problem found in one reading of the settings.
type Problems struct {
	// Lines has one problem each: where it is, the key, what is wrong.
	Lines []string
}

func (p *Problems) Error() string { return strings.Join(p.Lines, "\n") }

// ExitCode is 78 for the process.
func (p *Problems) ExitCode() int { return ExitCode }

// Report collects problems.
type Report struct {
	set      *Set
	problems []string
}

// Addf reports that the value of key can't work. The key is written as in the
// file, sections joined with dots; an element of a list is `brokers[1]`. Where
// the value came from is added here. A second problem of a key whose text could
// not even be parsed is dropped: it would speak of the value below.
func (r *Report) Addf(key, format string, args ...any) {
	name, index := key, -1
	if i := strings.LastIndexByte(key, '['); i >= 0 && r.set.byKey[key] == nil {
		name = key[:i]
		index, _ = strconv.Atoi(strings.TrimSuffix(key[i+1:], "]"))
	}
	text := key + ": " + fmt.Sprintf(format, args...)
	f := r.set.byKey[name]
	if f == nil {
		r.problems = append(r.problems, text)
		return
	}
	if f.broken {
		return
	}
	at := f.origin
	if index >= 0 && index < len(f.items) {
		at.Line = f.items[index]
	}
	if at.Kind != FromDefault {
		text = at.String() + ": " + text
	}
	r.problems = append(r.problems, text)
}

// Include reports what is wrong with a file that key names. Problems of its reading come as they are, with
// their own file and line.
func (r *Report) Include(key string, err error) {
	var of *Problems
	if errors.As(err, &of) {
		r.problems = append(r.problems, of.Lines...)
		return
	}
	r.Addf(key, "%v", err)
}

// addLine reports a problem of the file itself.
func (r *Report) addLine(file string, line int, format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

func (r *Report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &Problems{Lines: r.problems}
}

// nearest returns the known name a person most likely meant, or "".
func nearest(name string, known map[string]bool) string {
	names := make([]string, 0, len(known))
	for k := range known {
		names = append(names, k)
	}
	sort.Strings(names)
	best, least := "", 1+max(2, len(name)/4)
	for _, k := range names {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the
// next one (optimal string alignment) that turns a into b.
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
