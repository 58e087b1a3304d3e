package tail

import (
	"cmp"
	"slices"
	"strings"
)

// leftAlone are endings of files that stand beside a log and are not part of it,
// or not readable as one.
var leftAlone = []string{
	".xz", ".bz2", ".lz4", ".zip", ".Z",
	".tmp", ".swp", ".swx", ".bak", ".orig", ".lock", ".pid", ".offset", ".pos", "~",
}

// isRotated tells whether name is one that rotation gives to the log called
// base: base, a dot or dash, and something with a digit (events.log.1,
// events.log-20261122, events.log.2026-11-22T10.00), or one of few words
// (events.log.old), packed or not. Another log beside it, such as events.log.err,
// is not.
func isRotated(base, name string) bool {
	rest, ok := strings.CutPrefix(withoutPacking(name), base)
	if !ok || len(rest) < 2 || rest[0] != '.' && rest[0] != '-' {
		return false
	}
	for _, end := range leftAlone {
		if strings.HasSuffix(rest, end) {
			return false
		}
	}
	if strings.ContainsAny(rest, "0123456789") {
		return true
	}
	switch rest[1:] {
	case "old", "prev", "last", "rotated":
		return true
	}
	return false
}

// sortOldestFirst orders files by when they were last written, the live one
// last. The kernel's clock for that moves in steps of 4 ms or so; within a step
// the names have to do.
func sortOldestFirst(files []*found) {
	up := numbersGrow(files)
	slices.SortStableFunc(files, func(a, b *found) int {
		if a.live != b.live {
			if a.live {
				return 1
			}
			return -1
		}
		byName := compareNames(a.path, b.path)
		if !up {
			byName = -byName
		}
		return cmp.Or(cmp.Compare(a.mtime, b.mtime), byName)
	})
}

// numbersGrow tells whether a newer file has the higher number or date, going by
// those whose times differ. If none do, a short number counts down, as
// logrotate's, and anything else is a date.
func numbersGrow(files []*found) bool {
	up := false
	for i, a := range files {
		if a.live {
			continue
		}
		for _, b := range files[:i] {
			if !b.live && a.mtime != b.mtime && stem(a.path) == stem(b.path) {
				return compareNames(a.path, b.path) == cmp.Compare(a.mtime, b.mtime)
			}
		}
		up = up || len(number(a.path)) > 4
	}
	return up
}

// stem is a name without the digits at its end, number those digits; how the file
// was packed does not count.
func stem(name string) string { return strings.TrimRight(withoutPacking(name), "0123456789") }

func number(name string) string { return withoutPacking(name)[len(stem(name)):] }

// compareNames orders names by the number at their end, then by text.
func compareNames(a, b string) int {
	x, y := strings.TrimLeft(number(a), "0"), strings.TrimLeft(number(b), "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y), cmp.Compare(a, b))
}
