//go:build kafka

package e2e

import (
	"strings"
	"testing"

	"eventline/internal/kafka/kafkatest"
)

// held is a logship killed with a request on its way, behind lines that are final.
func held(t *testing.T, c *kafkatest.Cluster) *once {
	t.Helper()
	o := newOnce(t, c, 1)
	o.write(200)
	ship := o.ship()
	o.await(200)
	o.proxy.Hold(kafkatest.Producing)
	t.Cleanup(func() { o.proxy.Hold(); o.proxy.Release() })
	o.write(100)
	eventually(t, "a held request", func() bool { return o.proxy.Held() > 0 })
	ship.kill()
	if n := o.count(); n != 200 {
		t.Fatalf("the topic has %d records before the request arrives, want 200", n)
	}
	return o
}

func heldBeforeAsking(t *testing.T, c *kafkatest.Cluster) {
	o := held(t, c)
	o.proxy.Hold()
	o.proxy.Release()
	o.await(300)
	o.write(100)
	o.drain()
	o.check()
}

func heldUntilFirstBatch(t *testing.T, c *kafkatest.Cluster) {
	o := held(t, c)
	before := o.proxy.Held()
	o.write(100)
	ship := o.ship()
	// It has asked what is there, and its own first batch waits behind the dead's.
	eventually(t, "its first batch", func() bool { return o.proxy.Held() > before })
	o.proxy.Hold()
	o.proxy.Release()
	o.await(400)
	ship.kill()
	o.drain()
	o.check()
}

func heldUntilLater(t *testing.T, c *kafkatest.Cluster) {
	o := held(t, c)
	o.proxy.Hold()
	o.write(100)
	ship := o.ship()
	o.await(400)
	if o.proxy.Held() == 0 {
		t.Fatal("the request of the dead has gone")
	}
	o.proxy.Release()
	o.write(100)
	o.await(500)
	ship.kill()
	o.drain()
	o.check()
}

func heldUntilRenumbered(t *testing.T, c *kafkatest.Cluster) {
	o := held(t, c)
	o.proxy.Hold()
	ship := o.ship()
	o.await(300)
	kafkatest.Limit(t, c.Addrs(), o.topic, 2000)
	large := o.topic + strings.Repeat(" large", 1000)
	o.put(large)
	o.write(100)
	o.await(400)
	if o.proxy.Held() == 0 {
		t.Fatal("the request of the dead has gone")
	}
	o.proxy.Release()
	o.write(100)
	o.await(500)
	ship.kill()
	o.drain()
	o.check(large)
	o.quarantined(1)
}

// quarantined checks how many lines `logship quarantine ls` shows.
func (o *once) quarantined(n int) {
	o.t.Helper()
	code, stdout, stderr := run(o.t, nil, "logship", "quarantine", "ls", "--path", o.log(), "--state-dir", o.state())
	if code != 0 || strings.Count(stdout, " bytes ") != n {
		o.t.Errorf("quarantine ls: exit %d, want %d lines: %s%s", code, n, stdout, stderr)
	}
}

func firstRefused(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	ship := o.ship("--admin-listen", logshipAdmin)
	// It knows the topic, and waits for a log.
	eventually(t, "it to know the topic", func() bool { return o.proxy.Requests(describeConfigs) > o.asked })
	kafkatest.Limit(t, c.Addrs(), o.topic, 600)
	o.write(500)
	o.await(500)
	if n := metric(logshipAdmin, "logship_recoveries_total"); n < 1 {
		t.Errorf("%v recoveries: nothing was refused", n)
	}
	ship.kill()
	o.drain()
	o.check()
}

func firstUnanswered(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1, "max.message.bytes", "4000")
	o.proxy.Swallow(kafkatest.Producing)
	t.Cleanup(func() { o.proxy.Swallow() })
	before := o.proxy.Swallowed()
	o.write(500)
	ship := o.ship()
	eventually(t, "an answer that is lost", func() bool { return o.proxy.Swallowed() > before })
	o.proxy.Swallow()
	o.proxy.Cut()
	o.await(500)
	ship.kill()
	o.drain()
	o.check()
}

func fiveUnanswered(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1, "max.message.bytes", "4000")
	o.write(10)
	ship := o.ship()
	o.await(10)
	o.write(10) // the way is known to be good
	o.await(20)
	o.proxy.Swallow(kafkatest.Producing)
	t.Cleanup(func() { o.proxy.Swallow() })
	before := o.proxy.Swallowed()
	o.write(1000)
	eventually(t, "five answers that are lost", func() bool { return o.proxy.Swallowed()-before >= 5 })
	c.Kill(t, 0)
	o.proxy.Swallow()
	c.Start(t, 0)
	o.await(1020)
	ship.kill()
	o.drain()
	o.check()
}

func refusedAhead(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1, "max.message.bytes", "9000")
	o.write(10)
	ship := o.ship("--admin-listen", logshipAdmin)
	o.await(10)
	o.write(10)
	o.await(20)
	kafkatest.Limit(t, c.Addrs(), o.topic, 4000)
	o.write(20)
	large := o.topic + strings.Repeat(" large", 1000)
	o.put(large)
	o.write(1000)
	o.await(1040)
	if n := metric(logshipAdmin, "logship_recoveries_total"); n < 1 {
		t.Errorf("%v recoveries: nothing was refused", n)
	}
	ship.kill()
	o.drain()
	o.check(large)
	o.quarantined(1)
}
