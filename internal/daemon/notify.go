package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager what state the daemon is in, by
// sd_notify(3). A nil Notifier tells nobody. It is safe for concurrent use.
//
// Its seam to what comes with the units (reloading, watchdog) is notify, which
// sends any set of assignments in one message.
type Notifier struct {
	send func(state string)

	mu       sync.Mutex
	ready    bool
	stopping bool
	status   string
}

// Systemd returns the notifier of a process that systemd may have started; it
// does nothing where $NOTIFY_SOCKET is not set.
func Systemd() *Notifier {
	return NewNotifier(func(state string) {
		// An error means that systemd is not listening any more; there is nobody
		// to tell, and the daemon's work does not depend on it.
		_, _ = sd.SdNotify(false, state)
	})
}

// NewNotifier returns a notifier that hands its messages, lines of NAME=value,
// to send.
func NewNotifier(send func(state string)) *Notifier { return &Notifier{send: send} }

// Ready says, once, that the daemon does its work or waits for what it needs:
// the file or the broker may not be there yet. status is as in Status.
func (n *Notifier) Ready(status string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ready {
		n.statusLocked(status)
		return
	}
	n.ready, n.status = true, status
	n.notify(sd.SdNotifyReady, "STATUS="+status)
}

// Status says in one line what the daemon is doing; `systemctl status` shows
// it. A status that is the same as the last is not sent again.
func (n *Notifier) Status(status string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.statusLocked(status)
}

func (n *Notifier) statusLocked(status string) {
	if status == n.status {
		return
	}
	n.status = status
	n.notify("STATUS=" + status)
}

// Tell sends a status every so often until ctx is done; it blocks. count is what
// the daemon has done so far, and text makes a line of what came since the last
// one; an empty line leaves the status as it is.
func (n *Notifier) Tell(ctx context.Context, every time.Duration, count func() uint64, text func(done uint64, took time.Duration) string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	since, before := time.Now(), count()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, done := time.Now(), count()
		if line := text(done-before, now.Sub(since)); line != "" {
			n.Status(line)
		}
		since, before = now, done
	}
}

// Stopping says, once, that the daemon is ending; with a status, what is left.
func (n *Notifier) Stopping(status string) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var assignments []string
	if !n.stopping {
		assignments = append(assignments, sd.SdNotifyStopping)
	}
	if status != "" && status != n.status {
		assignments = append(assignments, "STATUS="+status)
		n.status = status
	}
	n.stopping = true
	if len(assignments) > 0 {
		n.notify(assignments...)
	}
}

// Bytes writes a number of bytes for people, in a status or a table.
func Bytes(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if v >= u.size {
			return fmt.Sprintf("%.1f %s", v/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f B", v)
}

func (n *Notifier) notify(assignments ...string) { n.send(strings.Join(assignments, "\n")) }
