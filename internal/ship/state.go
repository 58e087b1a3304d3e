package ship

import (
	"errors"
	"fmt"

	"eventline/internal/tail"
)

// algorithm is the present rules. Whatever changes a number or partition of any line
// makes new ones, which hold from a position on, like other settings.
const algorithm = 1

// State is what has to be known to go on after a restart, whatever ended the run
// before. It is made durable as a whole.
type State struct {
	// Tail is the reader's state at the frontier: every line before it is final.
	Tail tail.State `json:"tail"`
	// Cluster and Topic are the ids of where the lines are.
	Cluster string `json:"cluster,omitempty"`
	Topic   string `json:"topic_id,omitempty"`
	// Algorithm is by which rules lines were numbered: how bytes are lines, which lines
	// have a number, and which partition each goes to.
	Algorithm int `json:"algorithm,omitempty"`
	// Limit is the largest batch in bytes by which lines are judged too long.
	Limit int `json:"limit,omitempty"`
	// MaxLine is the longest line in bytes that is not left out as too long for memory;
	// 0 in states of versions that did not know it.
	MaxLine int `json:"max_line,omitempty"`
	Rules
	// Clean says that the run before ended with nothing on its way: every line that
	// was ever sent is before the frontier.
	Clean bool `json:"clean,omitempty"`
	// Partitions are as many as lines are dealt out to.
	Partitions []LaneState `json:"partitions,omitempty"`
}

// LaneState is the numbering of one partition.
type LaneState struct {
	// ID and Epoch are the producer's; ID is -1 while there is none.
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"`
	// Before is the number of the last line before the frontier.
	Before int64 `json:"before"`
	// Final is the highest number that is final, at least Before and at least -1.
	Final int64 `json:"final"`
	// Offset is one that is behind every record of this numbering up to Final and
	// before every other: where looking for those begins.
	Offset int64 `json:"offset"`
	// Reserved is the highest number that may have been sent, -1 if none.
	Reserved int64 `json:"reserved"`
	// Starts are numbers of the first lines of files of the log that are read next.
	Starts []Start `json:"starts,omitempty"`
	// Boot names the run of the machine in which lines of this numbering were sent.
	Boot string `json:"boot,omitempty"`
	// Left is what may still come of numberings before this one.
	Left Lefts `json:"left,omitempty"`
}

// Start is where in a numbering a file of the log begins.
type Start struct {
	Generation int64 `json:"generation"`
	Number     int64 `json:"number"`
}

// Check refuses a state that no Shipper has made. It guards against files changed
// by hand; damage is the business of whoever stored it.
func (s *State) Check() error {
	for i, l := range s.Partitions {
		switch {
		case l.ID < -1 || l.Epoch < 0:
			return fmt.Errorf("partition %d: producer id %d, epoch %d", i, l.ID, l.Epoch)
		case l.Final < -1 || l.Before > l.Final:
			return fmt.Errorf("partition %d: line %d is before the position, but only %d is final", i, l.Before, l.Final)
		case l.Reserved < l.Final:
			return fmt.Errorf("partition %d: line %d is final, but only %d was reserved", i, l.Final, l.Reserved)
		case l.ID < 0 && l.Reserved >= 0:
			return fmt.Errorf("partition %d: lines up to %d were reserved without a producer id", i, l.Reserved)
		}
	}
	if s.Limit < 0 || s.MaxLine < 0 {
		return errors.New("limit is negative")
	}
	if s.Algorithm > algorithm {
		return fmt.Errorf("lines were numbered by the rules %d of a newer version, this one knows those up to %d", s.Algorithm, algorithm)
	}
	return nil
}

// Longest is the longest line that a reader has to bring in memory for a shipper that
// begins with s, which may be nil, and these settings: another Options.MaxLine holds from
// a position on, and until then the one by which lines were numbered.
func (s *State) Longest(maxLine int) int {
	if s == nil {
		return maxLine
	}
	return max(s.MaxLine, maxLine)
}

// RefusedError says that going on could lose or double lines, and that a person has
// to decide.
type RefusedError struct {
	Reason string // what is wrong, with both values
	Remedy string // what to do
}

func (e *RefusedError) Error() string {
	if e.Remedy == "" {
		return e.Reason
	}
	return e.Reason + "; " + e.Remedy
}

func refusef(remedy, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}
