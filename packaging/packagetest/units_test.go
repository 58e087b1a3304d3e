//go:build host

package packagetest

import (
	"testing"
	"time"

	"eventline/packaging/testhost"
)

// daemonsHost has the three daemons installed and running, and no Kafka.
func daemonsHost(t *testing.T, name, ip string) *testhost.Host {
	t.Helper()
	h := testhost.Up(t, name, ip)
	install(t, h, "now", names...)
	return h
}

func TestUnitsRunWithoutKafkaAndSayWhatTheyWaitFor(t *testing.T) {
	h := daemonsHost(t, "wait", "10.88.0.41")
	h.Run("systemd-analyze", "verify", "eventgen.service", "logship.service", "bucketer.service", "bucketer@1.service", "eventline.target")
	h.Wait(20*time.Second, "systemctl show -P StatusText logship | grep -i kafka")
	h.Wait(20*time.Second, "systemctl show -P StatusText bucketer | grep -i kafka")
	h.Wait(20*time.Second, "systemctl show -P StatusText eventgen | grep -E '5(\\.0)?/s|events'")
	if out, _ := h.Try("journalctl", "--quiet", "--boot", "--priority=err", "--output=cat", "_COMM=eventgen", "+", "_COMM=logship", "+", "_COMM=bucketer"); out != "" {
		t.Errorf("errors in the journal, with nothing wrong but a Kafka that is not there yet:\n%s", out)
	}
	// Native fields, not text that was parsed.
	h.Sh("journalctl -q -b -u logship -p warning -o json | jq -es 'length > 0 and all(.[]; .SYSLOG_IDENTIFIER == \"logship\" and (.ERR // .BROKERS // .TOPIC) != null)'")
	h.Sh("stat -c '%U:%G %a' /var/log/eventline /var/log/eventline/events.log | tr '\\n' ' ' | grep -x 'eventgen:eventline 750 eventgen:eventline 640 '")
	h.Sh("stat -c '%U %a' /var/lib/logship | grep -x 'logship 700'")
	for _, name := range daemons {
		h.Sh("stat -c '%U:%G %a' /etc/" + name + "/" + name + ".yaml | grep -x 'root:" + name + " 640'")
		pid := h.Unit(name, "MainPID")["MainPID"]
		h.Sh("grep -q 'NoNewPrivs:.1' /proc/" + pid + "/status && grep -q 'Seccomp:.2' /proc/" + pid + "/status && stat -c %U /proc/" + pid + " | grep -x " + name)
		u := h.Unit(name, "MemoryMax", "TasksMax")
		if u["MemoryMax"] == "infinity" || u["TasksMax"] != "64" {
			t.Errorf("%s: limits are %v", name, u)
		}
	}
	// What the sandbox must not take: figures that a person wants.
	out, code := h.Try("eventline", "status", "--json")
	if code != 3 {
		t.Errorf("eventline status with no Kafka: exit code %d, want 3\n%s", code, out)
	}
	h.Sh(`(eventline status --json || :) | jq -e 'length == 3 and all(.[]; .uptime_seconds != null and .memory_bytes > 1e6 and .open_files > 0 and .restarts == 0)'`)
}

func TestKilledUnitsComeBackAndStoppedOnesStop(t *testing.T) {
	h := daemonsHost(t, "kill", "10.88.0.42")
	for _, name := range daemons {
		pid := h.Unit(name, "MainPID")["MainPID"]
		h.Run("kill", "-9", pid)
		h.Wait(20*time.Second, "p=$(systemctl show -P MainPID "+name+"); [ $p != 0 ] && [ $p != "+pid+" ] && systemctl -q is-active "+name)
		if n := h.Unit(name, "NRestarts")["NRestarts"]; n != "1" {
			t.Errorf("%s after kill -9: restarted %s times, want 1", name, n)
		}
		h.Run("kill", "-TERM", h.Unit(name, "MainPID")["MainPID"])
		h.Wait(40*time.Second, "systemctl show -P ActiveState "+name+" | grep -x inactive")
		if u := h.Unit(name, "Result", "ExecMainStatus"); u["Result"] != "success" || u["ExecMainStatus"] != "0" {
			t.Errorf("%s after SIGTERM: got %v, want success and 0", name, u)
		}
		h.Run("systemctl", "start", name)
	}
	h.Run("systemctl", "stop", "eventline.target")
	for _, name := range daemons {
		// The command waits for the target only.
		h.Wait(45*time.Second, "systemctl show -P ActiveState "+name+" | grep -x inactive")
		if r := h.Unit(name, "Result")["Result"]; r != "success" {
			t.Errorf("%s after a stop of the target: result %s", name, r)
		}
	}
	h.Run("systemctl", "start", "eventline.target")
	h.Run("systemctl", "disable", "bucketer")
	h.Reboot()
	wantState(t, h, "eventgen", "loaded enabled active", "after a reboot")
	wantState(t, h, "logship", "loaded enabled active", "after a reboot")
	wantState(t, h, "bucketer", "loaded disabled inactive", "after a reboot")
}

func TestSettingsThatAreWrongDoNotLoopAUnit(t *testing.T) {
	h := daemonsHost(t, "bad", "10.88.0.43")
	for name, wrong := range map[string]string{"eventgen": "rate: fast", "logship": "brokers: nowhere:x", "bucketer": "topicc: events"} {
		file := "/etc/" + name + "/" + name + ".yaml"
		h.Sh("cp -a " + file + " /root/good && echo '" + wrong + "' >" + file)
		if out, code := h.Try("systemctl", "restart", name); code == 0 {
			t.Errorf("%s with %q: the start succeeds: %s", name, wrong, out)
		}
		h.Wait(10*time.Second, "systemctl show -P ActiveState "+name+" | grep -x failed")
		if u := h.Unit(name, "NRestarts", "ExecMainStatus"); u["NRestarts"] != "0" || u["ExecMainStatus"] != "78" {
			t.Errorf("%s with %q: got %v, want no restart and 78", name, wrong, u)
		}
		h.Sh("journalctl -q -b -u " + name + " -p err -o cat | grep -F '" + file + ":1'")
		h.Sh("cp -a /root/good " + file + " && systemctl start " + name)
		wantState(t, h, name, "loaded enabled active", "when its settings were mended")
	}
	// A port that another holds.
	h.Sh("systemctl stop eventgen; systemd-run -q --unit=holder python3 -m http.server --bind 127.0.0.1 9461")
	h.Wait(10*time.Second, "ss -Hltn | grep -q :9461")
	h.Try("systemctl", "--no-block", "start", "eventgen")
	h.Wait(20*time.Second, "journalctl -q -b -u eventgen -p err -o cat | grep '9461'")
	h.Run("systemctl", "stop", "holder")
	h.Wait(20*time.Second, "systemctl start eventgen && systemctl -q is-active eventgen")
}

func TestLogrotateLosesNothing(t *testing.T) {
	h := daemonsHost(t, "rotate", "10.88.0.44")
	h.Sh("echo EVENTGEN_RATE=2000 >>/etc/default/eventgen && systemctl restart eventgen")
	for range 5 {
		h.Wait(10*time.Second, "test -s /var/log/eventline/events.log")
		h.Run("logrotate", "--force", "/etc/logrotate.d/eventgen")
	}
	h.Wait(10*time.Second, "test -s /var/log/eventline/events.log")
	h.Run("systemctl", "stop", "eventgen")
	// Each process says at its end how many events it wrote.
	written := h.Sh(`journalctl -q -b -u eventgen -o json | jq -rs 'map(.EVENTS // empty | tonumber) | add'`)
	if lines := h.Sh("cat /var/log/eventline/events.log* | sort | uniq | wc -l"); lines != written {
		t.Errorf("5 rotations: %s different lines in the log and its rotated files, %s written", lines, written)
	}
	if files := h.Sh("ls /var/log/eventline | wc -l"); files != "6" {
		t.Errorf("5 rotations: %s files, want 6", files)
	}
	if n := h.Unit("eventgen", "NRestarts")["NRestarts"]; n != "0" {
		t.Errorf("5 rotations: eventgen was restarted %s times", n)
	}
}
