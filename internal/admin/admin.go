// Package admin serves what operators and machines ask a daemon: metrics,
// health, readiness and profiles, by HTTP on the loopback interface.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Off as the address means that nothing is served.
const Off = "off"

// Config is the section `admin` of every daemon's settings.
type Config struct {
	Listen string `yaml:"listen" help:"host:port of /metrics, /healthz, /readyz and profiles; port 0 takes a free one, off serves nothing"`
}

// Problems returns what is wrong with the settings, by key below `admin`.
func (c Config) Problems() map[string]string {
	if c.Listen == Off {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err == nil {
		return nil
	}
	return map[string]string{"listen": fmt.Sprintf("want host:port or off, got %q", c.Listen)}
}

// Server serves one daemon's admin port.
type Server struct {
	log      zerolog.Logger
	listener net.Listener // nil if off
	mux      *http.ServeMux

	mu             sync.Mutex
	healthy, ready func() error
}

// Listen takes the port, so that an address in use is known at start. It serves
// nothing before Serve.
func Listen(c Config, reg *prometheus.Registry, log zerolog.Logger) (*Server, error) {
	s := &Server{log: log, mux: http.NewServeMux()}
	if c.Listen == Off {
		return s, nil
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w; is another instance running? (--admin-listen takes another port or off)", err)
	}
	s.listener = l
	s.mux.Handle("/metrics", promhttp.InstrumentMetricHandler(reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{})))
	s.mux.HandleFunc("/healthz", s.probe(func() func() error { return s.healthy }))
	s.mux.HandleFunc("/readyz", s.probe(func() func() error { return s.ready }))
	s.mux.HandleFunc("/debug/pprof/", pprof.Index)
	s.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return s, nil
}

// Addr is the host:port that is served, "" if none.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Handle adds a page. It must be called before Serve.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Healthy sets what /healthz asks: an error, which becomes the answer's text,
// means that the daemon can't do its work any more and should be restarted.
// Without a check it is healthy as long as it answers.
func (s *Server) Healthy(check func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthy = check
}

// Ready sets what /readyz asks: an error says what the daemon waits for.
func (s *Server) Ready(check func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = check
}

func (s *Server) probe(which func() func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		check := which()
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if check != nil {
			if err := check(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprintln(w, err)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	}
}

// Serve answers requests until ctx ends, then lets those under way finish
// within a second. It returns nil after an end in good order.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil {
		<-ctx.Done()
		return nil
	}
	s.log.Info().Str("address", s.Addr()).Msg("serving metrics and health")
	server := &http.Server{
		Handler:           named(s.mux),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("admin.listen: %w", err)
	case <-ctx.Done():
	}
	shut, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(shut) != nil {
		_ = server.Close() // a profile that runs longer than we wait
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin.listen: %w", err)
	}
	return nil
}

// PIDHeader is a header of every answer: the process that gives it. Daemons that
// share a process, as in a demo, are told by it.
const PIDHeader = "Eventline-Pid"

func named(h http.Handler) http.Handler {
	pid := strconv.Itoa(os.Getpid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(PIDHeader, pid)
		h.ServeHTTP(w, r)
	})
}

// Close frees the port of a server that will not Serve.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	return s.listener.Close()
}
