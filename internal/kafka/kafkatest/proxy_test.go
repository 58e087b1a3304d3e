package kafkatest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// through is a producer whose only way to the broker is the proxy.
func through(t *testing.T, p *Proxy, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.Addr()), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// advertised is a broker that tells its clients the proxy's address.
func advertised(t *testing.T) (*Fake, *Proxy) {
	t.Helper()
	k := Start(t)
	CreateTopic(t, k.Addr, "events", 1)
	p := StartProxy(t, k.Addr)
	return k, p
}

func TestProxyHoldsTheRequestOfADeadClient(t *testing.T) {
	k, p := advertised(t)
	p.Hold(Metadata)
	ctx, die := context.WithCancel(context.Background())
	asked := make(chan error, 1)
	cl := through(t, p)
	go func() { asked <- cl.Ping(ctx) }()
	WaitFor(t, "a held request", func() bool { return p.Held() > 0 })
	p.Hold()
	die()
	<-asked
	cl.Close()
	if p.Held() == 0 {
		t.Error("the request died with its client")
	}
	p.Release()
	if n := p.Held(); n != 0 {
		t.Errorf("%d requests are held after Release", n)
	}
	Produce(t, k.Addr, "events", 0, "still there")
}

func TestProxySwallowsAnswers(t *testing.T) {
	_, p := advertised(t)
	p.Swallow(Metadata)
	ctx, die := context.WithCancel(context.Background())
	asked := make(chan error, 1)
	cl := through(t, p)
	go func() { asked <- cl.Ping(ctx) }()
	WaitFor(t, "a swallowed answer", func() bool { return p.Swallowed() > 0 })
	select {
	case err := <-asked:
		t.Errorf("an answer came: %v", err)
	default:
	}
	p.Swallow()
	die()
	<-asked
	if err := through(t, p).Ping(context.Background()); err != nil {
		t.Errorf("after that: %v", err)
	}
}
