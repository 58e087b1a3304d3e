//go:build host

package packagetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eventline/packaging/testhost"
)

// names are the packages; units those that a host runs, by package.
var (
	names = []string{"eventgen", "logship", "bucketer", "eventline"}
	units = map[string]string{
		"eventgen": "eventgen.service", "logship": "logship.service",
		"bucketer": "bucketer.service", "eventline": "eventline.target",
	}
	daemons = names[:3]
)

// folder holds the packages of two versions of this tree, now/ and next/, and a
// stub of what rpm packages need of their family, stub/.
var folder string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if folder, err = os.MkdirTemp("", "packages"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	defer testhost.Network("packages")()
	if err := os.Mkdir(folder+"/stub", 0o755); err != nil {
		return 1, err
	}
	for _, command := range [][]string{
		{"../build", folder + "/now"},
		{"env", "PACKAGE_VERSION=9.0.0", "ARCHES=amd64", "../build", folder + "/next"},
		{"go", "tool", "-modfile=../../.ci/tools.mod", "nfpm", "package", "--config", "testdata/stub.yaml", "--packager", "rpm", "--target", folder + "/stub"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("%v: %w\n%s", command, err, out)
		}
	}
	return m.Run(), nil
}

// built returns the packages of a version, now or next.
func built(t *testing.T, version, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, version, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s/%s", pattern, folder, version)
	}
	return files
}

// pack returns the one package of a name for this host.
func pack(t *testing.T, version, name, format string) string {
	t.Helper()
	files := built(t, version, map[string]string{"deb": name + "_*_amd64.deb", "rpm": name + "-*.x86_64.rpm"}[format])
	if len(files) != 1 {
		t.Fatalf("%s as %s: got %q, want one", name, format, files)
	}
	return files[0]
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPackagesAreBuiltTheSameTwice(t *testing.T) {
	again := t.TempDir()
	cmd := exec.Command("sh", "-c", "umask 077; exec ../build "+again)
	cmd.Env = append(os.Environ(), "TZ=Pacific/Auckland", "LANG=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build again: %v\n%s", err, out)
	}
	sum := func(file string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(data))
	}
	first := append(built(t, "now", "*.deb"), built(t, "now", "*.rpm")...)
	if want := len(names) * 2 * 2; len(first) != want {
		t.Errorf("got %d packages, want %d: %d names, 2 formats, 2 architectures", len(first), want, len(names))
	}
	for _, file := range first {
		if sum(file) != sum(filepath.Join(again, filepath.Base(file))) {
			t.Errorf("%s differs when it is built again", filepath.Base(file))
		}
	}
}

func TestLintianFindsNothing(t *testing.T) {
	output(t, "lintian", append([]string{"--fail-on", "error,warning", "--tag-display-limit", "0"}, built(t, "now", "*.deb")...)...)
}

func TestRpmlintFindsNoErrorOrWarning(t *testing.T) {
	output(t, "../rpmlint", built(t, "now", "*.x86_64.rpm")...)
}

func TestScriptsAreClean(t *testing.T) {
	scripts := []string{"../build", "../rpmlint", "../testhost/host", "../kafka/fetch", "../kafka/archive", "../../.ci/run"}
	more, _ := filepath.Glob("../scripts/*/*")
	if len(more) == 0 {
		t.Fatal("no maintainer scripts in ../scripts")
	}
	output(t, "shellcheck", append(scripts, more...)...)
}

// A score is systemd's own sum of what a unit could do to its host, from 0.0 to
// 10.0; --threshold takes it times ten.
func TestUnitsAreShutIn(t *testing.T) {
	for unit, most := range map[string]string{
		"eventgen.service": "11", "logship.service": "14", "bucketer.service": "12", "bucketer@.service": "12",
	} {
		output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+most, "../../systemd/"+unit)
	}
	// The judge judges: logship is not as shut in as that.
	if err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=5", "../../systemd/logship.service").Run(); err == nil {
		t.Error("systemd-analyze security: lets an exposure of more than 0.5 pass as 0.5")
	}
}

func TestInstallsInARootWithoutSystemd(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	output(t, "mount", "-t", "overlay", "overlay", "-o",
		"lowerdir="+testhost.Bare(t)+",upperdir="+dir+"/upper,workdir="+dir+"/work", root)
	t.Cleanup(func() { output(t, "umount", root) })

	files := func() string {
		return output(t, "chroot", root, "find", "/etc", "/usr", "/var/lib", "/var/log", "-printf", `%y %u:%g %m %p\n`)
	}
	before := files()
	args := []string{root, "dpkg", "--install"}
	for _, name := range names {
		file := pack(t, "now", name, "deb")
		output(t, "cp", file, root+"/tmp/"+name+".deb")
		args = append(args, "/tmp/"+name+".deb")
	}
	output(t, "chroot", args...)
	for _, name := range daemons {
		output(t, "chroot", root, name, "version")
		output(t, "chroot", root, name, "check")
		if _, err := os.Lstat(root + "/etc/systemd/system/multi-user.target.wants/" + name + ".service"); err == nil {
			continue
		}
		// Without deb-systemd-helper nobody can enable it; it must not be masked.
		if to, err := os.Readlink(root + "/etc/systemd/system/" + name + ".service"); err == nil && to == "/dev/null" {
			t.Errorf("%s.service is masked after the installation", name)
		}
	}
	output(t, "chroot", append([]string{root, "dpkg", "--remove"}, names...)...)
	output(t, "chroot", append([]string{root, "dpkg", "--purge"}, names...)...)
	if left := leftOver(missing(files(), before)); left != "" {
		t.Errorf("after purge there is more than before:\n%q", left)
	}
	if out, err := exec.Command("grep", "-E", "^(eventgen|logship|bucketer|eventline):", root+"/etc/passwd", root+"/etc/group").Output(); err == nil {
		t.Errorf("after purge users or groups are left:\n%s", out)
	}
}

// missing returns the lines of a that are not in b.
func missing(a, b string) string {
	have := make(map[string]bool)
	for line := range strings.Lines(b) {
		have[line] = true
	}
	var left strings.Builder
	for line := range strings.Lines(a) {
		if !have[line] && !strings.HasSuffix(strings.TrimSpace(line), "-") { // passwd-, group-: backups
			left.WriteString(line)
		}
	}
	return left.String()
}
