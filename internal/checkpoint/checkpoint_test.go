package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// filled makes a directory in which the values were saved one after the other,
// three seconds apart.
func filled(t testing.TB, values ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir)
	_, _, err := s.Load()
	must(t, err)
	start := time.Now().Add(-time.Hour)
	for i, v := range values {
		at := start.Add(time.Duration(i) * 3 * time.Second)
		s.now = func() time.Time { return at }
		name := s.path(s.next)
		must(t, s.Save([]byte(v)))
		must(t, os.Chtimes(name, at, at))
	}
	must(t, s.Close())
	return dir
}

func load(t testing.TB, dir string) (string, []string, error) {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	payload, findings, err := s.Load()
	return string(payload), findings, err
}

func TestFirstStartHasNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a", "b"))
	payload, findings, err := s.Load()
	if payload != nil || findings != nil || err != nil {
		t.Errorf("Load() = %q, %q, %v; want nothing at all", payload, findings, err)
	}
}

func TestNewestValueComesBack(t *testing.T) {
	for _, values := range [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", ""}} {
		got, findings, err := load(t, filled(t, values...))
		if want := values[len(values)-1]; got != want || len(findings) > 0 || err != nil {
			t.Errorf("after saves of %q: Load() = %q, %q, %v; want %q", values, got, findings, err, want)
		}
	}
}

func TestDamagedSlotGivesWayToTheOther(t *testing.T) {
	const newest, other = "position.0", "position.1" // of three saves
	for _, c := range []struct {
		name   string
		damage func(path string) error
		want   string
	}{
		{
			"an empty file is no position", func(p string) error { return os.WriteFile(p, nil, 0o600) },
			`read checkpoint "position.0": file is empty; using "position.1"`,
		},
		{
			"a file cut short is no position", func(p string) error { return os.Truncate(p, 20) },
			`read checkpoint "position.0": file is truncated; using "position.1"`,
		},
		{
			"garbage is no position", func(p string) error { return os.WriteFile(p, []byte("garbage"), 0o600) },
			`read checkpoint "position.0": not a checkpoint file; using "position.1"`,
		},
		{"a flipped byte is noticed", func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[len(b)-1] ^= 1
			return os.WriteFile(p, b, 0o600)
		}, `read checkpoint "position.0": checksum does not match; using "position.1"`},
		{
			"a slot that is gone is noticed", os.Remove,
			`read checkpoint "position.0": no such file or directory; using "position.1"`,
		},
		{
			"a directory is no position", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
			`read checkpoint "position.0": is a directory; using "position.1"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t, "a", "b", "c")
			must(t, c.damage(filepath.Join(dir, newest)))
			got, findings, err := load(t, dir)
			if err != nil || got != "b" {
				t.Fatalf("Load() = %q, %v; want %q of %s", got, err, "b", other)
			}
			if len(findings) != 1 || !strings.HasPrefix(findings[0], c.want) {
				t.Errorf("findings: got %q, want %q", findings, c.want)
			}
		})
	}
}

func TestFindingSaysHowMuchOlderTheOtherIs(t *testing.T) {
	dir := filled(t, "a", "b", "c")
	path := filepath.Join(dir, "position.0")
	info, err := os.Stat(path)
	must(t, err)
	b, err := os.ReadFile(path)
	must(t, err)
	b[headerSize] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	_, findings, err := load(t, dir)
	must(t, err)
	want := `read checkpoint "position.0": checksum does not match; using "position.1" (3s older)`
	if len(findings) != 1 || findings[0] != want {
		t.Errorf("findings: got %q, want %q", findings, want)
	}
}

// A crash leaves any prefix of a slot on a file system that does not keep its
// promises; with one that does, only the temporary file is ever cut.
func TestCrashAtAnyByteLosesOneSaveAtMost(t *testing.T) {
	whole := filled(t, "a", "b", "c")
	b, err := os.ReadFile(filepath.Join(whole, "position.0"))
	must(t, err)
	for n := range b {
		must(t, os.WriteFile(filepath.Join(whole, "position.0"), b[:n], 0o600))
		got, findings, err := load(t, whole)
		if got != "b" || len(findings) != 1 || err != nil {
			t.Errorf("slot cut at byte %d of %d: Load() = %q, %q, %v; want the value before", n, len(b), got, findings, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(whole, "position.0"), b, 0o600))
	for n := range b {
		must(t, os.WriteFile(filepath.Join(whole, "position.1.tmp"), b[:n], 0o600))
		if got, findings, err := load(t, whole); got != "c" || len(findings) != 0 || err != nil {
			t.Errorf("temporary file cut at byte %d: Load() = %q, %q, %v; want the newest value", n, got, findings, err)
		}
	}
}

func TestNothingUsableIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   []string
	}{
		{"two bad slots are not a first start", func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "position.0"), nil, 0o600), os.Truncate(filepath.Join(dir, "position.1"), 30))
		}, []string{`"position.0": file is empty`, `"position.1": file is truncated`, "begin anew"}},
		{"one bad slot and one gone is not a first start", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "position.0")), os.Truncate(filepath.Join(dir, "position.1"), 30))
		}, []string{`"position.0": no such file`, `"position.1": file is truncated`}},
		{"slots that were lost are not a first start", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "position.0")), os.Remove(filepath.Join(dir, "position.1")))
		}, []string{"was in use before", "are gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t, "a", "b")
			must(t, c.damage(dir))
			got, _, err := load(t, dir)
			if err == nil {
				t.Fatalf("Load() = %q, want a refusal", got)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestNewerVersionInEitherSlotIsRefused(t *testing.T) {
	for _, name := range slotNames {
		dir := filled(t, "a", "b")
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		binary.LittleEndian.PutUint32(b[8:], 2)
		binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		_, _, err = load(t, dir)
		var newer *VersionError
		if !errors.As(err, &newer) || newer.Version != 2 || !strings.Contains(err.Error(), name) {
			t.Errorf("%s of version 2: got %v, want a refusal that names it: going on from the other would send twice what a newer version counted", name, err)
		}
	}
}

func TestSecondProcessIsToldTheFirstsPID(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMain$")
	cmd.Env = append(os.Environ(), "CHECKPOINT_HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "held\n" {
		t.Fatalf("first process says %q, %v", line, err)
	}
	_, err = Open(dir)
	var used *InUseError
	if !errors.As(err, &used) || used.PID != cmd.Process.Pid {
		t.Errorf("Open of a directory in use: got %v, want an InUseError with pid %d", err, cmd.Process.Pid)
	}
	_ = cmd.Process.Kill() // kill -9 frees the directory
	_ = stdin.Close()
	_ = cmd.Wait()
	open(t, dir)
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("CHECKPOINT_HOLD"); dir != "" {
		s, err := Open(dir)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone
		_ = s.Close()
		return
	}
	os.Exit(m.Run())
}

func TestSaveThatFailsKeepsTheValueBefore(t *testing.T) {
	dir := filled(t, "a", "b")
	s := open(t, dir)
	_, _, err := s.Load()
	must(t, err)
	tmp := s.path(s.next) + ".tmp"
	must(t, os.Mkdir(tmp, 0o700)) // stands for a disk that is full
	if err := s.Save([]byte("c")); err == nil {
		t.Fatal("Save() = nil, want an error")
	}
	must(t, s.Close())
	if got, _, err := load(t, dir); got != "b" || err != nil {
		t.Errorf("Load() = %q, %v; want the value before", got, err)
	}
	must(t, os.Remove(tmp))
	s = open(t, dir)
	_, _, err = s.Load()
	must(t, err)
	must(t, s.Save([]byte("d")))
	must(t, s.Close())
	if got, _, err := load(t, dir); got != "d" || err != nil {
		t.Errorf("Load() = %q, %v; want the value saved once there was room", got, err)
	}
}

func TestSaveBeforeLoadIsAMistake(t *testing.T) {
	if err := open(t, t.TempDir()).Save(nil); err == nil {
		t.Error("Save before Load: got nil; it could overwrite the newest slot")
	}
}

func BenchmarkSave(b *testing.B) {
	s, err := Open(b.TempDir())
	must(b, err)
	defer s.Close()
	_, _, err = s.Load()
	must(b, err)
	payload := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.Save(payload))
	}
}
