//go:build host

package sitetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"eventline/packaging/testhost"
)

const hostIP = "10.88.0.10" // as the inventory has it

func TestMain(m *testing.M) {
	clean := testhost.Network("site")
	code := m.Run()
	clean()
	os.Exit(code)
}

func tool(name string) string {
	path, err := filepath.Abs("../../.cache/ansible/bin/" + name)
	if err != nil {
		panic(err)
	}
	return path
}

// result is what a run of the playbook came to.
type result struct {
	out             string
	err             error
	changed, failed int
	took            time.Duration
}

// play runs site.yml over ssh, from the hosts' network.
func play(t *testing.T, args ...string) result {
	t.Helper()
	started := time.Now()
	cmd := testhost.InNetwork(t.Context(), append([]string{tool("ansible-playbook"), "-i", "inventories/testhost/hosts.yml", "site.yml"}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "TESTHOST_KEY="+testhost.Key(t), "ANSIBLE_NOCOLOR=1")
	out, err := cmd.CombinedOutput()
	r := result{out: string(out), err: err, took: time.Since(started).Round(time.Second)}
	recap := regexp.MustCompile(`changed=(\d+) .*failed=(\d+)`).FindStringSubmatch(r.out)
	if recap == nil {
		t.Fatalf("site.yml %v: no recap: %v\n%s", args, err, out)
	}
	r.changed, _ = strconv.Atoi(recap[1])
	r.failed, _ = strconv.Atoi(recap[2])
	fmt.Printf("    site.yml %s: %v, changed=%d failed=%d\n", strings.Join(args, " "), r.took, r.changed, r.failed)
	return r
}

func (r result) mustSucceed(t *testing.T) result {
	t.Helper()
	if r.err != nil || r.failed != 0 {
		t.Fatalf("site.yml: %v\n%s", r.err, tailOf(r.out, 60))
	}
	return r
}

func tailOf(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func TestPlaybookIsClean(t *testing.T) {
	for _, command := range [][]string{
		{tool("ansible-lint"), "--offline", "--profile", "production", "site.yml"},
		{tool("yamllint"), "--strict", "."},
		{tool("ansible-playbook"), "-i", "inventories/single/hosts.yml", "site.yml", "--syntax-check"},
		{tool("ansible-playbook"), "-i", "inventories/vagrant/hosts.yml", "site.yml", "--syntax-check"},
		{"ruby", "-c", "Vagrantfile"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(tool("ansible-lint"))+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}
