//go:build kafka

package logship

import (
	"testing"

	"eventline/internal/kafka/kafkatest"
	"eventline/internal/ship/shiptest"
)

func TestRouteConformsOnKafka(t *testing.T) {
	k := kafkatest.StartReal(t, "producer.id.expiration.check.interval.ms=500")
	c := behind(k.Addr())
	c.Recalls, c.RemembersOne = true, true
	c.Restart = func(t *testing.T) {
		k.KillBroker(t)
		k.StartBroker(t)
	}
	c.Forget = func(t *testing.T) {
		const setting = "producer.id.expiration.ms"
		kafkatest.Configure(t, k.Addr(), setting, "1000")
		t.Cleanup(func() { kafkatest.Configure(t, k.Addr(), setting, "86400000") })
	}
	shiptest.Conform(t, c)
}
