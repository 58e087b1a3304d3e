//go:build host

package packagetest

import (
	"strings"
	"testing"
	"time"

	"eventline/packaging/testhost"
)

// install puts packages on a host with apt, as its administrator would.
func install(t *testing.T, h *testhost.Host, version string, packages ...string) {
	t.Helper()
	command := []string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends", "--allow-downgrades", "--reinstall"}
	for _, name := range packages {
		to := "/root/" + version + "-" + name + ".deb"
		h.Put(pack(t, version, name, "deb"), to)
		command = append(command, to)
	}
	h.Run(command...)
}

func state(t *testing.T, h *testhost.Host, unit string) string {
	t.Helper()
	u := h.Unit(unit, "ActiveState", "UnitFileState", "LoadState")
	return u["LoadState"] + " " + u["UnitFileState"] + " " + u["ActiveState"]
}

func wantState(t *testing.T, h *testhost.Host, unit, want, when string) {
	t.Helper()
	if got := state(t, h, unit); got != want {
		t.Errorf("%s %s: is %q, want %q", unit, when, got, want)
	}
}

func TestDebAloneLivesAndLeavesNothing(t *testing.T) {
	h := testhost.Up(t, "deb", "10.88.0.21")
	before := h.Files()
	for _, name := range names {
		unit := units[name]
		install(t, h, "now", name)
		wantState(t, h, unit, "loaded enabled active", "after its first installation, with no Kafka")
		if name != "eventline" {
			h.Wait(10*time.Second, "systemctl show -P StatusText "+unit+" | grep .")
		}
		h.Run("apt-get", "remove", "--yes", name)
		h.Sh("test ! -e /usr/bin/" + name)
		if name != "eventline" {
			h.Sh("test -e /etc/" + name + "/" + name + ".yaml && id " + name)
		}
		install(t, h, "now", name)
		wantState(t, h, unit, "loaded enabled active", "when it comes back after a removal")
		h.Run("apt-get", "purge", "--yes", name)
		h.Run("dpkg", "--purge", name) // again
		wantState(t, h, unit, "not-found  inactive", "after purge")
		if left := leftOver(missing(h.Files(), before)); left != "" {
			t.Errorf("%s: after purge there is more than before:\n%s", name, left)
		}
		if out, code := h.Try("getent", "passwd", name); code == 0 {
			t.Errorf("%s: after purge its user is left: %s", name, out)
		}
	}
	if out, code := h.Try("getent", "group", "eventline"); code == 0 {
		t.Errorf("after purge of all the group is left: %s", out)
	}
}

// leftOver leaves out what dpkg, apt, man-db and systemd write about themselves.
func leftOver(lines string) string {
	var left strings.Builder
	for line := range strings.Lines(lines) {
		path := line[strings.Index(line, " /")+1:]
		own := false
		for _, prefix := range []string{
			"/var/lib/dpkg/", "/var/lib/apt/", "/var/log/apt", "/var/log/dpkg", "/var/log/alternatives", "/var/lib/systemd/", "/var/lib/logrotate",
			"/var/lib/private", "/var/lib/needrestart",
		} {
			own = own || strings.HasPrefix(path, prefix)
		}
		if !own {
			left.WriteString(line)
		}
	}
	return left.String()
}

func TestDebUpgradeRestartsOnlyWhatRunsAndKeepsEdits(t *testing.T) {
	h := testhost.Up(t, "debup", "10.88.0.22")
	install(t, h, "now", names...)
	for _, name := range names {
		wantState(t, h, units[name], "loaded enabled active", "after all were installed together")
	}
	h.Run("systemctl", "enable", "--now", "bucketer@2")
	h.Run("systemctl", "stop", "logship")
	h.Run("systemctl", "disable", "--now", "bucketer")
	edit := "rate: 7/s # edited"
	h.Sh("sed -i 's|^rate:.*|" + edit + "|' /etc/eventgen/eventgen.yaml && systemctl restart eventgen")
	pid := h.Unit("eventgen", "MainPID")["MainPID"]
	instance := h.Unit("bucketer@2", "MainPID")["MainPID"]

	install(t, h, "next", names...)
	wantState(t, h, "eventgen", "loaded enabled active", "after an upgrade while it ran")
	wantState(t, h, "logship", "loaded enabled inactive", "after an upgrade while it was stopped")
	wantState(t, h, "bucketer", "loaded disabled inactive", "after an upgrade while it was stopped and disabled")
	wantState(t, h, "bucketer@2", "loaded enabled active", "after an upgrade while it ran")
	if now := h.Unit("eventgen", "MainPID")["MainPID"]; now == pid {
		t.Error("eventgen after an upgrade: the old process still runs")
	}
	if now := h.Unit("bucketer@2", "MainPID")["MainPID"]; now == instance {
		t.Error("bucketer@2 after an upgrade: the old process still runs")
	}
	h.Sh("grep -q '" + edit + "' /etc/eventgen/eventgen.yaml && eventgen config | grep -q '^rate: 7/s'")

	install(t, h, "now", names...) // back
	wantState(t, h, "eventgen", "loaded enabled active", "after a downgrade while it ran")
	wantState(t, h, "logship", "loaded enabled inactive", "after a downgrade while it was stopped")
	h.Sh("grep -q '" + edit + "' /etc/eventgen/eventgen.yaml")

	h.Run(append([]string{"apt-get", "remove", "--yes"}, names...)...)
	wantState(t, h, "eventgen", "masked masked inactive", "after a removal")
	h.Sh("grep -q '" + edit + "' /etc/eventgen/eventgen.yaml && test -d /var/lib/logship && test -s /var/log/eventline/events.log")
	h.Run(append([]string{"apt-get", "purge", "--yes"}, names...)...)
	h.Sh("for u in eventgen logship bucketer; do ! id $u || exit 1; done; ! getent group eventline; test ! -e /etc/eventgen; test ! -e /var/lib/logship; test ! -e /var/log/eventline")
}

func TestDebHealsWhatWasInterruptedOrDeleted(t *testing.T) {
	h := testhost.Up(t, "debheal", "10.88.0.24")
	h.Put(pack(t, "now", "logship", "deb"), "/root/logship.deb")
	h.Run("dpkg", "--unpack", "/root/logship.deb")
	h.Run("dpkg", "--configure", "--pending")
	wantState(t, h, "logship", "loaded enabled active", "after it was unpacked and configured later")
	h.Run("rm", "/etc/logship/logship.yaml")
	h.Run("dpkg", "--force-confmiss", "--install", "/root/logship.deb")
	h.Sh("stat -c '%U:%G %a' /etc/logship/logship.yaml | grep -x 'root:logship 640'; systemctl restart logship")
	h.Sh("systemctl stop logship; echo 'topic: [' >/etc/logship/logship.yaml")
	h.Run("dpkg", "--install", "/root/logship.deb") // a daemon that can't start is no broken package
	h.Run("dpkg", "--purge", "logship")
	if out := h.Run("systemctl", "list-units", "--failed", "--plain", "--no-legend"); out != "" {
		t.Errorf("after purge systemd still knows a failed unit: %s", out)
	}
}

func TestDebObeysPolicy(t *testing.T) {
	h := testhost.Up(t, "debpol", "10.88.0.23")
	h.Sh("printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d")
	install(t, h, "now", "logship")
	wantState(t, h, "logship", "loaded enabled inactive", "after an installation that policy forbids to start things")

	h.Run("rm", "/usr/sbin/policy-rc.d")

	// A group that two packages share stays until its last user goes.
	install(t, h, "now", "eventgen")
	install(t, h, "now", "eventline")
	h.Run("dpkg", "--purge", "eventline") // which has the group's name, and no part in it
	h.Sh("getent group eventline | grep -q eventgen && systemctl restart eventgen logship && systemctl -q is-active eventgen logship")
	h.Run("dpkg", "--purge", "eventgen")
	h.Sh("getent group eventline | grep -q logship")
	h.Run("dpkg", "--purge", "logship")
	h.Sh("! getent group eventline")
}
