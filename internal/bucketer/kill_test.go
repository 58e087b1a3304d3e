package bucketer_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/admin"
	"eventline/internal/bucketer"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/sink"
)

// tape is the standard output of all lives of a bucketer.
type tape struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *tape) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// count tells how often each line is there.
func (s *tape) count() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := make(map[string]int)
	for line := range strings.Lines(s.text.String()) {
		n[line]++
	}
	return n
}

// TestStoppingAgainAndAgainLosesNoLine stops a bucketer at arbitrary points of a
// backlog that keeps growing. What a stopped one printed is committed, so that the
// next one leaves nothing out and prints nothing again.
func TestStoppingAgainAndAgainLosesNoLine(t *testing.T) {
	const lives, each = 5, 3000
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", 2)
	var out tape
	cfg := bucketer.Default()
	cfg.Brokers = []string{k.Addr}
	cfg.Print = sink.PrintAll
	cfg.Admin.Listen = admin.Off
	cfg.Retry.Initial, cfg.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	process := daemon.Process{
		Name: "bucketer", Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel),
		Environment: daemon.Environment{Stdout: &out},
	}

	want := make(map[string]bool)
	for life := range lives {
		for p := range int32(2) {
			var values []string
			for i := range each {
				offset := life*each + i
				values = append(values, fmt.Sprintf(`{"event_id":"%d-%d","price":20}`, p, offset))
				want[fmt.Sprintf("offset=%d key=None bucket=low event_id=%d-%d price=20\n", offset, p, offset)] = true
			}
			kafkatest.Produce(t, k.Addr, "events", p, values...)
		}
		app, err := bucketer.New(cfg, process)
		if err != nil {
			t.Fatalf("new: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- app.Run(ctx) }()
		// Stop in the middle of what there is; the last life may finish.
		until := life*2*each + each/2
		if life == lives-1 {
			until = len(want)
		}
		kafkatest.WaitFor(t, fmt.Sprintf("%d lines", until), func() bool { return len(out.count()) >= until })
		stop()
		if err := <-ended; err != nil {
			t.Fatalf("run: %v", err)
		}
	}

	got := out.count()
	for line := range want {
		if got[line] == 0 {
			t.Fatalf("never printed: %s", line)
		}
	}
	again := 0
	for line, n := range got {
		if !want[line] {
			t.Fatalf("printed, but is no record: %q", line)
		}
		again += n - 1
	}
	if again > 0 {
		t.Errorf("%d lines were printed again after a stop in good order", again)
	}
}
