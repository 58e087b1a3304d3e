//go:build kafka

package kafkatest

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Every kind serves, and goes on on what a killed broker left.
func TestEveryKindOfCluster(t *testing.T) {
	for name, kind := range Kinds {
		t.Run(name, func(t *testing.T) {
			c := StartCluster(t, kind)
			c.CreateTopic(t, "events", 1)
			Produce(t, c.Addrs(), "events", 0, "one")
			last := c.Size() - 1
			c.Kill(t, last)
			c.Start(t, last)
			Produce(t, c.Addrs(), "events", 0, "two")
			if got := Values(t, c.Addrs(), "events", 0); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("topic holds %q", got)
			}
		})
	}
}

// The proxy hands over a batch whose sender is dead, and the broker takes it.
func TestHeldBatchIsAppendedLater(t *testing.T) {
	c := StartCluster(t, Kinds["single"])
	c.CreateTopic(t, "events", 1)
	p := c.Proxy(0)
	p.Hold(Producing)
	cl := through(t, p)
	cl.Produce(context.Background(), &kgo.Record{Topic: "events", Value: []byte("late")}, nil)
	WaitFor(t, "a held batch", func() bool { return p.Held() > 0 })
	p.Hold()
	cl.Close()
	Produce(t, c.Addrs(), "events", 0, "early")
	p.Release()
	if got := Values(t, c.Addrs(), "events", 0); !slices.Equal(got, []string{"early", "late"}) {
		t.Errorf("topic holds %q", got)
	}
}
