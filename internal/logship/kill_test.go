package logship

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
)

// childEnv makes the test binary be logship, with the arguments it holds.
const childEnv = "LOGSHIP_TEST_ARGS"

// child is logship in a process of its own, to be killed.
type child struct {
	cmd *exec.Cmd
	out strings.Builder
}

func (r *rig) child(extra ...string) *child {
	r.t.Helper()
	args := append([]string{
		"run", "--path", strings.Join(r.cfg.Paths, ","), "--state-dir", r.cfg.StateDir, "--brokers", r.cfg.Brokers[0],
		"--retry-initial", "20ms", "--retry-max", "200ms", "--admin-listen", admin.Off, "--log-format", "json",
	}, extra...)
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "\x1f"))
	c.cmd.Stderr = &c.out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		c.kill()
		if r.t.Failed() {
			r.t.Logf("logship said: %s", c.out.String()) // only now does nobody write it
		}
	})
	return c
}

// beLogship is what a child does instead of running tests.
func beLogship(args string) {
	os.Args = append([]string{"logship"}, strings.Split(args, "\x1f")...)
	daemon.Main(Command())
}

func (c *child) kill() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() }

// writer writes numbered lines and rotates at random, in the background.
type writer struct {
	rig    *rig
	stop   chan struct{}
	wait   sync.WaitGroup
	lines  int
	rotate time.Duration
}

func (r *rig) writing(rotate time.Duration) *writer {
	w := &writer{rig: r, stop: make(chan struct{}), rotate: rotate}
	w.wait.Go(w.run)
	return w
}

func (w *writer) run() {
	f, err := os.OpenFile(w.rig.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		w.rig.t.Error(err)
		return
	}
	rotated, due := 0, time.Now().Add(w.rotate)
	for {
		if _, err := f.WriteString(numbered(w.lines, w.lines+20)); err != nil {
			w.rig.t.Error(err)
		}
		w.lines += 20
		select {
		case <-w.stop:
			_ = f.Close()
			return
		case <-time.After(time.Millisecond): // 20,000 lines/s
		}
		if time.Now().After(due) {
			rotated++
			due = time.Now().Add(w.rotate)
			w.rig.rename(w.rig.log(), fmt.Sprintf("%s.%d", w.rig.log(), rotated))
			_ = f.Close()
			if f, err = os.OpenFile(w.rig.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
				w.rig.t.Error(err)
				return
			}
		}
	}
}

func (w *writer) end() int {
	close(w.stop)
	w.wait.Wait()
	return w.lines
}

// once is how often each line is in the topic.
func counted(t *testing.T, k *kafkatest.Fake) map[string]int {
	t.Helper()
	times := make(map[string]int)
	for _, recs := range kafkatest.Records(t, k.Addr, "events") {
		for _, rec := range recs {
			times[string(rec.Value)]++
		}
	}
	return times
}

func TestRotationAtSpeedLosesAndRepeatsNothing(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.start()
	w := r.writing(50 * time.Millisecond)
	kafkatest.WaitFor(t, "50,000 records", func() bool { return len(counted(t, k)) >= 50_000 })
	n := w.end()
	wantLines(t, values(t, k, n), numbered(0, n))
}

// kill -9 at any moment, while the log is written and rotated: each line is in the
// topic once, and in order.
func TestKilledLogshipLosesAndRepeatsNothing(t *testing.T) {
	const kills = 6
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	w := r.writing(100 * time.Millisecond)
	for range kills {
		c := r.child()
		before := len(counted(t, k))
		kafkatest.WaitFor(t, "the next lines", func() bool { return len(counted(t, k)) > before+1000 })
		time.Sleep(rand.N(1500 * time.Millisecond)) // before and after the position was stored
		c.kill()
		time.Sleep(rand.N(200 * time.Millisecond)) // rotations while it is down
	}
	n := w.end()
	r.once()
	wantLines(t, values(t, k, n), numbered(0, n))
}

func TestSecondProcessOnOneStateExits78(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.start()
	c := r.child()
	err := c.cmd.Wait()
	if code := c.cmd.ProcessState.ExitCode(); code != 78 || !strings.Contains(c.out.String(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("second logship: got exit %d, %v, saying %q; want 78 and pid %d", code, err, c.out.String(), os.Getpid())
	}
}
