package broker

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequest is the size a real broker takes by default
// (socket.request.max.bytes).
const maxRequest = 100 << 20

// listener accepts connections through a guard.
type listener struct{ net.Listener }

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guard{Conn: nc}, nil
}

// guard ends a connection whose client does not speak Kafka. kfake would set
// aside as many bytes as a stranger's first four say (an HTTP GET: 1.2 GB), and
// an unknown request number would panic and take the whole process with it.
//
// Reads of a connection never overlap, so it needs no lock.
type guard struct {
	net.Conn
	head [6]byte // of the request being read: size, then its number
	have int     // bytes of head
	left uint32  // bytes of the request after its head
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if g.left > 0 {
			skip := min(int(g.left), len(rest))
			g.left -= uint32(skip)
			rest = rest[skip:]
			continue
		}
		m := copy(g.head[g.have:], rest)
		g.have += m
		rest = rest[m:]
		size := binary.BigEndian.Uint32(g.head[:])
		if g.have >= 4 && (size < 8 || size > maxRequest) {
			return g.refuse("request of %d bytes", size)
		}
		if g.have < len(g.head) {
			continue
		}
		key := int16(binary.BigEndian.Uint16(g.head[4:]))
		if kmsg.RequestForKey(key) == nil {
			return g.refuse("unknown request %d", key)
		}
		g.have, g.left = 0, size-2
	}
	return n, err
}

func (g *guard) refuse(format string, args ...any) (int, error) {
	_ = g.Close()
	return 0, fmt.Errorf("client does not speak Kafka: "+format, args...)
}
