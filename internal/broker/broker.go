// Package broker is the embedded demo broker: one Kafka broker inside the
// process, for `make run`, `eventline broker` and tests on machines that have
// nothing but Go.
//
// It is franz-go's kfake with its data on disk. It speaks the protocol well
// enough for every client we use, but it is made for testing: no replication, no
// fsync per batch, no promise across versions. It is not for data anyone needs.
//
// Known limits. Acknowledged records survive kill -9 of the process, not power
// loss. What a broker remembers of producers to recognise duplicates is saved by
// Close only: after kill -9 the same batch would be appended again, where a real
// broker rebuilds that memory from the log.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Options say where the broker listens and keeps its data.
type Options struct {
	// Listen is host:port; port 0 takes a free one. Clients are told the same
	// host, so it must be one they can reach.
	Listen string
	// DataDir is created if missing. Empty keeps everything in memory.
	DataDir string
	// Log receives the broker's warnings and errors, and at debug level more.
	Log zerolog.Logger
}

// Broker is a running demo broker.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	log     *logger
	lock    *os.File // nil in memory
	once    sync.Once
	err     error
}

// New takes the data directory and the port, loads what is there and begins to
// serve. The caller must Close it, or what is said in the package comment is
// lost. Errors name the directory or address and what to do.
func New(o Options) (*Broker, error) {
	if err := checkListen(o.Listen); err != nil {
		return nil, err
	}
	b := &Broker{log: &logger{log: o.Log}}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID(clusterID()), // only where none is stored
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(b.log),
	}
	if o.DataDir != "" {
		var err error
		if b.lock, err = claim(o.DataDir); err != nil {
			return nil, err
		}
		opts = append(opts, kfake.DataDir(filepath.Join(o.DataDir, stateDir)))
	}
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		b.unlock()
		return nil, listenError(o.Listen, err)
	}
	b.addr = ln.Addr().String()
	opts = append(opts, kfake.ListenFn(func(string, string) (net.Listener, error) {
		return &listener{Listener: ln}, nil
	}))
	if b.cluster, err = kfake.NewCluster(opts...); err != nil {
		_ = ln.Close()
		b.unlock()
		if o.DataDir == "" {
			return nil, fmt.Errorf("start demo broker: %w", err)
		}
		return nil, fmt.Errorf("data directory %q is damaged or of another version: %w; move it away to begin anew", o.DataDir, err)
	}
	o.Log.Info().Str("addr", b.addr).Str("data_dir", o.DataDir).Msg("demo broker is listening (not for production)")
	return b, nil
}

func checkListen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address must be host:port, got %q", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		// Clients are sent to the address they are told, and nobody can be
		// sent to "anywhere".
		return fmt.Errorf("listen address must name a host that clients can reach, got %q", addr)
	}
	return nil
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: the port is taken: is another broker running? %w", addr, err)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}

// clusterID makes the name of a new cluster. It differs for each data directory,
// because shippers tell clusters apart by it.
func clusterID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "eventline-demo-" + hex.EncodeToString(b[:])
}

// Addr is the address clients connect to, host:port.
func (b *Broker) Addr() string { return b.addr }

// Run serves until ctx ends, then closes the broker.
func (b *Broker) Run(ctx context.Context) error {
	<-ctx.Done()
	return b.Close()
}

// Close stops serving, saves the state and gives the data directory free. It
// may be called more than once.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.log.watch()
		b.cluster.Close()
		if text := b.log.complaint(); text != "" {
			b.err = fmt.Errorf("save demo broker's state: %s", text)
		}
		b.unlock()
	})
	return b.err
}

func (b *Broker) unlock() {
	if b.lock != nil {
		_ = b.lock.Close() // and with it the lock
	}
}

const (
	stateDir = "kafka"
	lockFile = "broker.lock"
)

// claim takes a data directory for this process. The lock is the kernel's, so
// that it ends with the process, however that ends; the file stays, and marks
// the directory as ours.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, lockFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("read data directory: %w", err)
		}
		if len(entries) > 0 {
			return nil, fmt.Errorf("data directory %q holds something else (%q): give an empty one, or one of a demo broker", dir, entries[0].Name())
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open data directory's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		var pid [20]byte
		n, _ := f.ReadAt(pid[:], 0)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %q is in use by the broker with pid %s", dir, pid[:n])
		}
		return nil, fmt.Errorf("lock data directory %q: %w", dir, err)
	}
	pid := strconv.Itoa(os.Getpid())
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(pid), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write data directory's lock: %w", err)
	}
	return f, nil
}
