//go:build kafka

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"eventline/internal/kafka/kafkatest"
)

// events is how many numbered events go through the pipeline while its parts die.
const events = 100_000

// pipeline is the three daemons on one Kafka, each of which can be killed and
// started again with the same arguments.
type pipeline struct {
	t       *testing.T
	dir     string
	brokers string
	lines   *os.File // bucketer's standard output, through all its lives
}

const (
	eventgenAdmin = "127.0.0.1:19461"
	logshipAdmin  = "127.0.0.1:19462"
	bucketerAdmin = "127.0.0.1:19463"
)

func (p *pipeline) log() string { return filepath.Join(p.dir, "events.log") }

func (p *pipeline) eventgen() *program {
	return start(p.t, nil, "eventgen", "run", "--path", p.log(), "--rate", "4k", "--count", fmt.Sprint(events), "--seed", "7", "--admin-listen", eventgenAdmin)
}

func (p *pipeline) logship() *program {
	return start(p.t, nil, "logship", "run", "--path", p.log(), "--brokers", p.brokers, "--state-dir", filepath.Join(p.dir, "logship"), "--admin-listen", logshipAdmin)
}

func (p *pipeline) bucketer() *program {
	return startTo(p.t, nil, p.lines, "bucketer", "run", "--brokers", p.brokers, "--print", "all", "--admin-listen", bucketerAdmin)
}

// TestNothingIsMissingThroughDeathsOfEveryPart is judged by kcat: every line of
// the file must be in the topic, and bucketer must have printed every offset.
func TestNothingIsMissingThroughDeathsOfEveryPart(t *testing.T) {
	k := kafkatest.StartReal(t)
	p := &pipeline{t: t, dir: t.TempDir(), brokers: k.Addr()}
	var err error
	if p.lines, err = os.Create(filepath.Join(p.dir, "lines")); err != nil {
		t.Fatal(err)
	}
	defer p.lines.Close()
	if code, stdout, stderr := run(t, nil, "eventline", "topics", "create", "--brokers", p.brokers); code != 0 {
		t.Fatalf("topics create: exit %d, %s%s", code, stdout, stderr)
	}
	ship, bucket := p.logship(), p.bucketer()
	gen := p.eventgen()
	eventually(t, "the first lines", func() bool { return countLines(p.log()) > 0 })
	promtool(t, "eventgen", eventgenAdmin) // while it runs
	for _, death := range []struct {
		at  int // lines written
		of  string
		run func()
	}{
		{10_000, "logship", func() { ship.kill(); ship = p.logship() }},
		{20_000, "the broker", func() { k.KillBroker(t); k.StartBroker(t) }},
		{35_000, "bucketer", func() { bucket.kill(); bucket = p.bucketer() }},
		{45_000, "ZooKeeper", func() { k.KillZooKeeper(t); k.StartZooKeeper(t) }},
		{60_000, "the broker", func() { k.KillBroker(t); k.StartBroker(t) }},
		{75_000, "logship", func() { ship.kill(); ship = p.logship() }},
		{85_000, "bucketer", func() { bucket.kill(); bucket = p.bucketer() }},
	} {
		eventually(t, fmt.Sprintf("%d lines", death.at), func() bool { return countLines(p.log()) >= death.at })
		t.Logf("kill -9 of %s at %d lines", death.of, countLines(p.log()))
		death.run()
	}
	if code := gen.wait(); code != 0 && code != 3 {
		t.Fatalf("eventgen: exit %d", code)
	}
	if n := countLines(p.log()); n != events {
		t.Fatalf("the file has %d lines, want %d", n, events)
	}
	eventually(t, "logship has shipped everything", func() bool {
		return metric(logshipAdmin, "logship_unread_bytes") == 0 && metric(logshipAdmin, "logship_unacked_lines") == 0
	})
	values := kcat(t, p.brokers)
	judge(t, p.log(), values)
	eventually(t, "bucketer has read everything", func() bool {
		return countLines(p.lines.Name()) >= len(values) && metric(bucketerAdmin, "bucketer_consumer_lag_records") == 0
	})
	promtool(t, "logship", logshipAdmin)
	promtool(t, "bucketer", bucketerAdmin)
	bucket.signal(syscall.SIGTERM)
	ship.signal(syscall.SIGTERM)
	if a, b := bucket.wait(), ship.wait(); a != 0 || b != 0 {
		t.Errorf("SIGTERM: got exit %d of bucketer and %d of logship, want 0", a, b)
	}
	everyOffset(t, p.lines.Name(), len(values))
}

// promtool lets Prometheus's own tool judge a page of metrics.
func promtool(t *testing.T, name, addr string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer resp.Body.Close()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: promtool check metrics: %v\n%s", name, err, out)
	}
}

// kcat reads all values of the topic with a client that is not ours.
func kcat(t *testing.T, brokers string) []string {
	t.Helper()
	cmd := exec.Command("kcat", "-C", "-e", "-q", "-b", brokers, "-t", "events", "-o", "beginning")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat: %v: %s", err, &stderr)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// judge compares the topic with the file: each line once, and in the same order.
func judge(t *testing.T, log string, values []string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	t.Logf("kcat: %d records of %d lines", len(values), len(lines))
	for i, v := range values {
		if i >= len(lines) || v != lines[i] {
			times := make(map[string]int, len(values))
			for _, v := range values {
				times[v]++
			}
			missing := 0
			for _, line := range lines {
				if times[line] == 0 {
					missing++
				}
			}
			t.Fatalf("record %d is not the file's line; %d lines are missing, %d records are too many", i, missing, len(values)-len(lines)+missing)
		}
	}
	if len(values) < len(lines) {
		t.Fatalf("the last %d lines are missing", len(lines)-len(values))
	}
}

// everyOffset checks that bucketer's lines leave out no offset.
func everyOffset(t *testing.T, path string, records int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]int, records)
	again := 0
	for _, offset := range offsets(string(data)) {
		if offset >= records {
			t.Fatalf("bucketer printed offset %d of %d records", offset, records)
		}
		if seen[offset]++; seen[offset] > 1 {
			again++
		}
	}
	for offset, n := range seen {
		if n == 0 {
			t.Fatalf("bucketer left out offset %d", offset)
		}
	}
	t.Logf("bucketer: every one of %d offsets, %d printed again after kill -9", records, again)
}

// metric reads a counter or gauge from an admin port; -1 if it can't.
func metric(addr, name string) float64 {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return -1
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(body)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); !ok || base != name {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum, found = sum+v, true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// countLines counts the line breaks of a file; 0 if it is not there.
func countLines(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return bytes.Count(data, []byte{'\n'})
}
