package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/IBM/sarama"
)

func TestErrorsAreSortedByWhatCanBeDone(t *testing.T) {
	for _, tt := range []struct {
		err      error
		want     Class
		definite bool
	}{
		{sarama.ErrMessageSizeTooLarge, TooLarge, true},
		{sarama.ErrMessageSetSizeTooLarge, TooLarge, true},
		{sarama.ErrInvalidRecord, Refused, true},
		{sarama.ErrInvalidTimestamp, Timestamp, true},
		// Wrong, but not because of the records: a shipper must keep them.
		{sarama.ErrUnsupportedCompressionType, Invalid, false},
		{sarama.ErrInvalidTopic, Invalid, false},
		{sarama.ErrPolicyViolation, Invalid, false},
		{sarama.ErrOutOfOrderSequenceNumber, OutOfOrder, false},
		{sarama.ErrUnknownProducerID, OutOfOrder, false},
		{sarama.ErrInvalidProducerEpoch, Fenced, false},
		{sarama.ErrProducerFenced, Fenced, false},
		{sarama.ErrUnsupportedVersion, Unsupported, false},
		{sarama.ErrNotLeaderForPartition, Leader, false},
		{sarama.ErrNotEnoughReplicas, Leader, false},
		{sarama.ErrNotEnoughReplicasAfterAppend, Leader, false},
		{sarama.ErrOffsetsLoadInProgress, Leader, false},
		{sarama.ErrRequestTimedOut, Timeout, false},
		{sarama.ErrUnknownTopicOrPartition, TopicMissing, false},
		{sarama.ErrTopicAlreadyExists, TopicExists, false},
		{sarama.ErrTopicAuthorizationFailed, Authorization, false},
		{sarama.ErrInvalidMessage, Other, false}, // bad checksum: damaged on the way
		{sarama.Wrap(sarama.ErrSASLAuthenticationFailed, errors.New("no")), Auth, false},
		{sarama.Wrap(sarama.ErrOutOfBrokers, sarama.Wrap(sarama.ErrSASLAuthenticationFailed, errors.New("no"))), Auth, false},
		{sarama.Wrap(sarama.ErrOutOfBrokers, errorf(TLS, "h:1", "x")), TLS, false},
		{sarama.Wrap(sarama.ErrOutOfBrokers), Unreachable, false},
		{sarama.ErrNotConnected, Unreachable, false},
		{sarama.ErrInsufficientData, NotKafka, false},
		{sarama.PacketDecodingError{Info: "x"}, NotKafka, false},
		{sarama.PacketEncodingError{Info: "x"}, TooLarge, true},
		{io.EOF, Unreachable, false},
		{fmt.Errorf("read: %w", syscall.ECONNRESET), Unreachable, false},
		{syscall.EHOSTUNREACH, Unreachable, false},
		{&net.DNSError{Err: "server misbehaving", Name: "h"}, Unreachable, false},
		{os.ErrDeadlineExceeded, Timeout, false},
		{context.DeadlineExceeded, Timeout, false},
		{errors.New("something new"), Other, false},
		{sarama.KError(999), Other, false},
	} {
		e := classify("h:1", tt.err)
		if e.Class != tt.want || e.Definite() != tt.definite {
			t.Errorf("%v: class %q definite %v, want %q %v", tt.err, e.Class, e.Definite(), tt.want, tt.definite)
		}
		if !errors.Is(e, tt.err) && tt.want != TLS {
			t.Errorf("%v: the cause is lost", tt.err)
		}
		if e.Addr != "h:1" {
			t.Errorf("%v: the address is lost", tt.err)
		}
	}
	if got := ClassOf(nil); got != "" {
		t.Errorf("ClassOf(nil) = %q", got)
	}
	if got := ClassOf(io.EOF); got != Other {
		t.Errorf("ClassOf of a foreign error = %q, want %q", got, Other)
	}
}

func TestErrorNamesTheAddressOnce(t *testing.T) {
	e := classify("10.0.0.5:9092", errorf(Timeout, "10.0.0.5:9092", "no answer in time"))
	if got, want := e.Error(), "10.0.0.5:9092: no answer in time"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	if got, want := errorf(TopicMissing, "", "topic is gone").Error(), "topic is gone"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}
