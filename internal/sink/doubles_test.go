package sink

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"eventline/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time that tests begin at: the begin of a second.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// line makes a decided event as rollup does: by decoding.
func line(t testing.TB, offset int64, bucket, value string) event.Line {
	t.Helper()
	fields, reason := event.NewDecoder(event.DefaultNames()).Decode([]byte(value))
	if reason != event.Accepted {
		t.Fatalf("Decode(%.80q) = %v", value, reason)
	}
	return event.Line{Topic: "events", Partition: 3, Offset: offset, Bucket: bucket, ID: fields.ID, Price: fields.Price}
}

func kettle(t testing.TB, offset int64) event.Line {
	return line(t, offset, "low", `{"event_id":"a89e1e3d-4905-4fe9-aa26-053b505efd8d","price":35.32}`)
}

func kettles(t testing.TB, offsets ...int64) []event.Line {
	var lines []event.Line
	for _, o := range offsets {
		lines = append(lines, kettle(t, o))
	}
	return lines
}

// classic is the lines of kettles with these offsets.
func classic(t testing.TB, offsets ...int64) string {
	var b []byte
	for _, l := range kettles(t, offsets...) {
		b = append(l.AppendClassic(b), '\n')
	}
	return string(b)
}

// pipe takes bytes until its room is used up, then fails.
type pipe struct {
	bytes.Buffer
	room int // bytes that still fit; -1 is no limit
	err  error
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.room < 0 || len(b) <= p.room {
		if p.room >= 0 {
			p.room -= len(b)
		}
		return p.Buffer.Write(b)
	}
	n, _ := p.Buffer.Write(b[:p.room])
	p.room = 0
	return n, p.err
}

// fakeJournal is a journal that keeps what it is sent.
type fakeJournal struct {
	socket string
	conn   *net.UnixConn
	done   chan struct{} // closed when read has ended, nil if it never began

	mu      sync.Mutex
	entries []map[string]string
	files   int // how many came as a memory file
}

// listen begins to listen without reading: see read.
func listen(t *testing.T, socket string) *fakeJournal {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeJournal{socket: socket, conn: conn}
	t.Cleanup(f.stop)
	return f
}

// socketPath is short enough for the 108 bytes of a socket's address.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

func startJournal(t *testing.T) *fakeJournal {
	t.Helper()
	f := listen(t, socketPath(t))
	f.read(t)
	return f
}

func (f *fakeJournal) read(t *testing.T) {
	done := make(chan struct{})
	f.done = done
	go func() {
		defer close(done)
		buf, oob := make([]byte, 1<<20), make([]byte, 1024)
		for {
			n, noob, _, _, err := f.conn.ReadMsgUnix(buf, oob)
			if err != nil {
				return
			}
			entry := bytes.Clone(buf[:n])
			fromFile := noob > 0
			if fromFile {
				entry = readFile(t, oob[:noob])
			}
			f.mu.Lock()
			f.entries = append(f.entries, parseEntry(t, entry))
			if fromFile {
				f.files++
			}
			f.mu.Unlock()
		}
	}()
}

func (f *fakeJournal) stop() {
	_ = f.conn.Close()
	if f.done != nil {
		<-f.done
	}
	_ = os.Remove(f.socket)
}

func (f *fakeJournal) wait(t *testing.T, n int) []map[string]string {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		f.mu.Lock()
		got := f.entries
		f.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("the journal has %d entries, want %d", len(got), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func readFile(t *testing.T, oob []byte) []byte {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		t.Errorf("ParseSocketControlMessage: %d, %v", len(messages), err)
		return nil
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Errorf("ParseUnixRights: %v, %v", fds, err)
		return nil
	}
	file := os.NewFile(uintptr(fds[0]), "entry")
	defer file.Close()
	b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<30))
	if err != nil {
		t.Errorf("read memory file: %v", err)
	}
	return b
}

// parseEntry reads the native protocol.
func parseEntry(t *testing.T, b []byte) map[string]string {
	entry := map[string]string{}
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			t.Errorf("entry ends in the middle of a field: %.80q", b)
			return entry
		}
		name, value, plain := strings.Cut(string(b[:end]), "=")
		b = b[end+1:]
		if !plain {
			if len(b) < 9 || uint64(len(b)-8) <= binary.LittleEndian.Uint64(b) {
				t.Errorf("field %s is shorter than it says", name)
				return entry
			}
			size := int(binary.LittleEndian.Uint64(b))
			value = string(b[8 : 8+size])
			b = b[8+size+1:]
		}
		if _, twice := entry[name]; twice {
			t.Errorf("field %s is there twice", name)
		}
		entry[name] = value
	}
	return entry
}
