package tail

import "strings"

// leftAlone are endings of files that stand beside a log and are not part of it,
// or not readable as one.
var leftAlone = []string{
	".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip", ".Z",
	".tmp", ".swp", ".swx", ".bak", ".orig", ".lock", ".pid", ".offset", ".pos", "~",
}

// isRotated tells whether name is one that rotation gives to the log called
// base: base, a dot or dash, and something with a digit (events.log.1,
// events.log-20261122, events.log.2026-11-22T10.00), or one of few words
// (events.log.old). Another log beside it, such as events.log.err, is not.
func isRotated(base, name string) bool {
	rest, ok := strings.CutPrefix(name, base)
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
