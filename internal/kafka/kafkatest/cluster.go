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
// started again at the same addresses. They are numbered from 0.
type Cluster struct {
	kind    Kind
	base    *Real // folders, and ZooKeeper
	brokers []*broker
}

// broker is one of a Cluster. It can be talked to directly or through a proxy: Kafka
// tells each client the address of the listener that it came by.
type broker struct {
	port, proxied, controller int
	proxy                     *Proxy
	settings, data            string // its properties file and its log.dirs
	*process
}

// StartCluster starts one and returns when every broker answers. It ends with the
// test. settings are lines of every broker's properties that beat the ones given here.
func StartCluster(t testing.TB, kind Kind, settings ...string) *Cluster {
	t.Helper()
	c := &Cluster{kind: kind, base: &Real{libs: libs(t), dir: t.TempDir()}}
	for i := range kind.Brokers {
		b := &broker{port: freePort(t), proxied: freePort(t), controller: freePort(t), data: c.base.folder(t, fmt.Sprint("kafka", i+1))}
		b.proxy = StartProxy(t, fmt.Sprint("127.0.0.1:", b.proxied))
		c.brokers = append(c.brokers, b)
	}
	if !kind.KRaft {
		c.startZooKeeper(t)
	}
	for i, b := range c.brokers {
		b.settings = c.base.write(t, fmt.Sprintf("broker%d.properties", i+1), append(c.properties(i), settings...)...)
		if kind.KRaft {
			c.format(t, i)
		}
	}
	t.Cleanup(func() {
		for i, b := range c.brokers {
			b.kill(t)
			if t.Failed() && b.process != nil {
				t.Logf("end of the log of broker %d:\n%s", i+1, c.base.tail(filepath.Base(b.log)))
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

func (c *Cluster) startZooKeeper(t testing.TB) {
	t.Helper()
	c.base.zooPort = freePort(t)
	c.base.zooSettings = c.base.write(t, "zoo.cfg", "tickTime=500", "dataDir="+c.base.folder(t, "zookeeper"),
		"clientPortAddress=127.0.0.1", fmt.Sprint("clientPort=", c.base.zooPort), "admin.enableServer=false", "maxSessionTimeout=60000")
	t.Cleanup(func() { c.base.KillZooKeeper(t) })
	c.base.StartZooKeeper(t)
}

// properties are a broker's lines.
func (c *Cluster) properties(i int) []string {
	b, copies := c.brokers[i], min(c.kind.Brokers, 3)
	listeners := fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d,PROXIED://127.0.0.1:%d", b.port, b.proxied)
	protocols := "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT"
	lines := []string{
		fmt.Sprintf("advertised.listeners=PLAINTEXT://127.0.0.1:%d,PROXIED://%s", b.port, b.proxy.Addr()),
		"log.dirs=" + b.data,
		"auto.create.topics.enable=false",
		fmt.Sprint("default.replication.factor=", copies),
		fmt.Sprint("min.insync.replicas=", (copies+1)/2),
		fmt.Sprint("offsets.topic.replication.factor=", copies),
		"offsets.topic.num.partitions=4",
		"replica.lag.time.max.ms=10000",
		"group.initial.rebalance.delay.ms=0",
	}
	if !c.kind.KRaft {
		return append(lines, listeners, protocols, fmt.Sprint("broker.id=", i+1),
			fmt.Sprint("zookeeper.connect=127.0.0.1:", c.base.zooPort),
			fmt.Sprint("zookeeper.session.timeout.ms=", sessionTimeout.Milliseconds()))
	}
	var voters []string
	for n, b := range c.brokers {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", n+1, b.controller))
	}
	return append(lines, fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", listeners, b.controller), protocols+",CONTROLLER:PLAINTEXT",
		"process.roles=broker,controller", fmt.Sprint("node.id=", i+1), "controller.listener.names=CONTROLLER",
		"controller.quorum.voters="+strings.Join(voters, ","), "broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500")
}

// format makes a broker's folder one of this cluster, which KRaft wants.
func (c *Cluster) format(t testing.TB, i int) {
	t.Helper()
	p := c.base.java(t, fmt.Sprint("format", i+1), "kraft", "128m", "kafka.tools.StorageTool",
		"format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", c.brokers[i].settings)
	if <-p.done; p.cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("format: %s", c.base.tail(filepath.Base(p.log)))
	}
}

func (c *Cluster) launch(t testing.TB, i int) {
	t.Helper()
	jars := "kafka"
	if c.kind.KRaft {
		jars = "kraft"
	}
	c.brokers[i].process = c.base.java(t, fmt.Sprint("broker", i+1), jars, "512m", "kafka.Kafka", c.brokers[i].settings)
}

func (c *Cluster) await(t testing.TB, i int) {
	t.Helper()
	b, deadline := c.brokers[i], time.Now().Add(bootPatience)
	for !c.base.until(deadline, b.process, func() bool { return started(b.log) && listens(b.port) }) {
		text := c.base.tail(filepath.Base(b.log))
		if !strings.Contains(text, "NodeExists") || time.Now().After(deadline) {
			t.Fatalf("broker %d did not start; end of its log:\n%s", i+1, text)
		}
		c.launch(t, i) // its session of before lives still
	}
}

// Size is how many brokers there are.
func (c *Cluster) Size() int { return len(c.brokers) }

// Addrs are the brokers' host:port, separated by commas.
func (c *Cluster) Addrs() string {
	var addrs []string
	for _, b := range c.brokers {
		addrs = append(addrs, fmt.Sprint("127.0.0.1:", b.port))
	}
	return strings.Join(addrs, ",")
}

// Proxy is what a client goes through to a broker that begins with the Proxy's Addr.
func (c *Cluster) Proxy(i int) *Proxy { return c.brokers[i].proxy }

// Data is the folder of a broker's partitions.
func (c *Cluster) Data(i int) string { return c.brokers[i].data }

// Kill is kill -9 of a broker. Killing a dead one is fine.
func (c *Cluster) Kill(t testing.TB, i int) { c.brokers[i].kill(t) }

// Stop asks a broker to end in good order and waits for it.
func (c *Cluster) Stop(t testing.TB, i int) {
	t.Helper()
	c.signal(t, i, syscall.SIGTERM)
	select {
	case <-c.brokers[i].done:
	case <-time.After(bootPatience):
		t.Fatalf("broker %d did not stop; end of its log:\n%s", i+1, c.base.tail(filepath.Base(c.brokers[i].log)))
	}
}

// Start starts a broker that has ended, and returns when it answers.
func (c *Cluster) Start(t testing.TB, i int) {
	t.Helper()
	c.launch(t, i)
	c.await(t, i)
}

// Restart is Stop and Start.
func (c *Cluster) Restart(t testing.TB, i int) {
	t.Helper()
	c.Stop(t, i)
	c.Start(t, i)
}

// Freeze stops a broker without its knowing, as a long pause of the collector or of the
// machine does, and Thaw lets it go on.
func (c *Cluster) Freeze(t testing.TB, i int) { t.Helper(); c.signal(t, i, syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (c *Cluster) Thaw(t testing.TB, i int) { t.Helper(); c.signal(t, i, syscall.SIGCONT) }

func (c *Cluster) signal(t testing.TB, i int, s os.Signal) {
	t.Helper()
	if err := c.brokers[i].cmd.Process.Signal(s); err != nil {
		t.Errorf("broker %d: %v: %v", i+1, s, err)
	}
}

// Leader is the broker that leads a partition, -1 if none does or none tells.
func (c *Cluster) Leader(t testing.TB, topic string, partition int32) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	cl := dial(t, c.Addrs())
	defer cl.Close()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &topic
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, mt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return -1
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.Partition == partition && p.Leader > 0 {
			return int(p.Leader) - 1
		}
	}
	return -1
}

// CreateTopic creates a topic with as many copies as the cluster keeps.
func (c *Cluster) CreateTopic(t testing.TB, topic string, partitions int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, c.Addrs())
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
