//go:build host

package packagetest

import (
	"strings"
	"testing"

	"eventline/packaging/testhost"
)

// rpmHost is a Debian host with the real rpm and dnf, made to look as Fedora's
// family does to our packages: units are disabled unless a preset says otherwise,
// and a stub package says that what Debian has is there.
func rpmHost(t *testing.T, name, ip string) *testhost.Host {
	t.Helper()
	h := testhost.Up(t, name, ip)
	h.Sh("mkdir -p /usr/lib/systemd/system-preset; echo 'disable *' >/usr/lib/systemd/system-preset/99-default-disable.preset")
	h.Put(built(t, "stub", "*.rpm")[0], "/root/stub.rpm")
	h.Run("rpm", "--install", "/root/stub.rpm")
	return h
}

func dnf(t *testing.T, h *testhost.Host, verb, version string, packages ...string) {
	t.Helper()
	command := []string{"dnf", "--assumeyes", "--quiet", "--disablerepo=*", "--releasever=9", "--setopt=module_platform_id=platform:el9", "--nogpgcheck", verb}
	for _, name := range packages {
		if version == "" {
			command = append(command, name)
			continue
		}
		to := "/root/" + version + "-" + name + ".rpm"
		h.Put(pack(t, version, name, "rpm"), to)
		command = append(command, to)
	}
	h.Run(command...)
}

func TestRpmAloneLivesByItsFamilysRules(t *testing.T) {
	h := rpmHost(t, "rpm", "10.88.0.31")
	for _, name := range names {
		unit := units[name]
		dnf(t, h, "install", "now", name)
		wantState(t, h, unit, "loaded disabled inactive", "after its first installation: presets decide")
		h.Run("systemctl", "enable", "--now", unit)
		wantState(t, h, unit, "loaded enabled active", "when it was enabled")
		dnf(t, h, "reinstall", "now", name)
		wantState(t, h, unit, "loaded enabled active", "after a reinstallation")
		h.Run("rpm", "--erase", name)
		wantState(t, h, unit, "not-found  inactive", "after it was erased")
		if out := h.Sh("rpm -ql " + name + " 2>&1 || :; find /usr /etc -name '*" + name + "*' -not -path '*/man/*' -not -name '*.rpmsave'"); strings.Contains(out, "/usr/bin/"+name) {
			t.Errorf("%s: after it was erased there is\n%s", name, out)
		}
	}
}

func TestRpmUpgradeRestartsOnlyWhatRunsAndKeepsEdits(t *testing.T) {
	h := rpmHost(t, "rpmup", "10.88.0.32")
	dnf(t, h, "install", "now", names...)
	h.Run("systemctl", "enable", "--now", "eventgen", "bucketer@2")
	h.Run("systemctl", "enable", "logship")
	edit := "rate: 7/s # edited"
	h.Sh("sed -i 's|^rate:.*|" + edit + "|' /etc/eventgen/eventgen.yaml && systemctl restart eventgen")
	pid := h.Unit("eventgen", "MainPID")["MainPID"]
	instance := h.Unit("bucketer@2", "MainPID")["MainPID"]

	dnf(t, h, "upgrade", "next", names...)
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
	h.Sh("grep -q '" + edit + "' /etc/eventgen/eventgen.yaml")

	dnf(t, h, "downgrade", "now", names...)
	wantState(t, h, "eventgen", "loaded enabled active", "after a downgrade while it ran")
	wantState(t, h, "logship", "loaded enabled inactive", "after a downgrade while it was stopped")

	dnf(t, h, "remove", "", names...)
	wantState(t, h, "eventgen", "not-found  inactive", "after it was removed")
	h.Sh("grep -q '" + edit + "' /etc/eventgen/eventgen.yaml.rpmsave && id eventgen && test -s /var/log/eventline/events.log")
}
