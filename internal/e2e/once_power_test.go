//go:build kafka && root

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eventline/internal/kafka/kafkatest"
)

// disk is an ext4 file system in a file, with a log and logship's state on it, and the
// machine that it is in.
type disk struct {
	*once
	images string
	cuts   int
	ever   map[string]bool // lines that were written
}

func newDisk(t *testing.T, c *kafkatest.Cluster) *disk {
	t.Helper()
	d := &disk{once: newOnce(t, c, 2), images: t.TempDir(), ever: make(map[string]bool)}
	f, err := os.Create(d.image())
	if err == nil {
		err = f.Truncate(64 << 20)
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	d.do("mkfs.ext4", "-q", "-F", d.image())
	d.mount()
	mounted := d.dir
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", mounted).Run() })
	return d
}

func (d *disk) image() string { return filepath.Join(d.images, fmt.Sprint("disk-", d.cuts)) }

func (d *disk) mount() { d.do("mount", "-o", "loop", d.image(), d.dir) }

func (d *disk) do(name string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// boot starts a logship on the machine as it is since its last start.
func (d *disk) boot() *program {
	d.t.Helper()
	id := filepath.Join(d.images, "boot_id")
	text := fmt.Sprintf("00000000-0000-4000-8000-%012d\n", d.cuts)
	if err := os.WriteFile(id, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		d.t.Fatal(err)
	}
	args := []string{"--mount", "sh", "-c", `mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"`, "sh", id, filepath.Join(bin, "logship")}
	return start(d.t, nil, unshare, append(args, d.args("run", "--admin-listen", "off", "--retry-max", "1s", "--request-timeout", "5s")...)...)
}

// lines appends the next ones to the log, and syncs nothing.
func (d *disk) lines(n int) {
	d.t.Helper()
	var text bytes.Buffer
	for range n {
		line := fmt.Sprintf("%s %07d %s", d.topic, len(d.ever), strings.Repeat("x", rand.N(80)))
		d.ever[line] = true
		text.WriteString(line + "\n")
	}
	f, err := os.OpenFile(d.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		_, err = text.WriteTo(f)
		_ = f.Close()
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// cut takes the power away: what is on the disk is what the kernel had written to it by
// then. The journal is replayed when it is mounted again.
func (d *disk) cut() {
	d.t.Helper()
	was := d.image()
	d.cuts++
	d.do("cp", "--sparse=always", was, d.image())
	d.do("umount", "--lazy", d.dir)
	d.mount()
}

// inLog is every line of the log's files, whole or not.
func (d *disk) inLog() []string {
	d.t.Helper()
	paths, err := filepath.Glob(d.log() + "*")
	if err != nil {
		d.t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			d.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

// A machine loses its power: what was written and not synced is gone from the log,
// though it may be in the topic, and the writer goes on with other lines in its place.
func TestPowerLossOnARealDisk(t *testing.T) {
	c := kafkatest.StartCluster(t, kafkatest.Kinds["single"])
	d := newDisk(t, c)
	gone := 0
	for round := range 8 {
		ship := d.boot()
		for range 1 + rand.N(4) {
			d.lines(200 + rand.N(1500))
			switch rand.N(4) {
			case 0:
				time.Sleep(rand.N(1500 * time.Millisecond)) // some of it is synced by then
			case 1:
				d.do("sync", "--file-system", d.dir) // the kernel does so of itself, later
				d.lines(200 + rand.N(1500))
			}
			if rand.N(4) == 0 {
				if err := os.Rename(d.log(), fmt.Sprintf("%s-202611%02d%05d", d.log(), round, len(d.ever)%100_000)); err != nil {
					t.Fatal(err)
				}
				d.lines(50)
			}
		}
		if rand.N(3) > 0 {
			d.await(len(d.ever) - gone - rand.N(100))
		}
		before := len(d.inLog())
		ship.kill()
		d.cut()
		lost := before - len(d.inLog())
		gone += lost
		t.Logf("power cut %d: %d lines were written, %d of them are lost since", d.cuts, len(d.ever), gone)
	}
	d.lines(100)
	ship := d.boot()
	want := d.inLog()
	var records []string
	eventually(t, "every line of the log in the topic", func() bool {
		records = nil
		seen := make(map[string]bool)
		for _, part := range kafkatest.Records(t, c.Addrs(), d.topic) {
			for _, r := range part {
				records = append(records, string(r.Value))
				seen[string(r.Value)] = true
			}
		}
		for _, line := range want {
			if !seen[line] {
				return false
			}
		}
		return true
	})
	ship.kill()
	times, doubled := make(map[string]int), 0
	for _, line := range records {
		if times[line]++; times[line] > 1 {
			doubled++
		}
	}
	if doubled > 0 {
		t.Errorf("%d lines are in the topic more than once", doubled)
	}
	kept := make(map[string]bool)
	for _, line := range want {
		kept[line] = true
	}
	only := 0
	for line := range times {
		switch {
		case kept[line]:
		case d.ever[line]:
			only++
		default:
			t.Errorf("%.60q is no line that was ever written", line)
		}
	}
	t.Logf("%d lines in the log, each once in the topic; %d in the topic are lost from the log", len(want), only)
	if only == 0 {
		t.Error("no line was lost that had been shipped: nothing was tested")
	}
}

// The state can't be stored while its disk is full, or has failed: lines go on as far as
// both slots allow, it is said, and all is well when the disk is.
func TestStateOnADiskThatFails(t *testing.T) {
	c := kafkatest.StartCluster(t, kafkatest.Kinds["single"])
	// wait until lines are held back, with a logship that says why.
	held := func(t *testing.T, d *disk, ship *program, says ...string) {
		t.Helper()
		d.write(20_000)
		eventually(t, "it to say so", func() bool {
			return slices.ContainsFunc(says, func(word string) bool { return strings.Contains(ship.stderr.String(), word) })
		})
		if metric(logshipAdmin, "logship_checkpoint_failures_total") < 1 {
			t.Error("no failure is counted")
		}
	}
	// Of the first lines far fewer are reserved.
	short := func(t *testing.T, d *disk) {
		t.Helper()
		if n := d.count(); n >= len(d.written) {
			t.Errorf("the topic has all %d lines, though nothing can be stored", n)
		}
	}
	start := func(t *testing.T) *disk {
		d := newDisk(t, c)
		// The log is on another disk.
		d.stateDir, d.dir = filepath.Join(d.dir, "state"), t.TempDir()
		d.write(200)
		return d
	}
	t.Run("full", func(t *testing.T) {
		d := start(t)
		ship := d.ship("--admin-listen", logshipAdmin)
		d.await(200)
		other := filepath.Join(filepath.Dir(d.stateDir), "other")
		fill := func() {
			f, err := os.Create(other)
			must(t, err)
			defer f.Close()
			for range 3 { // what was deleted just now is free after the journal's next commit
				for err == nil {
					_, err = f.Write(make([]byte, 4096))
				}
				for err = nil; err == nil; {
					_, err = f.Write([]byte{0})
				}
				d.do("sync", "--file-system", filepath.Dir(d.stateDir))
				err = nil
			}
		}
		fill()
		held(t, d, ship, "no space left on device")
		short(t, d)
		must(t, os.Remove(other))
		d.await(len(d.written)) // it goes on by itself
		fill()
		held(t, d, ship, "no space left on device")
		ship.kill()
		must(t, os.Remove(other))
		d.drain()
		d.check()
		if n := strings.Count(ship.stderr.String(), "no space left on device"); n > 4 {
			t.Errorf("it was said %d times", n)
		}
	})
	t.Run("failed", func(t *testing.T) {
		d := start(t)
		ship := d.ship("--admin-listen", logshipAdmin)
		d.await(200)
		mounted := filepath.Dir(d.stateDir)
		d.do("mount", "-o", "remount,abort", mounted) // as after an error of the device
		held(t, d, ship, "read-only file system", "input/output error")
		short(t, d)
		ship.kill()
		d.do("umount", "--lazy", mounted)
		d.do("mount", "-o", "loop", d.image(), mounted)
		d.drain()
		d.check()
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
