package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/IBM/sarama"
)

// Class sorts the many errors of clients and brokers into what a person or a
// caller can do about them. Its text is a metric label.
type Class string

// The classes.
const (
	Unreachable   Class = "unreachable"   // refused, no route, no such host, connection lost
	Timeout       Class = "timeout"       // nobody answered in time; also a broker's own time-out
	NotKafka      Class = "not_kafka"     // something answers, but not with the Kafka protocol
	TLS           Class = "tls"           // one side speaks TLS and the other does not, or a certificate is not trusted
	Auth          Class = "auth"          // SASL wanted, mechanism not offered, or credentials refused
	Authorization Class = "authorization" // known, but not allowed
	TopicMissing  Class = "topic_missing" // no such topic or partition
	TopicExists   Class = "topic_exists"  // create found it there already
	TooLarge      Class = "too_large"     // batch or record above the broker's limit
	Refused       Class = "refused"       // a record that the broker does not accept
	Timestamp     Class = "timestamp"     // records too far from the broker's time
	Invalid       Class = "invalid"       // malformed or forbidden request or setting
	Unsupported   Class = "unsupported"   // the broker does not know the request
	OutOfOrder    Class = "out_of_order"  // sequence does not follow what the leader holds of the producer
	Fenced        Class = "fenced"        // the leader holds a newer epoch of the producer
	Leader        Class = "leader"        // asked the wrong broker, no leader, or too few replicas just now: refresh and retry
	Other         Class = "other"
)

// Error is what the functions of this package return when a broker, or the way
// to it, is at fault. Err is the cause, kept for errors.Is.
type Error struct {
	Class Class
	Addr  string // host:port of the broker, or "" where no single one is meant
	Err   error
}

func (e *Error) Error() string {
	if e.Addr == "" {
		return e.Err.Error()
	}
	return e.Addr + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Definite reports whether the broker refused the records themselves for good:
// none of them was appended, and sending the same batch again cannot help.
// Everything else is temporary, is about something else than the records, or
// leaves open whether the batch was appended.
func (e *Error) Definite() bool {
	return e.Class == TooLarge || e.Class == Refused || e.Class == Timestamp
}

// ClassOf returns the class of the first Error in err's tree, Other if there is
// none, and "" for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Other
}

// errorf makes an Error whose cause is text, with %w keeping a deeper one.
func errorf(class Class, addr, format string, args ...any) *Error {
	return &Error{Class: class, Addr: addr, Err: fmt.Errorf(format, args...)}
}

// classify turns any error of a call to addr into an Error. It keeps one that
// is already there: our dialer makes them where it knows most.
func classify(addr string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		if e.Addr == "" && addr != "" {
			e = &Error{Class: e.Class, Addr: addr, Err: e.Err}
		}
		return e
	}
	// sarama wraps these in a way that hides the code from errors.As.
	for _, k := range []sarama.KError{
		sarama.ErrSASLAuthenticationFailed,
		sarama.ErrUnsupportedSASLMechanism,
		sarama.ErrIllegalSASLState,
	} {
		if errors.Is(err, k) {
			return saslError(addr, k, err)
		}
	}
	var k sarama.KError
	if errors.As(err, &k) {
		return errorf(classOfCode(k), addr, "%s%w", explainCode(k), quiet{err})
	}
	return netError(addr, err)
}

// netError names what the network says in few words.
func netError(addr string, err error) *Error {
	var (
		dns      *net.DNSError
		timeout  net.Error
		decoding sarama.PacketDecodingError
		encoding sarama.PacketEncodingError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return errorf(Unreachable, addr, "no such host: %w", err)
		}
		return errorf(Unreachable, addr, "name lookup: %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errorf(Unreachable, addr, "connection refused: no broker listens there%w", quiet{err})
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Error{Class: Unreachable, Addr: addr, Err: err}
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return errorf(Timeout, addr, "no answer in time%w", quiet{err})
	case hungUp(err), errors.Is(err, net.ErrClosed), errors.Is(err, sarama.ErrNotConnected):
		return errorf(Unreachable, addr, "connection lost%w", quiet{err})
	case errors.As(err, &decoding), errors.Is(err, sarama.ErrInsufficientData), errors.Is(err, errFetch):
		return errorf(NotKafka, addr, "answer does not follow the protocol: %w", err)
	case errors.As(err, &encoding):
		return errorf(TooLarge, addr, "request does not fit the protocol: %w", err)
	case errors.Is(err, sarama.ErrOutOfBrokers):
		return &Error{Class: Unreachable, Addr: addr, Err: err}
	}
	return &Error{Class: Other, Addr: addr, Err: err}
}

// hungUp reports whether the other side ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// quiet keeps a cause in the chain without repeating its text.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// saslError explains a refused authentication.
func saslError(addr string, k sarama.KError, err error) *Error {
	switch k {
	case sarama.ErrSASLAuthenticationFailed:
		return errorf(Auth, addr, "broker refused the credentials (check sasl.user, sasl.password_file and sasl.mechanism)%w", quiet{err})
	case sarama.ErrIllegalSASLState:
		return errorf(Auth, addr, "listener does not use SASL: remove sasl.mechanism, or use the port of a SASL listener%w", quiet{err})
	default:
		return errorf(Auth, addr, "broker does not offer this sasl.mechanism%w", quiet{err})
	}
}

// manyErrors is one failed attempt at each of several brokers.
type manyErrors []error

func (m manyErrors) Error() string {
	texts := make([]string, len(m))
	for i, err := range m {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (m manyErrors) Unwrap() []error { return m }

// combine makes one Error of a failure per broker. Its class is the most telling
// one: of a dead broker and one that refuses our password, the password is what
// a person has to look at.
func combine(errs []*Error) *Error {
	if len(errs) == 1 {
		return errs[0]
	}
	class := errs[0].Class
	var all manyErrors
	for _, e := range errs {
		if class == Unreachable || class == Timeout {
			class = e.Class
		}
		all = append(all, e)
	}
	return &Error{Class: class, Err: all}
}
