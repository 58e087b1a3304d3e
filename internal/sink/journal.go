package sink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"eventline/internal/event"
)

// JournalSocket is where systemd's journal listens for native entries.
const JournalSocket = "/run/systemd/journal/socket"

// journalPatience is how long a full journal may keep a write waiting before the
// caller hears of it.
const journalPatience = 2 * time.Second

// Journal writes decisions as entries of systemd's journal: the message is the
// classic line, and `journalctl BUCKET=high` finds by field. It is safe for
// concurrent use.
//
// It speaks the native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL)
// itself: go-systemd's journal.Send waits without bound for a full journal, and
// knows no other socket than the machine's, which tests do not have.
type Journal struct {
	socket, identifier string
	patience           time.Duration

	mu   sync.Mutex
	conn *net.UnixConn // nil while not connected
	buf  []byte
}

// NewJournal returns a Journal that writes to a socket, usually JournalSocket. Its
// entries carry the identifier, the program's name. It connects at the first
// write, and anew when the journal was restarted.
func NewJournal(socket, identifier string) *Journal {
	return &Journal{socket: socket, identifier: identifier, patience: journalPatience}
}

// Write writes an entry for each decision. It returns how many the journal has,
// all of them unless there is an error. It blocks while the journal is full, but
// not for ever.
func (j *Journal) Write(lines []event.Line) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range lines {
		if cap(j.buf) > maxKept {
			j.buf = nil
		}
		j.buf = j.appendEntry(j.buf[:0], &lines[i])
		if err := j.send(j.buf); err != nil {
			return i, fmt.Errorf("send decisions to the journal (%d of %d): %w", i, len(lines), err)
		}
	}
	return len(lines), nil
}

// Close frees the connection.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.disconnect()
}

func (j *Journal) disconnect() error {
	if j.conn == nil {
		return nil
	}
	err := j.conn.Close()
	j.conn = nil
	return err
}

func (j *Journal) appendEntry(dst []byte, l *event.Line) []byte {
	field := func(name string, value []byte) {
		dst = append(dst, name...)
		if bytes.IndexByte(value, '\n') < 0 {
			dst = append(dst, '=')
		} else {
			// With its length, so that a newline in an id can't forge a field.
			dst = append(dst, '\n')
			dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
		}
		dst = append(dst, value...)
		dst = append(dst, '\n')
	}
	var space [512]byte
	field("MESSAGE", l.AppendClassic(space[:0]))
	field("PRIORITY", []byte{'6'}) // informational
	field("SYSLOG_IDENTIFIER", []byte(j.identifier))
	field("BUCKET", []byte(l.Bucket))
	field("EVENT_ID", l.ID)
	field("PRICE", l.Price.AppendPython(space[:0]))
	field("TOPIC", []byte(l.Topic))
	field("PARTITION", strconv.AppendInt(space[:0], int64(l.Partition), 10))
	field("OFFSET", strconv.AppendInt(space[:0], l.Offset, 10))
	return dst
}

// send sends one entry. A connection that was good until now may have lost its
// journal to a restart, which is worth one more attempt.
func (j *Journal) send(entry []byte) error {
	fresh := j.conn == nil
	for {
		if j.conn == nil {
			conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.socket, Net: "unixgram"})
			if err != nil {
				return err
			}
			j.conn = conn
		}
		err := j.attempt(entry)
		if err == nil {
			return nil
		}
		_ = j.disconnect()
		if fresh || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		fresh = true
	}
}

func (j *Journal) attempt(entry []byte) error {
	if err := j.conn.SetWriteDeadline(time.Now().Add(j.patience)); err != nil {
		return err
	}
	_, err := j.conn.Write(entry)
	if !errors.Is(err, syscall.EMSGSIZE) && !errors.Is(err, syscall.ENOBUFS) {
		return err
	}
	// Too large for a datagram: the protocol wants it in a sealed memory file.
	fd, err := unix.MemfdCreate("journal-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // the journal has its own descriptor of it
	for at := 0; at < len(entry); {
		n, err := unix.Write(fd, entry[at:])
		if err != nil {
			return fmt.Errorf("write memory file: %w", err)
		}
		at += n
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal memory file: %w", err)
	}
	return j.pass(fd)
}

// pass sends an open file. UnixConn.WriteMsgUnix refuses to on a connected
// datagram socket.
func (j *Journal) pass(fd int) error {
	raw, err := j.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(socket uintptr) bool {
		sent = unix.Sendmsg(int(socket), nil, unix.UnixRights(fd), nil, 0)
		return !errors.Is(sent, unix.EAGAIN)
	})
	if err == nil {
		err = sent
	}
	return err
}
