package logship

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"eventline/internal/kafka/kafkatest"
)

// limitEnv is how many descriptors a child may have.
const limitEnv = "LOGSHIP_TEST_DESCRIPTORS"

// limitDescriptors does what the variable says.
func limitDescriptors() {
	n, err := strconv.ParseUint(os.Getenv(limitEnv), 10, 64)
	if err != nil {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}

// More logs than descriptors: those that can't be opened wait, which is said, and
// have their turn when others are gone. The process keeps enough descriptors for
// itself to send and to store.
func TestTwoHundredLogsWithAHundredDescriptors(t *testing.T) {
	const logs, lines = 200, 20
	k := fakeBroker(t)
	l := newLogs(t, k.Addr, "*.log")
	want := make(map[string]int)
	for i := range logs {
		name := fmt.Sprintf("%03d.log", i)
		l.add(name, 0, lines)
		want[name] = lines
	}
	t.Setenv(limitEnv, "100")
	c := l.child()
	// A log whose lines have all come is removed, which lets its descriptor go.
	removed := make(map[string]bool)
	for len(removed) < logs {
		before := len(removed)
		kafkatest.WaitFor(t, "lines of another log", func() bool {
			counts := make(map[string]int)
			for _, v := range kafkatest.Values(t, k.Addr, "events", 0) {
				name, _, _ := strings.Cut(v, "|")
				counts[name]++
			}
			for name, n := range counts {
				if n == lines && !removed[name] {
					removed[name] = true
					l.must(os.Remove(l.path(name)))
				}
			}
			return len(removed) > before
		})
	}
	l.wants(k, want)
	c.kill()
	if !strings.Contains(c.out.String(), "too many open files") {
		t.Error("it was never said that descriptors are short")
	}
}
