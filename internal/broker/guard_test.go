package broker

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stream is a connection whose other side has said all it will say.
type stream struct {
	net.Conn
	io.Reader
	closed bool
}

func (s *stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
func (s *stream) Close() error               { s.closed = true; return nil }

// judge reads a request stream message by message: what must come through.
func judge(b []byte) (good []byte, stranger bool) {
	for rest := b; ; {
		if len(rest) < 4 {
			return b, false
		}
		size := binary.BigEndian.Uint32(rest)
		if size < 8 || size > maxRequest {
			return nil, true
		}
		if len(rest) < 6 {
			return b, false
		}
		if kmsg.RequestForKey(int16(binary.BigEndian.Uint16(rest[4:]))) == nil {
			return nil, true
		}
		if uint32(len(rest)-4) < size {
			return b, false
		}
		rest = rest[4+size:]
	}
}

func FuzzGuard(f *testing.F) {
	versions := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
	f.Add(versions)
	f.Add(append(bytes.Clone(versions), versions...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0, 0, 8, 0x7f, 0xff})
	f.Fuzz(func(t *testing.T, sent []byte) {
		want, stranger := judge(sent)
		for _, r := range []io.Reader{
			bytes.NewReader(sent),
			iotest.OneByteReader(bytes.NewReader(sent)),
			iotest.HalfReader(bytes.NewReader(sent)),
			iotest.DataErrReader(bytes.NewReader(sent)),
		} {
			s := &stream{Reader: r}
			got, err := io.ReadAll(&guard{Conn: s})
			if stranger {
				if err == nil || !s.closed {
					t.Fatalf("%x: read %x, %v; want the connection closed", sent, got, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%x: read %x, %v; want it unchanged", sent, got, err)
			}
		}
	})
}
