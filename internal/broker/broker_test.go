package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"eventline/internal/kafka/kafkatest"
)

// childDir tells a copy of the test binary to be a broker on that directory.
const childDir = "EVENTLINE_TEST_BROKER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		b, err := New(Options{Listen: "127.0.0.1:0", DataDir: dir, Log: zerolog.New(os.Stderr)})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(b.Addr())
		select {} // until killed
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, dir, listen string) *Broker {
	t.Helper()
	b, err := New(Options{Listen: listen, DataDir: dir, Log: zerolog.New(zerolog.NewTestWriter(t))})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func stop(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func TestRestartContinuesTheOffsets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	b := start(t, dir, "127.0.0.1:0")
	addr := b.Addr()
	kafkatest.CreateTopic(t, addr, "events", 1)
	kafkatest.Produce(t, addr, "events", 0, "a", "b")
	stop(t, b)

	b = start(t, dir, addr)
	if b.Addr() != addr {
		t.Errorf("address %s after restart, want %s", b.Addr(), addr)
	}
	kafkatest.Produce(t, addr, "events", 0, "c")
	recs := kafkatest.Records(t, addr, "events")[0]
	if len(recs) != 3 || recs[2].Offset != 2 || string(recs[2].Value) != "c" {
		t.Errorf("topic holds %d records after a restart, want 3 with c at offset 2", len(recs))
	}
}

func TestKillKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("address of the child: %v", err)
	}
	addr = strings.TrimSpace(addr)
	kafkatest.CreateTopic(t, addr, "events", 1)
	want := []string{"a", "b", "c"}
	kafkatest.Produce(t, addr, "events", 0, want...)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	b := start(t, dir, "127.0.0.1:0")
	if got := kafkatest.Values(t, b.Addr(), "events", 0); !slices.Equal(got, want) {
		t.Errorf("topic holds %q after kill -9, want what was acknowledged: %q", got, want)
	}
}

func TestTwoBrokersNeverShareADirectory(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "127.0.0.1:0")
	_, err := New(Options{Listen: "127.0.0.1:0", DataDir: dir})
	if want := "in use by the broker with pid " + strconv.Itoa(os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second broker: %v, want %q", err, want)
	}
	stop(t, b)
	start(t, dir, "127.0.0.1:0")
}

func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Listen: "127.0.0.1:0", DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), `"thesis.txt"`) {
		t.Errorf("New: %v, want an error that names what is there", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("directory has %d entries now, want it untouched", len(entries))
	}
}

func TestDamagedDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	stop(t, start(t, dir, "127.0.0.1:0"))
	if err := os.WriteFile(filepath.Join(dir, stateDir, "meta.json"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also the second time: the failed start let go of everything
		_, err := New(Options{Listen: "127.0.0.1:0", DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), dir) {
			t.Errorf("New: %v, want an error that names the directory", err)
		}
	}
}

func TestDirectoryThatIsAFileIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Listen: "127.0.0.1:0", DataDir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("New: %v, want an error that names the file", err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	b := start(t, t.TempDir(), "127.0.0.1:0")
	dir := t.TempDir()
	_, err := New(Options{Listen: b.Addr(), DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), b.Addr()) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("New: %v, want an error that names %s", err, b.Addr())
	}
	start(t, dir, "127.0.0.1:0") // the directory is free
}

func TestAddressNobodyCanBeSentToIsRefused(t *testing.T) {
	for _, addr := range []string{":9092", "0.0.0.0:9092", "[::]:9092", "9092", ""} {
		if _, err := New(Options{Listen: addr}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", addr)) {
			t.Errorf("Listen %q: %v, want a refusal", addr, err)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	b := start(t, "", "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if nc, err := net.Dial("tcp", b.Addr()); err == nil {
		_ = nc.Close()
		t.Error("port is still open after Run")
	}
}

func TestStateThatCannotBeSavedIsTold(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "127.0.0.1:0")
	kafkatest.CreateTopic(t, b.Addr(), "events", 1)
	state := filepath.Join(dir, stateDir)
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, nil, 0o600); err != nil { // in the way of a directory
		t.Fatal(err)
	}
	if err := b.Close(); err == nil || !strings.Contains(err.Error(), "save demo broker's state") {
		t.Errorf("Close: %v, want an error", err)
	}
}

// A real broker closes such connections. kfake alone would set aside a gigabyte
// for the first and panic at the second.
func TestStrangersAreTurnedAway(t *testing.T) {
	b := start(t, "", "127.0.0.1:0")
	for name, hello := range map[string]string{
		"HTTP":               "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"an unknown request": "\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\x00\x00",
		"a tiny request":     "\x00\x00\x00\x01x",
	} {
		nc, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := nc.Read(make([]byte, 1))
		if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: read %d, %v; want a closed connection", name, n, err)
		}
		_ = nc.Close()
	}
	kafkatest.CreateTopic(t, b.Addr(), "events", 1) // it lives
}

func TestEachNewClusterHasItsOwnName(t *testing.T) {
	if a, b := clusterID(), clusterID(); a == b || !strings.HasPrefix(a, "eventline-demo-") {
		t.Errorf("cluster ids %q and %q", a, b)
	}
}
