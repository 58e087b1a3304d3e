package ship

import "unicode/utf8"

// Rules are what a person sets of how lines are numbered. They belong to a numbering:
// other ones hold from a position on.
type Rules struct {
	// Partitioner is which partition a line goes to.
	Partitioner Partitioner `json:"partitioner,omitempty"`
	// Long is what becomes of a line that is longer than the topic takes.
	Long Long `json:"too_long,omitempty"`
}

// Partitioner is how lines are dealt out to partitions.
type Partitioner string

const (
	// Stripe sends 64 KiB of the log to one partition, and the next to the next.
	Stripe Partitioner = ""
	// File sends all of a log to one partition, which keeps its order.
	File Partitioner = "file"
)

// Long is what becomes of lines that are too long.
type Long string

const (
	// Keep puts them into the quarantine.
	Keep Long = ""
	// Split makes several lines of them, none of which is too long, and cuts no
	// character of UTF-8.
	Split Long = "split"
	// Truncate sends their beginning, as much as the topic takes.
	Truncate Long = "truncate"
)

// parts are the lines that a line is sent as, by the settings of the numbering: itself,
// pieces of it, or none if it goes to the quarantine.
func (s *Shipper) parts(line []byte, to [][]byte) [][]byte {
	most := s.maxBytes - recordOverhead - batchOverhead
	switch {
	case s.maxLine > 0 && len(line) > s.maxLine:
		return to // the reader may bring it nevertheless, because of other settings
	case len(line) <= most:
		return append(to, line)
	case s.rules.Long == Keep || most < utf8.UTFMax:
		return to
	}
	for len(line) > 0 {
		n := min(most, len(line))
		for i := n; n < len(line) && i > n-utf8.UTFMax; i-- {
			if utf8.RuneStart(line[i]) {
				n = i
				break
			}
		}
		to = append(to, line[:n])
		if s.rules.Long == Truncate {
			break
		}
		line = line[n:]
	}
	return to
}
