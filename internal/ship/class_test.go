package ship

import (
	"fmt"
	"testing"
)

// Whatever a leader answers, once or a few times, to a batch that it has appended or
// not: each line is in the topic once. The classes are those of package kafka, whose
// DESIGN.md has the codes of each.
func TestEveryClassOfErrorEndsWithEachLineOnce(t *testing.T) {
	for _, class := range []string{
		"leader", "timeout", "other", "invalid", "unreachable", "auth", "tls", "not_kafka",
		TopicMissing, Timestamp, OutOfOrder, Fenced, Stale, Unsupported, Authorization, TooLarge, Refused,
	} {
		for _, appended := range []bool{false, true} {
			if appended && (class == TooLarge || class == Refused) {
				continue // these say that it was not
			}
			for _, times := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s %d times, appended %v", class, times, appended), func(t *testing.T) {
					c := newCluster(2)
					c.maxBytes = 12 * 700
					left, asked := times, 0
					c.fault = func(_ int32, b Batch, was bool) error {
						if was != appended || left == 0 {
							return nil
						}
						// Of several in flight, and not always the first.
						if asked++; asked%3 == 0 {
							left--
							return refusedError(class)
						}
						return nil
					}
					r := newRig(t, c)
					r.write(numbered(0, 20_000))
					r.once()
					if left > 0 {
						t.Fatalf("%d refusals were not asked for", left)
					}
					checkExact(t, 0, c, numbered(0, 20_000))
				})
			}
		}
	}
}
