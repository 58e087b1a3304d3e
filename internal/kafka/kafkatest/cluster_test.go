//go:build kafka

package kafkatest

import (
	"slices"
	"testing"
)

// Every kind serves, and goes on on what a killed broker left.
func TestEveryKindOfCluster(t *testing.T) {
	for name, kind := range Kinds {
		t.Run(name, func(t *testing.T) {
			c := StartCluster(t, kind)
			c.CreateTopic(t, "events", 1)
			Produce(t, c.Addrs(), "events", 0, "one")
			c.Kill(t, c.Size()-1)
			c.Start(t, c.Size()-1)
			Produce(t, c.Addrs(), "events", 0, "two")
			if got := Values(t, c.Addrs(), "events", 0); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("topic holds %q", got)
			}
		})
	}
}
