//go:build host

package sitetest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"eventline/packaging/testhost"
)

var daemons = []string{"eventgen", "logship", "bucketer"}

// The chapters of one host's life, in order: each begins where the last ended.
func TestBareHostBecomesAPipeline(t *testing.T) {
	h := testhost.Up(t, "server", hostIP)
	for _, chapter := range []struct {
		name string
		tell func(*testing.T, *testhost.Host)
	}{
		{"preflight names everything before anything is changed", preflight},
		{"check mode on a bare host", checkBare},
		{"from bare to running", fromBare},
		{"again changes nothing", again},
		{"the topic holds the log's lines", countsAgree},
		{"a person sees what goes on", looks},
		{"settings that are wrong never reach the host", wrongSettings},
		{"what an interrupted run left is restarted", interrupted},
		{"killed and stopped under load nothing is missing", underLoad},
		{"instances share the work", instances},
		{"reboot", reboot},
	} {
		if !t.Run(chapter.name, func(t *testing.T) { chapter.tell(t, h.For(t)) }) {
			break
		}
	}
}

func preflight(t *testing.T, h *testhost.Host) {
	before := h.Files()
	h.Sh("systemd-run -q --unit=holder python3 -m http.server --bind 127.0.0.1 9092")
	h.Wait(10*time.Second, "ss -Hltn | grep -q :9092")
	r := play(t, "-e", "kafka_min_free_mb=999999999 bucketer_instances=many", "-e", "java_package=openjdk-99-jre-headless java_home=/nowhere",
		"-e", "eventgen_rate=fast kafka_heap=lots logship_admin_listen=off", "-e", `{"kafka_resources_topics": [{"name": "ev ents"}]}`)
	if r.err == nil {
		t.Error("a port that is taken, no Java, no space, a wrong number: the playbook succeeds")
	}
	for _, want := range []string{"9092", "openjdk-99-jre-headless", "999999999", "bucketer_instances", `got "fast"`, `got "lots"`, `got "off"`, `got "ev ents"`} {
		if !strings.Contains(r.out, want) {
			t.Errorf("preflight does not name %s:\n%s", want, tailOf(r.out, 40))
		}
	}
	h.Sh("systemctl stop holder")
	if after := h.Files(); after != before {
		t.Errorf("preflight failed and changed the host's files, from\n%s\nto\n%s", before, after)
	}
}

func checkBare(t *testing.T, h *testhost.Host) {
	before := h.Files()
	play(t, "--check", "--diff").mustSucceed(t)
	if after := h.Files(); after != before {
		t.Errorf("check mode changed the host's files, from\n%s\nto\n%s", before, after)
	}
}

func fromBare(t *testing.T, h *testhost.Host) {
	play(t).mustSucceed(t)
	for _, unit := range append([]string{"zookeeper", "kafka", "eventline.target"}, daemons...) {
		if u := h.Unit(unit, "ActiveState", "UnitFileState", "NRestarts"); u["ActiveState"] != "active" || u["UnitFileState"] != "enabled" || u["NRestarts"] != "0" && u["NRestarts"] != "" {
			t.Errorf("%s after the first run: %v", unit, u)
		}
	}
	h.Sh("ls /opt/kafka/libs | grep -x kafka_2.13-3.6.2.jar; ls /opt/zookeeper/lib | grep -x zookeeper-3.9.5.jar")
}

func again(t *testing.T, h *testhost.Host) {
	if r := play(t).mustSucceed(t); r.changed != 0 {
		t.Errorf("second run: changed=%d, want 0\n%s", r.changed, r.out)
	}
	if r := play(t, "--check", "--diff").mustSucceed(t); r.changed != 0 {
		t.Errorf("--check --diff after it: changed=%d, want 0\n%s", r.changed, r.out)
	}
}

// lines returns how many lines the log and its rotated files hold.
func lines(t *testing.T, h *testhost.Host) int {
	t.Helper()
	return number(t, h.Sh("cat /var/log/eventline/events.log* | wc -l"))
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const consume = "kcat -C -b 127.0.0.1:9092 -t events -o beginning -e -q"

// caughtUp waits until logship has shipped the log to its end.
func caughtUp(h *testhost.Host) {
	h.Wait(time.Minute, `(eventline status --json || :) | jq -e '.[] | select(.daemon == "logship") | .state == "ready" and .lag == 0 and (.rate == 0)'`)
}

func countsAgree(t *testing.T, h *testhost.Host) {
	h.Wait(time.Minute, "test $(cat /var/log/eventline/events.log | wc -l) -gt 50")
	h.Run("systemctl", "stop", "eventgen")
	caughtUp(h)
	if want, got := lines(t, h), number(t, h.Sh(consume+" | wc -l")); got != want {
		t.Errorf("kcat counts %d messages, the log has %d lines", got, want)
	}
	h.Sh("diff <(cat /var/log/eventline/events.log) <(" + consume + ")")
	h.Run("systemctl", "start", "eventgen")
}

func looks(t *testing.T, h *testhost.Host) {
	for _, name := range daemons {
		h.Wait(20*time.Second, "systemctl show -P StatusText "+name+" | grep '/s'")
	}
	for _, name := range daemons {
		out := h.Run("systemctl", "status", "--no-pager", "--lines=3", name)
		fmt.Println(out)
		if !strings.Contains(out, "Status: \"") {
			t.Errorf("systemctl status %s: no status line\n%s", name, out)
		}
	}
	fmt.Println(h.Run("journalctl", "--no-pager", "--boot", "--unit=logship", "--lines=12"))
	fmt.Println(h.Run("eventline", "status"))
	h.Sh(`journalctl -q -b -u bucketer BUCKET=low -n 1 -o cat | grep -E '^offset=[0-9]+ key=None bucket=low event_id=[0-9a-f-]{36} price=[0-9.]+$'`)
	ours := []string{"--quiet", "--no-pager", "--boot", "--priority=err"}
	for _, unit := range append([]string{"zookeeper", "kafka"}, daemons...) {
		ours = append(ours, "--unit="+unit)
	}
	if out := h.Run(append([]string{"journalctl"}, ours...)...); out != "" {
		t.Errorf("errors in the journal:\n%s", out)
	}
}

func wrongSettings(t *testing.T, h *testhost.Host) {
	before := h.Sh("sha256sum /etc/logship/logship.yaml; systemctl show -P MainPID logship")
	r := play(t, "--tags", "logship", "-e", `{"logship_settings": {"no_such_setting": 1}}`)
	if r.err == nil || !strings.Contains(r.out, "no_such_setting") {
		t.Errorf("a setting that logship does not know: want a failure that names it\n%s", tailOf(r.out, 30))
	}
	if after := h.Sh("sha256sum /etc/logship/logship.yaml; systemctl show -P MainPID logship"); after != before {
		t.Errorf("a setting that logship does not know reached the host: %s, was %s", after, before)
	}
}

// An interrupted run has changed the settings and not restarted what reads them;
// the next one finds nothing to change in them.
func interrupted(t *testing.T, h *testhost.Host) {
	pids := func() string { return h.Sh("systemctl show -P MainPID kafka zookeeper logship eventgen") }
	h.Sh(`sed -i "s/^rate: .*/rate: '9'/" /etc/eventgen/eventgen.yaml`)
	before := pids()
	if r := play(t, "--tags", "eventgen,logship,kafka", "-e", "eventgen_rate=9").mustSucceed(t); r.changed != 2 {
		t.Errorf("changed=%d, want 2: that it is stale, and its restart", r.changed)
	}
	h.Sh(`python3 -c "import urllib.request as u; assert b'eventgen_target_rate 9\\n' in u.urlopen('http://127.0.0.1:9461/metrics').read()"`)
	was, is := strings.Fields(before), strings.Fields(pids())
	for i, unit := range []string{"kafka", "zookeeper", "logship"} {
		if was[i] != is[i] {
			t.Errorf("%s was restarted, and nothing of it had changed", unit)
		}
	}
	if was[3] == is[3] {
		t.Error("eventgen was not restarted: it runs with other settings than its file has")
	}
}

func underLoad(t *testing.T, h *testhost.Host) {
	play(t, "--tags", "eventgen", "-e", "eventgen_rate=2000").mustSucceed(t)
	for _, name := range daemons {
		pid := h.Unit(name, "MainPID")["MainPID"]
		h.Run("kill", "-9", pid)
		h.Wait(20*time.Second, "p=$(systemctl show -P MainPID "+name+"); [ $p != 0 ] && [ $p != "+pid+" ] && systemctl -q is-active "+name)
		h.Run("kill", "-TERM", h.Unit(name, "MainPID")["MainPID"])
		h.Wait(40*time.Second, "systemctl show -P ActiveState "+name+" | grep -x inactive")
		h.Run("systemctl", "start", name)
		h.Run("systemctl", "restart", name)
		if r := h.Unit(name, "Result")["Result"]; r != "success" {
			t.Errorf("%s after a restart under load: result %s", name, r)
		}
	}
	h.Run("logrotate", "--force", "/etc/logrotate.d/eventgen")
	h.Run("systemctl", "restart", "kafka")
	h.Wait(time.Minute, "systemctl -q is-active kafka && eventline status")
	h.Run("systemctl", "stop", "eventgen")
	caughtUp(h)
	missing := h.Sh("comm -23 <(cat /var/log/eventline/events.log* | sort) <(" + consume + " | sort -u) | wc -l")
	again := number(t, h.Sh(consume+" | wc -l")) - lines(t, h)
	fmt.Printf("    under load: %d lines, %s missing, %d sent again\n", lines(t, h), missing, again)
	if missing != "0" || again != 0 {
		t.Errorf("%s lines of the log are not in the topic, %d are there again", missing, again)
	}
	h.Wait(time.Minute, `(eventline status --json || :) | jq -e '.[] | select(.daemon == "bucketer") | .lag == 0'`)
	h.Run("systemctl", "start", "eventgen")
}

func instances(t *testing.T, h *testhost.Host) {
	play(t, "--tags", "kafka_resources,bucketer", "-e", "bucketer_instances=3",
		"-e", `{"kafka_resources_topics": [{"name": "events", "partitions": 3}]}`).mustSucceed(t)
	// logship sees added partitions at its next start.
	h.Run("systemctl", "restart", "logship")
	h.Wait(time.Minute, `(eventline status --json || :) | jq -e '[.[] | select(.daemon | startswith("bucketer@")) | .partitions] | sort == [[0], [1], [2]]'`)
	h.Wait(time.Minute, `(eventline status --json || :) | jq -e '[.[] | select(.daemon | startswith("bucketer@")) | select(.state == "ready" and .rate > 0)] | length == 3'`)
	fmt.Println(h.Run("eventline", "status"))
	if u := h.Unit("bucketer.service", "ActiveState"); u["ActiveState"] != "inactive" {
		t.Errorf("bucketer.service beside its instances: %v", u)
	}
}

func reboot(t *testing.T, h *testhost.Host) {
	before := lines(t, h)
	h.Reboot()
	h.Wait(2*time.Minute, "eventline status")
	h.Wait(time.Minute, "test $(cat /var/log/eventline/events.log* | wc -l) -gt "+strconv.Itoa(before))
	started := func(unit string) int {
		return number(t, h.Unit(unit, "ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"])
	}
	if zk, k, ship := started("zookeeper"), started("kafka"), started("logship"); zk > k || k > ship {
		t.Errorf("after the reboot: zookeeper at %d µs, kafka at %d, logship at %d: not in order", zk, k, ship)
	}
	h.Run("systemctl", "stop", "eventgen")
	caughtUp(h)
	if missing := h.Sh("comm -23 <(cat /var/log/eventline/events.log* | sort) <(" + consume + " | sort -u) | wc -l"); missing != "0" {
		t.Errorf("after the reboot %s lines of the log are not in the topic", missing)
	}
	h.Run("systemctl", "start", "eventgen")
	if out := h.Run("journalctl", "--quiet", "--no-pager", "--boot", "--priority=err", "--unit=logship", "--unit=eventgen", "--unit=bucketer@1", "--unit=kafka", "--unit=zookeeper"); out != "" {
		t.Errorf("errors in the journal after the reboot:\n%s", out)
	}
}
