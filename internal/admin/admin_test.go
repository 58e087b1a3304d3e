package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) (*Server, func() error) {
	t.Helper()
	s, err := Listen(Config{Listen: "127.0.0.1:0"}, NewRegistry("demo", "1.2.3"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop := func() error { cancel(); return <-ended }
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s, stop
}

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPagesAnswer(t *testing.T) {
	s, stop := start(t)
	s.Ready(func() error { return errors.New("waiting for broker 127.0.0.1:9092") })
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/healthz", 200, "ok\n"},
		{"/readyz", 503, "waiting for broker 127.0.0.1:9092\n"},
		{"/metrics", 200, `demo_build_info{goversion="go`},
		{"/metrics", 200, "process_resident_memory_bytes"},
		{"/debug/pprof/", 200, "goroutine"},
		{"/nothing", 404, ""},
	} {
		code, body := get(t, s, c.path)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("GET %s: got %d %.80q, want %d with %q", c.path, code, body, c.code, c.want)
		}
	}
	s.Ready(nil)
	if code, _ := get(t, s, "/readyz"); code != 200 {
		t.Errorf("GET /readyz without a check: got %d, want 200", code)
	}
	if err := stop(); err != nil {
		t.Errorf("Serve after its context ended: got %v, want nil", err)
	}
}

func TestPortInUseIsSaidAtStart(t *testing.T) {
	s, stop := start(t)
	_, err := Listen(Config{Listen: s.Addr()}, NewRegistry("demo", ""), zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("listen twice: got %v, want address already in use", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestOffServesNothing(t *testing.T) {
	s, err := Listen(Config{Listen: Off}, NewRegistry("demo", ""), zerolog.Nop())
	if err != nil || s.Addr() != "" {
		t.Fatalf("listen off: got %q, %v", s.Addr(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Errorf("serve off: got %v", err)
	}
}

func TestAddressIsChecked(t *testing.T) {
	for addr, good := range map[string]bool{"127.0.0.1:9462": true, ":0": true, "no.such.host:80": true, "off": true, "": false, "9462": false, "x:99999": false} {
		if got := len((Config{Listen: addr}).Problems()) == 0; got != good {
			t.Errorf("problem of %q: got good=%v, want %v", addr, got, good)
		}
	}
}
