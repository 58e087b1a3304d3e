package kafkatest

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// The requests that tests hold or leave without an answer, by Kafka's numbers.
const (
	Producing         int16 = 0
	Fetch             int16 = 1
	ListOffsets       int16 = 2
	Metadata          int16 = 3
	InitProducerID    int16 = 22
	DescribeProducers int16 = 61
)

// Proxy is a network between a client and a broker that can hold a request and hand
// it over later, also when who sent it is long dead, swallow answers, and cut
// connections.
type Proxy struct {
	target string
	ln     net.Listener

	mu        sync.Mutex
	changed   *sync.Cond
	links     []*link
	holding   []int16 // kinds of requests that are held from now on
	swallowed []int16 // kinds of requests whose answers are
	lost      int     // answers that were swallowed
	counts    map[int16]int
	closed    bool
}

// link is one connection through a Proxy.
type link struct {
	client, broker net.Conn
	// The rest is under the Proxy's mu.
	held        [][]byte // frames, in order: what comes after a held one is held too
	waiting     []asked  // sent, and not answered
	gone, ended bool     // the client is; the broker is
}

type asked struct {
	correlation int32
	kind        int16
	mute        bool // its answer is swallowed
}

// StartProxy starts one on a free port of loopback, which ends with the test. Nothing
// needs to listen at the target yet.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, ln: ln, counts: make(map[int16]int)}
	p.changed = sync.NewCond(&p.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Cut()
		running.Wait()
	})
	return p
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	broker, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer broker.Close()
	l := &link{client: client, broker: broker}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.links = append(p.links, l)
	p.mu.Unlock()
	answered := make(chan struct{})
	go func() { defer close(answered); p.answers(l) }()
	p.requests(l)
	p.mu.Lock()
	l.gone = true
	p.changed.Broadcast()
	for len(l.held) > 0 && !l.ended { // it is dead, its requests are not
		p.changed.Wait()
	}
	for len(l.waiting) > 0 && !l.ended {
		p.changed.Wait()
	}
	p.links = slices.DeleteFunc(p.links, func(other *link) bool { return other == l })
	p.mu.Unlock()
	_ = broker.Close()
	<-answered
}

// requests hands over what the client sends, until it ends.
func (p *Proxy) requests(l *link) {
	for {
		frame, err := readFrame(l.client)
		if err != nil || len(frame) < 12 {
			return
		}
		p.mu.Lock()
		kind := int16(binary.BigEndian.Uint16(frame[4:]))
		p.counts[kind]++
		if len(l.held) > 0 || slices.Contains(p.holding, kind) {
			l.held = append(l.held, frame)
		} else if err = p.send(l, frame); err != nil {
			p.mu.Unlock()
			return
		}
		p.changed.Broadcast()
		p.mu.Unlock()
	}
}

// send writes a request to the broker. It is called with mu held.
func (p *Proxy) send(l *link, frame []byte) error {
	kind := int16(binary.BigEndian.Uint16(frame[4:]))
	l.waiting = append(l.waiting, asked{int32(binary.BigEndian.Uint32(frame[8:])), kind, slices.Contains(p.swallowed, kind)})
	_, err := l.broker.Write(frame)
	return err
}

// answers hands over what the broker says, until it ends.
func (p *Proxy) answers(l *link) {
	defer func() {
		p.mu.Lock()
		l.ended = true
		_ = l.client.Close()
		p.changed.Broadcast()
		p.mu.Unlock()
	}()
	for {
		frame, err := readFrame(l.broker)
		if err != nil || len(frame) < 8 {
			return
		}
		correlation := int32(binary.BigEndian.Uint32(frame[4:]))
		p.mu.Lock()
		mute := false
		if i := slices.IndexFunc(l.waiting, func(a asked) bool { return a.correlation == correlation }); i >= 0 {
			mute = l.waiting[i].mute
			l.waiting = slices.Delete(l.waiting, i, i+1)
		}
		if mute {
			p.lost++
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		if !mute {
			_, _ = l.client.Write(frame) // a dead client's answers go nowhere
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

// Hold keeps back requests of these kinds, and what comes after them on the same
// connection. None lets them pass again, but for those that are held already.
func (p *Proxy) Hold(kinds ...int16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = kinds
}

// Held is how many requests are kept back.
func (p *Proxy) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.links {
		n += len(l.held)
	}
	return n
}

// Release hands over what was held, and returns when the broker has answered all of
// it, or has closed the connection.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range slices.Clone(p.links) {
		if len(l.held) == 0 {
			continue
		}
		for len(l.held) > 0 && p.send(l, l.held[0]) == nil {
			l.held = l.held[1:]
		}
		l.held = nil
		p.changed.Broadcast()
		for len(l.waiting) > 0 && !l.ended {
			p.changed.Wait()
		}
	}
}

// Swallow loses the answers to requests of these kinds that are handed over from now
// on. None ends that.
func (p *Proxy) Swallow(kinds ...int16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallowed = kinds
}

// Swallowed is how many answers were lost so far.
func (p *Proxy) Swallowed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Requests is how many of a kind clients have sent so far.
func (p *Proxy) Requests(kind int16) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[kind]
}

// Cut breaks every connection, and what is held is lost with it.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.held = nil
		_ = l.client.Close()
		_ = l.broker.Close()
	}
	p.changed.Broadcast()
}
