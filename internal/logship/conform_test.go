package logship

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/broker"
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
// holds of an idempotent producer, and one that it does not know has to begin at 0. It
// is ended in good order: what it forgets when it is killed is a limit of its own.
func TestRouteConformsOnTheEmbeddedBroker(t *testing.T) {
	dir, listen := t.TempDir(), "127.0.0.1:0"
	var b *broker.Broker
	start := func(t *testing.T) {
		var err error
		if b, err = broker.New(broker.Options{Listen: listen, DataDir: dir, Log: zerolog.Nop()}); err != nil {
			t.Fatal(err)
		}
		listen = b.Addr()
	}
	start(t)
	t.Cleanup(func() { _ = b.Close() })
	c := behind(b.Addr())
	c.BeginsAtZero = true
	c.Restart = func(t *testing.T) {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		start(t)
	}
	shiptest.Conform(t, c)
}
