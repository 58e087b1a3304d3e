package logship

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/kafka"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/ship"
	"eventline/internal/ship/shiptest"
)

// behind describes the cluster at addr for the suite, but for what is peculiar to it.
func behind(addr string) shiptest.Cluster {
	return shiptest.Cluster{
		Create: func(t *testing.T, topic string, settings ...string) {
			kafkatest.CreateTopic(t, addr, topic, 1, settings...)
		},
		Open: func(t *testing.T, topic, codec string) ship.Topic {
			cfg := kafka.DefaultConfig()
			cfg.Brokers = []string{addr}
			cfg.Retry.Initial = 20 * time.Millisecond
			client, err := kafka.Open(cfg, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			var opt kafka.ProduceOptions
			if err := opt.Compression.UnmarshalText([]byte(codec)); err != nil {
				t.Fatal(err)
			}
			return newRoute(client.Topic(topic, opt), func(int) time.Duration { return 20 * time.Millisecond })
		},
		Class:    classOf,
		Recreate: func(t *testing.T, topic string) { kafkatest.RecreateTopic(t, addr, topic) },
		DeleteBefore: func(t *testing.T, topic string, offset int64) {
			kafkatest.DeleteBefore(t, addr, topic, 0, offset)
		},
	}
}

// The embedded broker keeps the rules as well, but for two: it never tells what it
// holds of an idempotent producer, and one that it does not know has to begin at 0.
func TestRouteConformsOnTheEmbeddedBroker(t *testing.T) {
	k := kafkatest.Start(t)
	c := behind(k.Addr)
	c.BeginsAtZero = true
	c.Restart = func(*testing.T) {
		k.Stop()
		k.Start()
	}
	shiptest.Conform(t, c)
}
