//go:build kafka

package kafkatest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sessionTimeout is how long ZooKeeper keeps the session of a broker that was
// killed. The broker refuses to start before it has ended ("NodeExists",
// measured on 3.6.2), and the default is 18 s.
const sessionTimeout = 3 * time.Second

// bootPatience bounds a start: a JVM on a busy machine takes its time.
const bootPatience = 2 * time.Minute

// Real is Apache Kafka 3.6.2 with ZooKeeper 3.9.5 on loopback, one process
// each, which can be killed and started again at the same address.
type Real struct {
	libs, dir             string
	kafkaPort, zooPort    int
	broker, zookeeper     *process
	settings, zooSettings string // paths of their properties files
}

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// StartReal starts both and returns when the broker answers. They are killed,
// and the end of their logs is shown if the test has failed, when it ends. The
// jars come from packaging/kafka/fetch. settings are lines of the broker's
// properties that beat the ones given here; $ADDR in them is the broker's address.
func StartReal(t testing.TB, settings ...string) *Real {
	t.Helper()
	k := &Real{libs: libs(t), dir: t.TempDir(), kafkaPort: freePort(t), zooPort: freePort(t)}
	k.zooSettings = k.write(t, "zoo.cfg",
		"tickTime=500",
		"dataDir="+k.folder(t, "zookeeper"),
		"clientPortAddress=127.0.0.1",
		fmt.Sprintf("clientPort=%d", k.zooPort),
		"admin.enableServer=false",
		"maxSessionTimeout=60000",
	)
	for i, line := range settings {
		settings[i] = strings.ReplaceAll(line, "$ADDR", k.Addr())
	}
	k.settings = k.write(t, "server.properties", append([]string{
		"broker.id=1",
		fmt.Sprintf("listeners=PLAINTEXT://127.0.0.1:%d", k.kafkaPort),
		fmt.Sprintf("zookeeper.connect=127.0.0.1:%d", k.zooPort),
		fmt.Sprintf("zookeeper.session.timeout.ms=%d", sessionTimeout.Milliseconds()),
		"log.dirs=" + k.folder(t, "kafka"),
		"auto.create.topics.enable=false",
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
	}, settings...)...)
	t.Cleanup(func() {
		k.KillBroker(t)
		k.KillZooKeeper(t)
		if t.Failed() {
			t.Logf("end of the broker's log:\n%s", k.tail("kafka.log"))
		}
	})
	k.StartZooKeeper(t)
	k.StartBroker(t)
	return k
}

// Addr is the broker's host:port.
func (k *Real) Addr() string { return fmt.Sprintf("127.0.0.1:%d", k.kafkaPort) }

// ZooKeeperAddr is ZooKeeper's host:port.
func (k *Real) ZooKeeperAddr() string { return fmt.Sprintf("127.0.0.1:%d", k.zooPort) }

// StartZooKeeper starts ZooKeeper on the data it left.
func (k *Real) StartZooKeeper(t testing.TB) {
	t.Helper()
	k.zookeeper = k.java(t, "zookeeper", "zookeeper", "128m", "org.apache.zookeeper.server.quorum.QuorumPeerMain", k.zooSettings)
	k.await(t, k.zookeeper, func() bool { return listens(k.zooPort) })
}

// StartBroker starts the broker on the data it left and returns when it answers
// requests. One that gives up because its old session still lives is started
// again.
func (k *Real) StartBroker(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(bootPatience)
	for {
		k.broker = k.java(t, "kafka", "kafka", "512m", "kafka.Kafka", k.settings)
		up := k.until(deadline, k.broker, func() bool { return started(k.broker.log) && listens(k.kafkaPort) })
		if up {
			return
		}
		if !strings.Contains(k.tail("kafka.log"), "NodeExists") || time.Now().After(deadline) {
			t.Fatalf("the broker did not start; end of its log:\n%s", k.tail("kafka.log"))
		}
	}
}

// started looks for the line that the broker prints when it takes requests. Its
// port listens before that.
func started(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && (bytes.Contains(data, []byte("started (kafka.server.KafkaServer)")) ||
		bytes.Contains(data, []byte("Kafka Server started (kafka.server.KafkaRaftServer)")))
}

// KillBroker is kill -9 of the broker. Killing a dead one is fine.
func (k *Real) KillBroker(t testing.TB) { k.broker.kill(t) }

// KillZooKeeper is kill -9 of ZooKeeper. Killing a dead one is fine.
func (k *Real) KillZooKeeper(t testing.TB) { k.zookeeper.kill(t) }

// StopBroker asks the broker to end in good order and waits for it.
func (k *Real) StopBroker(t testing.TB) {
	t.Helper()
	_ = k.broker.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-k.broker.done:
	case <-time.After(bootPatience):
		t.Fatalf("the broker did not stop; end of its log:\n%s", k.tail("kafka.log"))
	}
}

func (p *process) kill(t testing.TB) {
	t.Helper()
	if p == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.done
}

// java starts a JVM on a folder of jars whose end is the test's at the latest: the
// kernel kills it when the test's process dies.
func (k *Real) java(t testing.TB, name, jars, heap, class string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(k.dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	args = append([]string{"-cp", filepath.Join(k.libs, jars, "*"), class}, args...)
	p.cmd = exec.Command("java", append([]string{
		"-Xmx" + heap, "-Xms" + heap, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dlog4j.configuration=file:" + k.write(t, "log4j.properties",
			"log4j.rootLogger=INFO, stdout",
			"log4j.appender.stdout=org.apache.log4j.ConsoleAppender",
			"log4j.appender.stdout.layout=org.apache.log4j.PatternLayout",
			"log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n"),
		"-Dlogback.configurationFile=none",
	}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	return p
}

func (k *Real) await(t testing.TB, p *process, up func() bool) {
	t.Helper()
	if !k.until(time.Now().Add(bootPatience), p, up) {
		t.Fatalf("%s did not start; end of its log:\n%s", p.name, k.tail(p.name+".log"))
	}
}

// until polls until up, or returns false if the process ends or time is over.
func (k *Real) until(deadline time.Time, p *process, up func() bool) bool {
	for time.Now().Before(deadline) {
		select {
		case <-p.done:
			return false
		case <-time.After(50 * time.Millisecond):
		}
		if up() {
			return true
		}
	}
	return false
}

func listens(port int) bool {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

func (k *Real) folder(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *Real) write(t testing.TB, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tail is the end of a log file.
func (k *Real) tail(name string) string {
	data, _ := os.ReadFile(filepath.Join(k.dir, name))
	return string(data[max(0, len(data)-4000):])
}

// libs is the folder that packaging/kafka/fetch fills.
func libs(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("EVENTLINE_KAFKA_LIBS")
	if dir == "" {
		out, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			t.Fatalf("find the module: %v", err)
		}
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), ".cache", "kafka")
	}
	for _, name := range []string{"kafka", "zookeeper", "kraft"} {
		if _, err := os.Stat(filepath.Join(dir, name, "complete")); err != nil {
			t.Fatalf("no jars of %s in %s: run packaging/kafka/fetch", name, dir)
		}
	}
	return dir
}

// freePort is a port that no connection of anybody takes for its own end meanwhile:
// those are above 32767, ip(7). A broker gets it again after its death.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port from 20000 to 31999")
	return 0
}
