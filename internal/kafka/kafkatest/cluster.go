//go:build kafka

package kafkatest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kind is what a Cluster is made of.
type Kind struct {
	Brokers int
	KRaft   bool // Kafka 4.2.0, brokers and controllers in one; else 3.6.2 with ZooKeeper
}

// Kinds are those that logship is tested on, by name. With three brokers every record
// is on three, and acknowledged by two at least.
var Kinds = map[string]Kind{
	"single": {1, false}, "three": {3, false}, "kraft": {1, true}, "kraft3": {3, true},
}

// Cluster is brokers on loopback, a process each, which can be killed, frozen and
// started again at the same addresses.
type Cluster struct {
	kind     Kind
	base     *Real // folders, and ZooKeeper
	ports    []int
	settings []string // paths of the brokers' properties
	brokers  []*process
}

// StartCluster starts one and returns when every broker answers. It ends with the test.
func StartCluster(t testing.TB, kind Kind, settings ...string) *Cluster {
	t.Helper()
	c := &Cluster{kind: kind, base: &Real{libs: libs(t), dir: t.TempDir()}, brokers: make([]*process, kind.Brokers)}
	var controllers []int
	for range kind.Brokers {
		c.ports = append(c.ports, freePort(t))
		controllers = append(controllers, freePort(t))
	}
	copies := min(kind.Brokers, 3)
	for i := range kind.Brokers {
		lines := []string{
			"log.dirs=" + c.base.folder(t, fmt.Sprint("kafka", i+1)),
			"auto.create.topics.enable=false",
			fmt.Sprint("default.replication.factor=", copies),
			fmt.Sprint("min.insync.replicas=", (copies+1)/2),
			fmt.Sprint("offsets.topic.replication.factor=", copies),
			"offsets.topic.num.partitions=4",
			"replica.lag.time.max.ms=10000",
			"group.initial.rebalance.delay.ms=0",
		}
		if kind.KRaft {
			var voters []string
			for n, port := range controllers {
				voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", n+1, port))
			}
			lines = append(lines,
				"process.roles=broker,controller", fmt.Sprint("node.id=", i+1),
				fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", c.ports[i], controllers[i]),
				fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d", c.ports[i]),
				"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
				"controller.quorum.voters="+strings.Join(voters, ","), "broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500",
			)
		}
		c.settings = append(c.settings, "")
		if kind.KRaft {
			c.settings[i] = c.base.write(t, fmt.Sprintf("broker%d.properties", i+1), append(lines, settings...)...)
			p := c.base.java(t, fmt.Sprint("format", i+1), "kraft", "128m", "kafka.tools.StorageTool", "format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", c.settings[i])
			if <-p.done; p.cmd.ProcessState.ExitCode() != 0 {
				t.Fatalf("format: %s", c.base.tail(filepath.Base(p.log)))
			}
		} else {
			if i == 0 {
				c.base.zooPort = freePort(t)
				c.base.zooSettings = c.base.write(t, "zoo.cfg", "tickTime=500", "dataDir="+c.base.folder(t, "zookeeper"),
					"clientPortAddress=127.0.0.1", fmt.Sprint("clientPort=", c.base.zooPort), "admin.enableServer=false", "maxSessionTimeout=60000")
				c.base.StartZooKeeper(t)
				t.Cleanup(func() { c.base.KillZooKeeper(t) })
			}
			lines = append(lines, fmt.Sprint("broker.id=", i+1), fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", c.ports[i]),
				fmt.Sprint("zookeeper.connect=127.0.0.1:", c.base.zooPort),
				fmt.Sprint("zookeeper.session.timeout.ms=", sessionTimeout.Milliseconds()))
			c.settings[i] = c.base.write(t, fmt.Sprintf("broker%d.properties", i+1), append(lines, settings...)...)
		}
	}
	t.Cleanup(func() {
		for i := range c.brokers {
			c.Kill(t, i)
			if t.Failed() && c.brokers[i] != nil {
				t.Logf("end of the log of broker %d:\n%s", i+1, c.base.tail(filepath.Base(c.brokers[i].log)))
			}
		}
	})
	for i := range c.brokers {
		c.launch(t, i)
	}
	for i := range c.brokers {
		c.await(t, i)
	}
	return c
}

func (c *Cluster) launch(t testing.TB, i int) {
	t.Helper()
	jars := "kafka"
	if c.kind.KRaft {
		jars = "kraft"
	}
	c.brokers[i] = c.base.java(t, fmt.Sprint("broker", i+1), jars, "512m", "kafka.Kafka", c.settings[i])
}

func (c *Cluster) await(t testing.TB, i int) {
	t.Helper()
	deadline := time.Now().Add(bootPatience)
	for !c.base.until(deadline, c.brokers[i], func() bool { return started(c.brokers[i].log) && listens(c.ports[i]) }) {
		text := c.base.tail(filepath.Base(c.brokers[i].log))
		if !strings.Contains(text, "NodeExists") || time.Now().After(deadline) {
			t.Fatalf("broker %d did not start; end of its log:\n%s", i+1, text)
		}
		c.launch(t, i) // its session of before lives still
	}
}

// Size is how many brokers there are; they are numbered from 0.
func (c *Cluster) Size() int { return len(c.brokers) }

// Addrs are the brokers' host:port, separated by commas.
func (c *Cluster) Addrs() string {
	var addrs []string
	for _, port := range c.ports {
		addrs = append(addrs, fmt.Sprint("127.0.0.1:", port))
	}
	return strings.Join(addrs, ",")
}

// Addr is the first broker's.
func (c *Cluster) Addr() string { return fmt.Sprint("127.0.0.1:", c.ports[0]) }

// Kill is kill -9 of a broker.
func (c *Cluster) Kill(t testing.TB, i int) { c.brokers[i].kill(t) }

// Start starts a broker that was killed, and returns when it answers.
func (c *Cluster) Start(t testing.TB, i int) {
	t.Helper()
	c.launch(t, i)
	c.await(t, i)
}

// Freeze stops a broker without its knowing, as a long pause of the collector or of the
// machine does, and Thaw lets it go on.
func (c *Cluster) Freeze(t testing.TB, i int) { c.signal(t, i, syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (c *Cluster) Thaw(t testing.TB, i int) { c.signal(t, i, syscall.SIGCONT) }

func (c *Cluster) signal(t testing.TB, i int, s os.Signal) {
	t.Helper()
	if err := c.brokers[i].cmd.Process.Signal(s); err != nil {
		t.Errorf("broker %d: %v: %v", i+1, s, err)
	}
}

// CreateTopic creates a topic with as many copies as the cluster keeps.
func (c *Cluster) CreateTopic(t testing.TB, topic string, partitions int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, c.Addr())
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, -1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
	awaitLeaders(ctx, t, cl, topic)
}
