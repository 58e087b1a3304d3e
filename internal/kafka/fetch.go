package kafka

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// Fetch is the one request that we write and read by hand. The library would unpack
// every batch of an answer, whoever made it, without any bound, and forget the offset
// of one that compaction has emptied. Version 10, of Kafka 2.1, is the first one that
// brings zstd, and every later broker has it.
const (
	keyFetch     = 1
	fetchVersion = 10
	// fetchSize is about how much a broker puts into one answer. One batch comes
	// whole, however large it is (KIP-74).
	fetchSize = 4 << 20
	// fetchWait is how long a broker waits for a first record, which is there.
	fetchWait = 500 * time.Millisecond
)

// appendFetch writes a Fetch of one partition, by a consumer that reads what is not
// committed too, outside of any session.
func appendFetch(b []byte, correlation int32, client, topic string, partition, epoch int32, offset int64, most int32) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, keyFetch)
	b = binary.BigEndian.AppendUint16(b, fetchVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	b = appendString(b, client)
	minus := ^uint32(0)
	b = binary.BigEndian.AppendUint32(b, minus) // replica
	b = binary.BigEndian.AppendUint32(b, uint32(fetchWait/time.Millisecond))
	b = binary.BigEndian.AppendUint32(b, 1) // least bytes
	b = binary.BigEndian.AppendUint32(b, uint32(most))
	b = append(b, 0)                            // isolation: read uncommitted
	b = binary.BigEndian.AppendUint32(b, 0)     // session
	b = binary.BigEndian.AppendUint32(b, minus) // and its epoch
	b = binary.BigEndian.AppendUint32(b, 1)     // topics
	b = appendString(b, topic)
	b = binary.BigEndian.AppendUint32(b, 1) // partitions
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	b = binary.BigEndian.AppendUint32(b, uint32(epoch))
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint64(b, ^uint64(0)) // log start, of replicas
	b = binary.BigEndian.AppendUint32(b, uint32(most))
	b = binary.BigEndian.AppendUint32(b, 0) // topics to forget
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// fetched is the answer to a Fetch up to its records.
type fetched struct {
	code          sarama.KError
	highWatermark int64
	records       int // bytes that follow
}

// errFetch is an answer that does not follow the protocol.
var errFetch = errors.New("answer to Fetch does not follow the protocol")

// fetcher reads the answers of a connection that nobody else reads from any more.
type fetcher struct {
	conn        net.Conn
	timeout     time.Duration
	in          io.Reader
	correlation int32
	request     []byte
}

// deadline lets each wait for the network take so long and no longer; all together
// may take longer, as long as something comes.
type deadline struct {
	net.Conn
	timeout time.Duration
}

func (d deadline) Read(p []byte) (int, error) {
	_ = d.SetReadDeadline(time.Now().Add(d.timeout))
	return d.Conn.Read(p)
}

// newFetcher takes a connection over from the library, which has authenticated and
// waits for no answer.
func newFetcher(nc net.Conn, timeout time.Duration) *fetcher {
	return &fetcher{conn: nc, timeout: timeout, in: bufio.NewReaderSize(deadline{nc, timeout}, 64<<10)}
}

// ask sends a Fetch and reads the answer up to its records.
func (f *fetcher) ask(client, topic string, partition, epoch int32, offset int64, most int32) (fetched, error) {
	f.correlation++
	f.request = appendFetch(f.request[:0], f.correlation, client, topic, partition, epoch, offset, most)
	_ = f.conn.SetWriteDeadline(time.Now().Add(f.timeout))
	if _, err := f.conn.Write(f.request); err != nil {
		return fetched{}, err
	}
	return parseFetch(f.in, f.correlation, topic, partition)
}

// parseFetch reads an answer up to its records.
func parseFetch(in io.Reader, correlation int32, topic string, partition int32) (fetched, error) {
	r := fields{in: in, left: 1 << 30}
	size := int(r.int32())
	if r.err == nil && size < 0 {
		r.err = errFetch
	}
	r.left = size
	if got := r.int32(); r.err == nil && got != correlation {
		return fetched{}, fmt.Errorf("%w: it is for request %d, not %d", errFetch, got, correlation)
	}
	r.int32() // throttled for so long
	f := fetched{code: sarama.KError(r.int16())}
	r.int32() // session
	topics := r.int32()
	if r.err != nil {
		return f, r.err
	}
	if f.code != sarama.ErrNoError && topics == 0 {
		return f, nil // of the request as a whole
	}
	name, partitions, id := r.string(), r.int32(), r.int32()
	if r.err == nil && (topics != 1 || name != topic || partitions != 1 || id != partition) {
		return f, fmt.Errorf("%w: it is not for one partition", errFetch)
	}
	code := sarama.KError(r.int16())
	if f.code == sarama.ErrNoError {
		f.code = code
	}
	f.highWatermark = r.int64()
	r.int64() // last stable offset
	r.int64() // log start
	for aborted := r.int32(); aborted > 0 && r.err == nil; aborted-- {
		r.int64()
		r.int64()
	}
	f.records = max(int(r.int32()), 0) // -1 is null
	if r.err == nil && f.records != r.left {
		r.err = errFetch
	}
	return f, r.err
}

// fields reads an answer's fields one after the other. After an error everything is
// zero.
type fields struct {
	in   io.Reader
	left int // of the answer
	err  error
	buf  [8]byte
}

func (f *fields) bytes(n int) []byte {
	b := f.buf[:n]
	clear(b)
	if f.err == nil && f.left < n {
		f.err = errFetch
	}
	if f.err == nil {
		f.left -= n
		if _, f.err = io.ReadFull(f.in, b); f.err != nil {
			clear(b)
		}
	}
	return b
}

func (f *fields) int16() int16 { return int16(binary.BigEndian.Uint16(f.bytes(2))) }
func (f *fields) int32() int32 { return int32(binary.BigEndian.Uint32(f.bytes(4))) }
func (f *fields) int64() int64 { return int64(binary.BigEndian.Uint64(f.bytes(8))) }

func (f *fields) string() string {
	n := int(f.int16())
	if f.err == nil && (n < 0 || n > f.left) {
		f.err = errFetch
	}
	if f.err != nil {
		return ""
	}
	b := make([]byte, n) // a topic's name: 32 KiB at most
	f.left -= n
	_, f.err = io.ReadFull(f.in, b)
	return string(b)
}
