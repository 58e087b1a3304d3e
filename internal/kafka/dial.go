package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"time"
)

// dialer opens connections for sarama. It does what sarama's own does not: it
// names the reason when the other side is not what the settings say, closes its
// connections when ctx ends, so that no call outlives its caller's patience, and
// never trusts a length that a stranger sent (sarama would set aside up to 4 GB
// for the first answer of an HTTP server).
type dialer struct {
	ctx     context.Context
	timeout time.Duration // for the connection, and again for its first answer
	tls     *tls.Config   // nil for plain text
	id      string        // client id
}

// Dial implements the interface behind sarama's Net.Proxy.Dialer.
func (d *dialer) Dial(_, addr string) (net.Conn, error) {
	nc, err := d.connect(addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(d.ctx, func() { _ = nc.Close() })
	return &guard{Conn: nc, dialer: d, addr: addr, stop: stop}, nil
}

// oneDialer makes one connection and remembers it.
type oneDialer struct {
	*dialer
	made net.Conn
}

// Dial implements the interface behind sarama's Net.Proxy.Dialer.
func (d *oneDialer) Dial(network, addr string) (nc net.Conn, err error) {
	d.made, err = d.dialer.Dial(network, addr)
	return d.made, err
}

// connect makes a connection, encrypted if so set. Its errors are ready for a
// person to read.
func (d *dialer) connect(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	nc, err := d.tcp(ctx, addr)
	if err != nil {
		return nil, err
	}
	if d.tls == nil {
		return nc, nil
	}
	tc := tls.Client(nc, d.tlsFor(addr))
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, d.explainTLS(addr, err)
	}
	return tc, nil
}

func (d *dialer) tcp(ctx context.Context, addr string) (net.Conn, error) {
	var nd net.Dialer
	nc, err := nd.DialContext(ctx, "tcp", addr)
	switch {
	case err == nil:
		return nc, nil
	case d.ctx.Err() != nil:
		return nil, context.Cause(d.ctx)
	}
	e := netError(addr, err)
	if e.Class == Timeout {
		e = errorf(Timeout, addr, "no connection within %s: host down, or a firewall drops it%w", d.timeout, quiet{err})
	}
	return nil, e
}

// tlsFor returns the settings for one address: the certificate must be for its
// host unless the configuration names another.
func (d *dialer) tlsFor(addr string) *tls.Config {
	if d.tls.ServerName != "" || d.tls.InsecureSkipVerify {
		return d.tls
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return d.tls
	}
	c := d.tls.Clone()
	c.ServerName = host
	return c
}

// maxAnswer bounds the first answer of a connection, which is the broker's list
// of request versions: some hundred bytes.
const maxAnswer = 1 << 20

// guard looks at the first bytes that come in before anyone takes them for a
// Kafka message. Reads of a connection never overlap, so it needs no lock.
type guard struct {
	net.Conn
	dialer  *dialer
	addr    string
	stop    func() bool
	checked bool
	failed  *notKafka
}

// notKafka is a guard's verdict. It claims to be net.ErrClosed because that is
// what makes sarama give the connection up at once; it would send its request a
// second time otherwise.
type notKafka struct{ err *Error }

func (e *notKafka) Error() string { return e.err.Error() }

func (e *notKafka) Unwrap() error { return e.err }

func (e *notKafka) Is(target error) bool { return target == net.ErrClosed }

func (g *guard) Read(p []byte) (int, error) {
	if g.checked {
		return g.Conn.Read(p)
	}
	if g.failed != nil {
		return 0, g.failed
	}
	// The caller's read deadline is meant for requests that take their time. A
	// broker answers the first one at once.
	_ = g.SetReadDeadline(time.Now().Add(g.dialer.timeout))
	if len(p) < 4 {
		return 0, &notKafka{errorf(Other, g.addr, "read buffer of %d bytes is too small", len(p))}
	}
	n, err := readAtLeast(g.Conn, p, 4)
	// The correlation id that follows is no help: a sarama broker that is
	// opened again goes on counting.
	if err == nil && isSize(p) {
		g.checked = true
		return n, nil
	}
	if ctx := g.dialer.ctx; ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	g.failed = &notKafka{g.dialer.explain(g.addr, p[:n], err)}
	return 0, g.failed
}

func (g *guard) Close() error {
	g.stop()
	return g.Conn.Close()
}

// isSize reports whether head begins with the length of a first answer. Text and
// TLS records do not: read as a length, they are hundreds of megabytes.
func isSize(head []byte) bool {
	size := binary.BigEndian.Uint32(head)
	return size >= 4 && size <= maxAnswer
}

// readAtLeast is io.ReadAtLeast, but keeps the cause of a short read.
func readAtLeast(nc net.Conn, p []byte, least int) (n int, err error) {
	for n < least && err == nil {
		var m int
		m, err = nc.Read(p[n:])
		n += m
	}
	if n >= least {
		err = nil
	}
	return n, err
}
