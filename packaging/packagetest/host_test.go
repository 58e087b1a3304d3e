//go:build host

package packagetest

import (
	"testing"

	"eventline/packaging/testhost"
)

// What a test host is worth: limits that systemd accepts and the kernel does not
// hold would make every test of the units' sandbox true.
func TestHostsHoldTheLimitsThatUnitsAskFor(t *testing.T) {
	h := testhost.Up(t, "one", "10.88.0.51")
	other := testhost.Up(t, "two", "10.88.0.52")

	run := func(command string, properties ...string) int {
		t.Helper()
		args := []string{"systemd-run", "--quiet", "--wait"}
		for _, p := range properties {
			args = append(args, "--property="+p)
		}
		_, code := h.Try(append(args, "python3", "-c", command)...)
		return code
	}
	const hog = "x = bytearray(200 << 20)"
	if code := run(hog); code != 0 {
		t.Errorf("200 MB without a limit: exit code %d", code)
	}
	if code := run(hog, "MemoryMax=40M"); code == 0 {
		t.Error("200 MB under MemoryMax=40M: the process lives")
	}
	const forks = "import threading, time\nfor _ in range(30): threading.Thread(target=time.sleep, args=(1,)).start()"
	if code := run(forks); code != 0 {
		t.Errorf("30 threads without a limit: exit code %d", code)
	}
	if code := run(forks, "TasksMax=8"); code == 0 {
		t.Error("30 threads under TasksMax=8: all were started")
	}
	connect := "import socket; socket.create_connection(('" + other.IP + "', 22), timeout=5)"
	if code := run(connect); code != 0 {
		t.Errorf("a connection to the other host: exit code %d", code)
	}
	if code := run(connect, "IPAddressDeny=any", "IPAddressAllow=localhost"); code == 0 {
		t.Error("a connection to the other host under IPAddressDeny=any: it is made")
	}
	if code := run(connect, "IPAddressDeny=any", "IPAddressAllow="+other.IP); code != 0 {
		t.Errorf("a connection to the other host, which IPAddressAllow= names: exit code %d", code)
	}
	// No way out: only the hosts' network is there.
	if code := run("import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"); code == 0 {
		t.Error("a connection to an address outside: it is made")
	}
}
