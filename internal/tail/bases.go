package tail

import (
	"slices"
	"strings"
)

// RotatedFrom tells whether name, without a folder, is one that rotation gives to
// one of the logs beside it, or what a compressor or an editor leaves there. isLog
// tells which names are logs. It is the way to see, among many names, those that
// are no logs of their own.
func RotatedFrom(name string, isLog func(base string) bool) (base string, rotated bool) {
	stem := name
	for _, end := range leftAlone {
		stem = strings.TrimSuffix(stem, end)
	}
	stem = withoutPacking(stem)
	for i := range len(name) {
		base := name[:i]
		if name[i] != '.' && name[i] != '-' && name[i] != '~' || !isLog(base) {
			continue
		}
		if isRotated(base, name) || stem != name && (stem == base || isRotated(base, stem)) {
			return base, true
		}
	}
	return "", false
}

// Compressed tells whether a name says that a file is not text but compressed.
func Compressed(name string) bool {
	return slices.ContainsFunc([]string{".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip", ".Z"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}

// LooksRotated tells whether a name ends as rotation ends names, in a number or a
// date, and what the log's own name would then be.
func LooksRotated(name string) (base string, ok bool) {
	i := len(strings.TrimRight(name, "0123456789-_:T.")) // the log's name does not end so
	if i == 0 || i >= len(name)-1 || name[i] != '.' && name[i] != '-' {
		return "", false
	}
	return name[:i], isRotated(name[:i], name)
}
