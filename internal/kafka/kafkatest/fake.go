// Package kafkatest starts brokers for tests and looks at their topics with
// another client than the one under test.
//
// Start runs kfake inside the test, in milliseconds; StartReal runs Kafka 3.6.2
// with ZooKeeper, for tests built with the tag `kafka`.
package kafkatest

import (
	"net"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Fake is a one-broker cluster inside the test, with its data on disk, so that it
// can be stopped and started at the same address.
type Fake struct {
	// Addr is the broker's address, host:port. It never changes.
	Addr string

	t       testing.TB
	opts    []kfake.Opt
	port    int
	cluster *kfake.Cluster
}

// Start starts a broker that ends with the test. It has no topics and creates
// none by itself.
func Start(t testing.TB, opts ...kfake.Opt) *Fake {
	t.Helper()
	f := &Fake{t: t, opts: append([]kfake.Opt{kfake.DataDir(t.TempDir())}, opts...)}
	f.Start()
	t.Cleanup(f.Stop)
	return f
}

// Start starts a stopped broker again, at the same address and with its data.
func (f *Fake) Start() {
	f.t.Helper()
	cluster, err := kfake.NewCluster(append(f.opts, kfake.Ports(f.port))...)
	if err != nil {
		f.t.Fatalf("start broker at port %d: %v", f.port, err)
	}
	f.cluster = cluster
	f.Addr = cluster.ListenAddrs()[0]
	_, port, err := net.SplitHostPort(f.Addr)
	if err != nil {
		f.t.Fatalf("address of broker: %v", err)
	}
	f.port, _ = strconv.Atoi(port)
}

// Stop stops the broker as a clean shutdown does. Stopping a stopped one is fine.
func (f *Fake) Stop() { f.cluster.Close() }

// Cluster is the running broker, for faults and hooks.
func (f *Fake) Cluster() *kfake.Cluster { return f.cluster }
