//go:build kafka

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventline/internal/kafka/kafkatest"
)

// once is a log, a topic of its own, and a logship between them whose way to the broker
// is a proxy.
type once struct {
	t          *testing.T
	c          *kafkatest.Cluster
	proxy      *kafkatest.Proxy
	topic, dir string
	written    []string
	stateDir   string // where it is not in dir
	from       int    // lines before this one are nobody's business
	asked      int    // questions for settings before the last logship began
}

// describeConfigs is the request for a topic's settings, among them its limit.
const describeConfigs int16 = 32

// newOnce makes the topic, with settings such as "max.message.bytes", "3000".
func newOnce(t *testing.T, c *kafkatest.Cluster, partitions int32, settings ...string) *once {
	t.Helper()
	o := &once{t: t, c: c, proxy: c.Proxy(0), topic: strings.ToLower(strings.ReplaceAll(filepath.Base(t.Name()), "_", "-")), dir: t.TempDir()}
	kafkatest.CreateTopic(t, c.Addrs(), o.topic, partitions, settings...)
	return o
}

func (o *once) log() string { return filepath.Join(o.dir, "events.log") }
func (o *once) state() string {
	if o.stateDir != "" {
		return o.stateDir
	}
	return filepath.Join(o.dir, "state")
}

// write appends numbered lines to the log.
func (o *once) write(n int) {
	o.t.Helper()
	var lines []string
	for range n {
		lines = append(lines, fmt.Sprintf("%s %06d %s", o.topic, len(o.written)+len(lines), strings.Repeat("x", 60)))
	}
	o.put(lines...)
}

func (o *once) put(lines ...string) {
	o.t.Helper()
	o.written = append(o.written, lines...)
	f, err := os.OpenFile(o.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
		_ = f.Close()
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// args are those of a command of logship, for this log and topic.
func (o *once) args(command string, more ...string) []string {
	return append(strings.Fields(command), append([]string{"--path", o.log(), "--state-dir", o.state(), "--topic", o.topic, "--brokers", o.proxy.Addr()}, more...)...)
}

// ship starts a logship.
func (o *once) ship(more ...string) *program {
	o.t.Helper()
	o.asked = o.proxy.Requests(describeConfigs)
	return start(o.t, nil, "logship", o.args("run", append([]string{"--admin-listen", "off", "--retry-max", "1s", "--request-timeout", "5s"}, more...)...)...)
}

// drain ships what is there with a logship of its own, which has to end well.
func (o *once) drain() {
	o.t.Helper()
	if code, stdout, stderr := run(o.t, nil, "logship", o.args("run", "--once", "--admin-listen", "off", "--retry-max", "1s", "--request-timeout", "5s")...); code != 0 {
		o.t.Fatalf("logship --once: exit %d, %s%s", code, stdout, last(stderr))
	}
}

// count is how many records the topic has.
func (o *once) count() int {
	n := 0
	for _, records := range kafkatest.Records(o.t, o.c.Addrs(), o.topic) {
		n += len(records)
	}
	return n
}

func (o *once) await(n int) {
	o.t.Helper()
	eventually(o.t, fmt.Sprintf("%d records", n), func() bool { return o.count() >= n })
}

// check holds the topic against the log: each line once, in order in each partition.
// Those in but may be missing.
func (o *once) check(but ...string) {
	o.t.Helper()
	number := make(map[string]int)
	for i, line := range o.written {
		number[line] = i
	}
	seen := make(map[string]int)
	for partition, records := range kafkatest.Records(o.t, o.c.Addrs(), o.topic) {
		last := -1
		for _, r := range records {
			line := string(r.Value)
			n, ok := number[line]
			switch {
			case ok && n < o.from:
				continue
			case !ok:
				o.t.Errorf("offset %d is no line of the log: %.80q", r.Offset, line)
			case n <= last:
				o.t.Errorf("partition %d, offset %d: line %d comes after line %d", partition, r.Offset, n, last)
			}
			seen[line]++
			last = max(last, n)
		}
	}
	for _, line := range but {
		seen[line]++
	}
	missing, doubled := 0, 0
	for _, line := range o.written[o.from:] {
		switch n := seen[line]; {
		case n == 0:
			missing++
		case n > 1:
			doubled++
		}
	}
	if missing+doubled > 0 {
		o.t.Errorf("of %d lines %d are missing and %d are there more than once", len(o.written), missing, doubled)
	}
}

// TestOnce has one real broker for what is worth a name of its own of that which can
// happen between a log and a topic.
func TestOnce(t *testing.T) {
	c := kafkatest.StartCluster(t, kafkatest.Kinds["single"], "producer.id.expiration.check.interval.ms=500")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *kafkatest.Cluster)
	}{
		{"request of the dead arrives before the next asks", heldBeforeAsking},
		{"request of the dead arrives between asking and the first batch", heldUntilFirstBatch},
		{"request of the dead arrives after the first batch", heldUntilLater},
		{"request of the dead arrives after a new numbering began", heldUntilRenumbered},
		{"first batch of a fresh id is refused", firstRefused},
		{"first batch of a fresh id has no answer", firstUnanswered},
		{"broker is killed with five batches unanswered", fiveUnanswered},
		{"line is refused with batches behind it", refusedAhead},
		{"partitions are added", partitionsAdded},
		{"records are deleted", recordsDeleted},
		{"snapshots of producers are deleted", snapshotsDeleted},
		{"newer slot is lost", slotLost},
		{"older state is put back", stateOld},
		{"topic is made anew while logship runs", recreatedRunning},
		{"topic is made anew while logship is down", recreatedDown},
		{"producer id expires while idle", expiredIdle},
		{"producer id expires in doubt", expiredInDoubt},
		{"producer id expires with answers lost", expiredUnanswered},
		{"copies of a state at five lines a second", clonesSlow},
		{"copies of a state at full speed", clonesFast},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c) })
	}
}
