//go:build kafka

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"eventline/internal/kafka/kafkatest"
)

func partitionsAdded(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(2000) // more than a stripe of 64 KiB
	ship := o.ship()
	o.await(2000)
	kafkatest.Grow(t, c.Addrs(), o.topic, 3)
	// The tripwire finds them with the next lines.
	eventually(t, "lines in a new partition", func() bool {
		o.write(1000)
		o.await(len(o.written))
		return len(kafkatest.Records(t, c.Addrs(), o.topic)[2]) > 0
	})
	ship.kill()
	o.write(2000)
	o.drain()
	o.check()
}

// inDoubt is a logship that was killed with lines in the topic that its state does not
// know to be there.
func inDoubt(t *testing.T, c *kafkatest.Cluster) *once {
	t.Helper()
	o := newOnce(t, c, 1)
	o.write(200)
	ship := o.ship()
	o.await(200)
	o.proxy.Swallow(kafkatest.Producing)
	t.Cleanup(func() { o.proxy.Swallow() })
	o.write(100)
	o.await(300)
	ship.kill()
	o.proxy.Swallow()
	return o
}

func recordsDeleted(t *testing.T, c *kafkatest.Cluster) {
	o := inDoubt(t, c)
	gone := o.written[:290]
	kafkatest.DeleteBefore(t, c.Addrs(), o.topic, 0, 290)
	c.Restart(t, 0)
	o.write(100)
	o.drain()
	o.check(gone...)
}

// A leader that was stopped in good order does not read its log again, so without the
// snapshots it knows no producer.
func snapshotsDeleted(t *testing.T, c *kafkatest.Cluster) {
	o := inDoubt(t, c)
	c.Stop(t, 0)
	snapshots, err := filepath.Glob(filepath.Join(c.Data(0), o.topic+"-0", "*.snapshot"))
	if err != nil || len(snapshots) == 0 {
		t.Fatalf("snapshots of the partition: %v, %v", snapshots, err)
	}
	for _, path := range snapshots {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	c.Start(t, 0)
	if n := kafkatest.Producers(t, c.Addrs(), o.topic, 0); n != 0 {
		t.Fatalf("the leader knows %d producers, want none", n)
	}
	o.write(100)
	o.drain()
	o.check()
}

// slots are the files in which the state of the log is.
func (o *once) slots() []string {
	o.t.Helper()
	found, err := filepath.Glob(filepath.Join(o.state(), "*", "*", "position.[01]"))
	if err != nil || len(found) != 2 {
		o.t.Fatalf("slots of the state: %v, %v", found, err)
	}
	return found
}

func slotLost(t *testing.T, c *kafkatest.Cluster) {
	o := inDoubt(t, c)
	slots := o.slots()
	newer := slots[0]
	if modified(t, slots[1]).After(modified(t, slots[0])) {
		newer = slots[1]
	}
	if err := os.Truncate(newer, 10); err != nil {
		t.Fatal(err)
	}
	o.write(100)
	o.drain()
	o.check()
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// The leader has more than such a state can have sent.
func stateOld(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(200)
	o.drain()
	old := make(map[string][]byte)
	for _, slot := range o.slots() {
		text, err := os.ReadFile(slot)
		if err != nil {
			t.Fatal(err)
		}
		old[slot] = text
	}
	o.write(5000)
	o.drain()
	for slot, text := range old {
		if err := os.WriteFile(slot, text, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	o.write(100)
	o.refused(o.ship(), "an old one", "logship adopt")
	if n := o.count(); n != 5200 {
		t.Errorf("the topic has %d records, want the 5200 of before", n)
	}
}

// refused waits until a logship has ended because a person has to decide.
func (o *once) refused(p *program, words ...string) {
	o.t.Helper()
	code, said := p.wait(), p.stderr.String()
	if code != 78 {
		o.t.Errorf("exit %d, want 78", code)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			o.t.Errorf("it does not say %q: %s", word, last(said))
		}
	}
}

func recreatedRunning(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(100)
	ship := o.ship()
	o.await(100)
	kafkatest.RecreateTopic(t, c.Addrs(), o.topic)
	o.write(100)
	o.refused(ship, "created anew", "logship adopt")
	o.adopt() // where the new topic has what went to it until that was noticed
	o.from = len(o.written)
	o.write(100)
	o.drain()
	o.check()
}

func recreatedDown(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(100)
	o.drain()
	kafkatest.RecreateTopic(t, c.Addrs(), o.topic)
	o.write(100)
	o.refused(o.ship(), "created anew", "logship adopt")
	if n := o.count(); n != 0 {
		o.t.Errorf("the new topic has %d records before anybody decided", n)
	}
	o.adopt()
	o.from = 100
	o.drain()
	o.check()
}

// adopt decides to go on with what the topic did not get.
func (o *once) adopt() {
	o.t.Helper()
	code, stdout, stderr := run(o.t, nil, "logship", o.args("adopt --skip")...)
	if code != 0 {
		o.t.Fatalf("adopt: exit %d, %s%s", code, stdout, stderr)
	}
}

// expire has the leader forget every producer, and then none for a day.
func expire(t *testing.T, c *kafkatest.Cluster, o *once) {
	t.Helper()
	kafkatest.Configure(t, c.Addrs(), "producer.id.expiration.ms", "1000")
	t.Cleanup(func() { kafkatest.Configure(t, c.Addrs(), "producer.id.expiration.ms", "86400000") })
	eventually(t, "the producer id to expire", func() bool { return kafkatest.Producers(t, c.Addrs(), o.topic, 0) == 0 })
	kafkatest.Configure(t, c.Addrs(), "producer.id.expiration.ms", "86400000")
}

func expiredIdle(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(100)
	ship := o.ship()
	o.await(100)
	expire(t, c, o)
	o.write(500)
	o.await(600)
	ship.kill()
	o.drain()
	o.check()
}

func expiredInDoubt(t *testing.T, c *kafkatest.Cluster) {
	o := inDoubt(t, c)
	expire(t, c, o)
	o.write(100)
	o.drain()
	o.check()
}

// The process lives on: its batches are in the topic, their answers are lost, and the
// leader it comes back to has forgotten who sent them.
func expiredUnanswered(t *testing.T, c *kafkatest.Cluster) {
	o := newOnce(t, c, 1)
	o.write(200)
	ship := o.ship("--request-timeout", "60s") // it stays in doubt until the connection is cut
	o.await(200)
	o.proxy.Swallow(kafkatest.Producing)
	t.Cleanup(func() { o.proxy.Swallow() })
	o.write(100)
	o.await(300)
	expire(t, c, o)
	o.proxy.Swallow()
	o.proxy.Cut()
	o.write(100)
	o.await(400)
	ship.kill()
	o.drain()
	o.check()
}

// clone copies a log and its state, as copying a machine does: nothing tells that it is
// a copy, and what is in it is at the same paths.
func (o *once) clone() *once {
	o.t.Helper()
	twin := *o
	twin.dir = o.t.TempDir()
	twin.written = append([]string(nil), o.written...)
	if err := os.CopyFS(twin.dir, os.DirFS(o.dir)); err != nil {
		o.t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(twin.state(), "host")); err != nil {
		o.t.Fatal(err)
	}
	return &twin
}

// as starts a command of logship that sees o's folder where another one's is, as on a
// machine of its own.
func (o *once) as(other *once, args ...string) *program {
	o.t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		o.t.Fatal(err)
	}
	own := []string{"--mount"}
	if os.Getuid() != 0 {
		own = append(own, "--map-root-user")
	}
	own = append(own, "sh", "-c", `mount --bind "$1" "$2" && shift 2 && exec "$@"`, "sh", o.dir, other.dir, filepath.Join(bin, "logship"))
	return start(o.t, nil, unshare, append(own, args...)...)
}

func clonesSlow(t *testing.T, c *kafkatest.Cluster) { clones(t, c, 1, 200*time.Millisecond) }
func clonesFast(t *testing.T, c *kafkatest.Cluster) { clones(t, c, 5000, time.Millisecond) }

// clones has two logships ship logs that differ under the same numbers. One of them has
// to stop, and to say of which lines it can't know; the other goes on as if nothing was.
func clones(t *testing.T, c *kafkatest.Cluster, lines int, every time.Duration) {
	o := newOnce(t, c, 1)
	o.write(100)
	o.drain()
	both := [2]*once{o, o.clone()}
	ships := [2]*program{o.ship(), both[1].as(o, o.args("run", "--admin-listen", "off", "--retry-max", "1s", "--request-timeout", "5s")...)}
	begun := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	loser := -1
	for loser < 0 {
		for i, x := range both {
			var more []string
			for range lines {
				more = append(more, fmt.Sprintf("%s %06d of copy %d", o.topic, len(x.written)+len(more), i))
			}
			x.put(more...)
		}
		select {
		case <-tick.C:
		case <-ships[0].done:
			loser = 0
		case <-ships[1].done:
			loser = 1
		}
		if time.Since(begun) > patience {
			t.Fatal("neither stops")
		}
	}
	t.Logf("one stopped %s after the first line of both, with %d lines written", time.Since(begun).Round(time.Millisecond), len(both[loser].written))
	o.refused(ships[loser], "copy of this state", "logship adopt")
	winner, ended := both[1-loser], false
	eventually(t, "the other to ship its lines, or to stop too", func() bool {
		select {
		case <-ships[1-loser].done:
			ended = true
			return true
		default:
			return len(winner.missing()) == 0
		}
	})
	if ended {
		o.refused(ships[1-loser], "copy of this state", "logship adopt")
	}
	ships[1-loser].kill()
	for i, x := range both {
		if i == loser || ended {
			x.accounted(o, ships[i].stderr.String())
		}
	}
}

// named is how a refusal tells which lines passed for those of somebody else.
var named = regexp.MustCompile(`under numbers (\d+) to (\d+) of producer`)

// accounted goes on with what a copy was refused, and checks that only lines are missing
// then that the refusal has named. A line's number is its place in the log.
func (o *once) accounted(place *once, said string) {
	o.t.Helper()
	first, last := 0, -1
	if m := named.FindStringSubmatch(said); m != nil {
		first, _ = strconv.Atoi(m[1])
		last, _ = strconv.Atoi(m[2])
	}
	for _, args := range [][]string{place.args("adopt --resend"), place.args("run", "--once", "--admin-listen", "off")} {
		if p := o.as(place, args...); p.wait() != 0 {
			o.t.Fatalf("logship %s: %s%s", args[0], p.stdout.String(), p.stderr.String())
		}
	}
	lost := o.missing()
	o.t.Logf("lines %d to %d are named, %d are missing", first, last, len(lost))
	for _, n := range lost {
		if n < first || n > last {
			o.t.Errorf("line %d of %d is not in the topic, and was not named; %d are missing from line %d to %d, named were %d to %d",
				n, len(o.written), len(lost), lost[0], lost[len(lost)-1], first, last)
			return
		}
	}
}

// missing are the numbers of the lines that the topic does not have.
func (o *once) missing() []int {
	o.t.Helper()
	there := make(map[string]bool)
	for _, records := range kafkatest.Records(o.t, o.c.Addrs(), o.topic) {
		for _, r := range records {
			there[string(r.Value)] = true
		}
	}
	var lost []int
	for n, line := range o.written {
		if !there[line] {
			lost = append(lost, n)
		}
	}
	return lost
}
