package kafka

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Requests written by hand. They are few bytes, and they go to addresses that
// may not be brokers at all.
const (
	keyMetadata      = 3
	keySaslHandshake = 17
	keyAPIVersions   = 18
)

// explain says why addr did not give a Kafka answer to the first request: head
// is what came instead, err why no more came. It may connect again to see
// whether the other protocol works.
func (d *dialer) explain(addr string, head []byte, err error) *Error {
	if len(head) > 0 {
		return d.explainBytes(addr, head)
	}
	if d.tls != nil {
		// TLS 1.3 tells only now that it wanted another client certificate.
		if e := alertError(addr, err); e != nil {
			return e
		}
	} else if e := d.tryTLS(addr); e != nil {
		return e
	}
	if ne := netError(addr, err); ne.Class == Timeout {
		if d.tls == nil && d.answersHTTP(addr) {
			return speaksHTTP(addr)
		}
		return errorf(Timeout, addr, "accepts the connection but does not answer within %s: not a Kafka broker, or it hangs%w", d.timeout, quiet{err})
	}
	return errorf(NotKafka, addr, "closes the connection at the first request: not a Kafka broker, or it is stopping%w", quiet{err})
}

// explainBytes names a protocol by its first bytes.
func (d *dialer) explainBytes(addr string, head []byte) *Error {
	switch {
	case isTLSRecord(head):
		return speaksTLS(addr)
	case bytes.HasPrefix(head, []byte("HTTP/")):
		return speaksHTTP(addr)
	default:
		return errorf(NotKafka, addr, "answers, but not with the Kafka protocol")
	}
}

// isTLSRecord recognises an alert or a handshake record of any version.
func isTLSRecord(b []byte) bool {
	return len(b) >= 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
}

func speaksTLS(addr string) *Error {
	return errorf(TLS, addr, "speaks TLS: set tls.enabled: true, or use the port of its plain-text listener")
}

func speaksHTTP(addr string) *Error {
	return errorf(NotKafka, addr, "answers, but with HTTP, not with the Kafka protocol")
}

// second is how long an attempt with another protocol may take: the first one
// has shown that connections are made quickly.
func (d *dialer) second() time.Duration { return min(d.timeout, 2*time.Second) }

// tryTLS returns an Error if addr turns out to speak TLS, or if it cannot even
// be connected to any more.
func (d *dialer) tryTLS(addr string) *Error {
	ctx, cancel := context.WithTimeout(d.ctx, d.second())
	defer cancel()
	nc, err := d.tcp(ctx, addr)
	if err != nil {
		return classify(addr, err)
	}
	defer nc.Close()
	// Only the protocol is of interest: nothing is sent over this connection,
	// so nobody needs to be trusted.
	err = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	if _, alert := remoteAlert(err); err == nil || alert {
		return speaksTLS(addr)
	}
	return nil
}

// explainTLS says why a TLS handshake with addr did not succeed.
func (d *dialer) explainTLS(addr string, err error) error {
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		header    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return errorf(TLS, addr, "certificate is signed by an authority that is not trusted: set tls.ca_file: %w", err)
	case errors.As(err, &host):
		return errorf(TLS, addr, "certificate is for another name: set tls.server_name, or use an address it is for: %w", err)
	case errors.As(err, &invalid):
		return errorf(TLS, addr, "certificate is not valid: %w", err)
	}
	if e := alertError(addr, err); e != nil {
		return e
	}
	if errors.As(err, &header) && bytes.HasPrefix(header.RecordHeader[:], []byte("HTTP/")) {
		return errorf(NotKafka, addr, "answers, but with HTTP, not with TLS and the Kafka protocol")
	}
	if d.answersPlain(addr) {
		return errorf(TLS, addr, "speaks Kafka without TLS: set tls.enabled: false, or use the port of its TLS listener%w", quiet{err})
	}
	if e := netError(addr, err); e.Class == Timeout {
		return errorf(Timeout, addr, "accepts the connection but does not begin TLS within %s%w", d.timeout, quiet{err})
	}
	if _, err := d.probe(addr); err != nil && ClassOf(err) == Unreachable {
		return err
	}
	return errorf(NotKafka, addr, "answers neither with TLS nor with the Kafka protocol%w", quiet{err})
}

// remoteAlert returns the text of a TLS alert the other side sent.
func remoteAlert(err error) (string, bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error(), true
	}
	return "", false
}

func alertError(addr string, err error) *Error {
	text, ok := remoteAlert(err)
	if !ok {
		return nil
	}
	if strings.Contains(text, "certificate") {
		return errorf(TLS, addr, "broker wants another client certificate (tls.cert_file and tls.key_file): %w", err)
	}
	return errorf(TLS, addr, "broker refused the TLS handshake: %w", err)
}

// probe connects without TLS.
func (d *dialer) probe(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.second())
	defer cancel()
	return d.tcp(ctx, addr)
}

// answersPlain reports whether addr answers a plain-text ApiVersions request.
func (d *dialer) answersPlain(addr string) bool {
	nc, err := d.probe(addr)
	if err != nil {
		return false
	}
	defer nc.Close()
	_, err = d.ask(nc, keyAPIVersions, 0, nil)
	return err == nil
}

// answersHTTP reports whether addr, which waits for more after our first
// request, is a web server.
func (d *dialer) answersHTTP(addr string) bool {
	nc, err := d.probe(addr)
	if err != nil {
		return false
	}
	defer nc.Close()
	stop := context.AfterFunc(d.ctx, func() { _ = nc.Close() })
	defer stop()
	_ = nc.SetDeadline(time.Now().Add(d.second()))
	if _, err := nc.Write([]byte("OPTIONS * HTTP/1.0\r\n\r\n")); err != nil {
		return false
	}
	head := make([]byte, 5)
	n, _ := readAtLeast(nc, head, len(head))
	return string(head[:n]) == "HTTP/"
}

// ask sends one request in its oldest form and returns the answer's body.
func (d *dialer) ask(nc net.Conn, key, version int16, body []byte) ([]byte, error) {
	const correlation = 1
	stop := context.AfterFunc(d.ctx, func() { _ = nc.Close() })
	defer stop()
	_ = nc.SetDeadline(time.Now().Add(d.second()))
	msg := binary.BigEndian.AppendUint16(make([]byte, 4, 64), uint16(key))
	msg = binary.BigEndian.AppendUint16(msg, uint16(version))
	msg = binary.BigEndian.AppendUint32(msg, correlation)
	msg = appendString(msg, d.id)
	msg = append(msg, body...)
	binary.BigEndian.PutUint32(msg, uint32(len(msg)-4))
	if _, err := nc.Write(msg); err != nil {
		return nil, err
	}
	head := make([]byte, 8)
	if _, err := readAtLeast(nc, head, len(head)); err != nil {
		return nil, err
	}
	if !isSize(head) || binary.BigEndian.Uint32(head[4:]) != correlation {
		return nil, errorf(NotKafka, "", "answers, but not with the Kafka protocol")
	}
	answer := make([]byte, binary.BigEndian.Uint32(head)-4)
	_, err := readAtLeast(nc, answer, len(answer))
	return answer, err
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// wantsSASL returns an Error if addr is a listener that talks only to those who
// authenticate. Such a listener answers ApiVersions and closes the connection at
// anything else, which looks like a broker that stopped; so both are tried.
func (d *dialer) wantsSASL(addr string) *Error {
	nc, err := d.connect(addr)
	if err != nil {
		return nil
	}
	defer nc.Close()
	if _, err := d.ask(nc, keyAPIVersions, 0, nil); err != nil {
		return nil
	}
	// Metadata v4 of no topics, creating none.
	if _, err := d.ask(nc, keyMetadata, 4, []byte{0, 0, 0, 0, 0}); err == nil {
		return nil
	}
	offers := d.mechanisms(addr)
	if len(offers) == 0 {
		return nil
	}
	return errorf(Auth, addr, "wants SASL (%s): set sasl.mechanism, sasl.user and sasl.password_file", strings.Join(offers, ", "))
}

// mechanisms asks a listener which SASL mechanisms it offers, by asking for one
// that does not exist (KIP-43). It returns nil where it does not tell.
func (d *dialer) mechanisms(addr string) []string {
	nc, err := d.connect(addr)
	if err != nil {
		return nil
	}
	defer nc.Close()
	answer, err := d.ask(nc, keySaslHandshake, 1, appendString(nil, "?"))
	if err != nil {
		return nil
	}
	return parseMechanisms(answer)
}

// parseMechanisms reads a SaslHandshake answer: error code, then the names.
func parseMechanisms(answer []byte) []string {
	if len(answer) < 6 || sarama.KError(binary.BigEndian.Uint16(answer)) != sarama.ErrUnsupportedSASLMechanism {
		return nil
	}
	n, rest := binary.BigEndian.Uint32(answer[2:]), answer[6:]
	var names []string
	for range n {
		if len(rest) < 2 {
			return nil
		}
		size := int(binary.BigEndian.Uint16(rest))
		if len(rest) < 2+size {
			return nil
		}
		names = append(names, string(rest[2:2+size]))
		rest = rest[2+size:]
	}
	return names
}
