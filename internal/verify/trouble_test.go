package verify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/kafka/kafkatest"
)

// wantTrouble runs the judge and wants an error.
func wantTrouble(t *testing.T, ctx context.Context, c Connection, s *shop, o Options, want string) {
	t.Helper()
	a, err := Load(s.save())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, c, a, o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestNobodyAtTheAddressIsAnError(t *testing.T) {
	c := connectionTo("127.0.0.1:1")
	c.RequestTimeout = time.Second
	wantTrouble(t, within(t), c, newShop(t, 1), options(), "connection refused")
}

func TestMissingTopicIsAnError(t *testing.T) {
	k := kafkatest.Start(t)
	wantTrouble(t, within(t), connectionTo(k.Addr), newShop(t, 1), options(), `read topic "events": there is no such topic`)
}

func TestEndsWhenToldTo(t *testing.T) {
	s := newShop(t, 10)
	k := broker(t, s.lines[:5])
	ctx, cancel := context.WithCancelCause(within(t))
	o := options()
	o.Wait = time.Hour
	o.Progress = func(int64, int64) { cancel(errors.New("received interrupt")) }
	wantTrouble(t, ctx, connectionTo(k.Addr), s, o, "received interrupt")
}

func TestBrokerThatDiesWhileReadingIsAnError(t *testing.T) {
	s := newShop(t, 10)
	k := broker(t, s.lines)
	c := connectionTo(k.Addr)
	c.RequestTimeout = 300 * time.Millisecond
	dead := make(chan struct{})
	k.Cluster().ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().KeepControl()
		select {
		case <-dead:
		default:
			close(dead)
		}
		return nil, errors.New("the connection breaks"), true
	})
	wantTrouble(t, within(t), c, s, options(), `read topic "events": partition 0 at offset 0`)
	<-dead
}

func TestRecordsThatNeverComeAreAnError(t *testing.T) {
	s := newShop(t, 10)
	k := broker(t, s.lines)
	k.Cluster().ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster().KeepControl()
		return fetchAnswer(req, 0), nil, true
	})
	c := connectionTo(k.Addr)
	c.RequestTimeout = 300 * time.Millisecond
	wantTrouble(t, within(t), c, s, options(), "partition 0 at offset 0: nothing came for 300ms, and the end is at 10")
}

// fetchAnswer is one to a fetch of one partition, with an error or without anything.
func fetchAnswer(req kmsg.Request, code int16) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	asked := req.(*kmsg.FetchRequest).Topics[0]
	rt := kmsg.NewFetchResponseTopic()
	rt.Topic, rt.TopicID = asked.Topic, asked.TopicID
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.Partition, rp.ErrorCode = 0, code
	rt.Partitions = append(rt.Partitions, rp)
	resp.Topics = append(resp.Topics, rt)
	return resp
}

func TestTroubleThatPassesIsWaitedFor(t *testing.T) {
	s := newShop(t, 10)
	k := broker(t, s.lines)
	refusals := 3
	k.Cluster().ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if refusals == 0 {
			return nil, nil, false
		}
		refusals--
		k.Cluster().KeepControl()
		return fetchAnswer(req, kerr.NotLeaderForPartition.Code), nil, true
	})
	wantClasses(t, judgement(t, k.Addr, s.save()), nil)
	if refusals != 0 {
		t.Errorf("%d refusals are left", refusals)
	}
}

func TestSASLPasswordsAreUsed(t *testing.T) {
	s := newShop(t, 10)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k := kafkatest.Start(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "judge", "secret"), kfake.SeedTopics(1, "events"))
		c := connectionTo(k.Addr)
		c.Mechanism, c.User, c.Password = mechanism, "judge", "secret"
		a, err := Load(s.save())
		if err != nil {
			t.Fatal(err)
		}
		rep, err := Run(within(t), c, a, options())
		if err != nil || rep.Lines[Missing].Count != 10 {
			t.Errorf("%s: %v", mechanism, err)
		}
		c.Password, c.RequestTimeout = "wrong", time.Second
		if _, err := Run(within(t), c, a, options()); err == nil {
			t.Errorf("%s: a wrong password is no error", mechanism)
		}
	}
	c := connectionTo("127.0.0.1:1")
	c.Mechanism = "GSSAPI"
	wantTrouble(t, within(t), c, s, options(), "sasl.mechanism: GSSAPI is not supported here")
}
