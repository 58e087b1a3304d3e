// Package testhost boots throwaway hosts for tests: real systemd in a container,
// by the script host beside this file. It needs root.
package testhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// commandTime bounds one command in a host; what takes longer hangs.
const commandTime = 5 * time.Minute

// A Host is a booted host, powered off and forgotten when its test ends. When the
// test fails, its journal is printed first.
type Host struct {
	Name, IP string
	t        testing.TB
}

// Network gives this process's hosts a network of their own, unless TESTHOST_NS
// says which to use, and returns what takes it and all of its hosts away.
func Network(name string) (clean func()) {
	if os.Getenv("TESTHOST_NS") == "" {
		os.Setenv("TESTHOST_NS", name+"-"+strconv.Itoa(os.Getpid()))
	}
	return func() { _, _ = script("clean") }
}

// Up boots a host at an address of 10.88.0.0/24 and returns when its boot has
// ended, a few seconds later. The first call on a machine makes the base root,
// which takes half a minute.
func Up(t testing.TB, name, ip string) *Host {
	t.Helper()
	if out, err := script("up", name, ip); err != nil {
		t.Fatalf("host up %s: %v: %s", name, err, out)
	}
	h := &Host{Name: name, IP: ip, t: t}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := h.Try("journalctl", "--no-pager", "--boot", "--lines=40", "--output=short-precise")
			t.Logf("the end of %s's journal:\n%s", name, out)
		}
		if out, err := script("down", name); err != nil {
			t.Errorf("host down %s: %v: %s", name, err, out)
		}
	})
	return h
}

// For returns the host for a part of its test, which fails in its stead.
func (h *Host) For(t testing.TB) *Host { return &Host{Name: h.Name, IP: h.IP, t: t} }

// Bare returns a read-only root that has no systemd, for a chroot on an overlay.
func Bare(t testing.TB) string {
	t.Helper()
	out, err := script("bare")
	if err != nil {
		t.Fatalf("host bare: %v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

// Try runs a command as the host's root and returns what it printed, on both
// streams, and its exit code; -1 is one that did not end in time.
func (h *Host) Try(command ...string) (out string, code int) {
	out, err := script(append([]string{"sh", h.Name}, command...)...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out, 0
	case errors.As(err, &exit):
		return out, exit.ExitCode()
	}
	return out + err.Error(), -1
}

// Run is Try for a command that has to succeed; it returns what was printed
// without the white space around it.
func (h *Host) Run(command ...string) string {
	h.t.Helper()
	out, code := h.Try(command...)
	if code != 0 {
		h.t.Fatalf("%s: %s: exit code %d: %s", h.Name, strings.Join(command, " "), code, out)
	}
	return strings.TrimSpace(out)
}

// Sh runs a shell script that has to succeed.
func (h *Host) Sh(text string) string {
	h.t.Helper()
	return h.Run("bash", "-euo", "pipefail", "-c", text)
}

// Wait polls a shell condition until it holds.
func (h *Host) Wait(limit time.Duration, condition string) {
	h.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		out, code := h.Try("bash", "-uo", "pipefail", "-c", condition)
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: after %v still not: %s\n%s", h.Name, limit, condition, out)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Unit returns properties of a unit as systemctl shows them.
func (h *Host) Unit(unit string, properties ...string) map[string]string {
	h.t.Helper()
	values := make(map[string]string)
	for line := range strings.Lines(h.Run("systemctl", "show", "--property="+strings.Join(properties, ","), unit)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	return values
}

// Put copies a file of this machine into the host.
func (h *Host) Put(from, to string) {
	h.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write(to, string(data))
}

// Write makes a file in the host.
func (h *Host) Write(path, text string) {
	h.t.Helper()
	cmd := exec.Command(scriptPath(), "sh", h.Name, "tee", path)
	cmd.Stdin = strings.NewReader(text)
	cmd.Stdout = nil
	if err := cmd.Run(); err != nil {
		h.t.Fatalf("%s: write %s: %v", h.Name, path, err)
	}
}

// Reboot reboots the host and returns when it is up again.
func (h *Host) Reboot() {
	h.t.Helper()
	if out, err := script("reboot", h.Name); err != nil {
		h.t.Fatalf("host reboot %s: %v: %s", h.Name, err, out)
	}
}

// Files returns every path of the host's root file system but those that change
// on their own and apt's lists of packages, with type, owner and mode.
func (h *Host) Files() string {
	h.t.Helper()
	return h.Sh(`find / -xdev \( -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log/journal -o -path /var/cache -o -path /var/lib/apt \
		-o -path /proc -o -path /sys -o -path /dev -o -path /root \) -prune -o -printf '%y %u:%g %m %p\n' 2>/dev/null | sort -k4`)
}

// InNetwork returns a command of this machine that sees the hosts' network.
func InNetwork(ctx context.Context, command ...string) *exec.Cmd {
	return exec.CommandContext(ctx, scriptPath(), append([]string{"in"}, command...)...)
}

// Key returns the private key that all hosts' root accepts.
func Key(t testing.TB) string {
	t.Helper()
	out, err := script("key")
	if err != nil {
		t.Fatalf("host key: %v: %s", err, out)
	}
	return strings.TrimSpace(out)
}

func scriptPath() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "host")
}

func script(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, scriptPath(), args...)
	// A host outlives the command that boots it: with pipes, Wait would wait for it.
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("took longer than %v", commandTime)
	}
	return out.String(), err
}
