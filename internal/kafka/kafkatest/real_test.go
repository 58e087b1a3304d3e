//go:build kafka

package kafkatest

import "testing"

func TestRealKafkaComesBackAfterItsDeaths(t *testing.T) {
	k := StartReal(t)
	k.KillBroker(t)
	k.StartBroker(t)
	k.KillZooKeeper(t)
	k.StartZooKeeper(t)
	k.StopBroker(t)
	k.StartBroker(t)
}
