package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that must come; how long it takes is
// never judged.
const patience = 2 * time.Minute

var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "eventline-e2e-")
	if err != nil {
		panic(err)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "eventline/cmd/eventgen", "eventline/cmd/logship", "eventline/cmd/bucketer", "eventline/cmd/eventline")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// program is one of our commands, running.
type program struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{} // closed when it has ended
}

// output collects what a program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs one of our commands, or the program at a path, in an empty environment. It is killed, and what it said
// is shown, when the test ends badly.
func start(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	return startTo(t, env, nil, name, args...)
}

// startTo is start with standard output to a file.
func startTo(t *testing.T, env []string, stdout *os.File, name string, args ...string) *program {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(bin, name)
	}
	p := &program{t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %v\nstdout: %s\nstderr: %s", name, args, last(p.stdout.String()), last(p.stderr.String()))
		}
	})
	return p
}

// last is the end of a long text.
func last(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

func (p *program) signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// kill is kill -9; it returns when the program is gone.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// wait returns the exit code of a program that ends by itself.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s did not end", p.cmd.Path)
		return -1
	}
}

// run runs a command to its end.
func run(t *testing.T, env []string, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, env, name, args...)
	code = p.wait()
	return code, p.stdout.String(), p.stderr.String()
}

// eventually polls until ok, which must come.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
