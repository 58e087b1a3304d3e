package bucketer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"eventline/internal/admin"
	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
	"eventline/internal/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that must come.
const patience = time.Minute

// screen is standard output.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	err  error // what Write fails with
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.text.Write(p)
}

func (s *screen) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(strings.Lines(s.text.String()))
}

func (s *screen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// rig is a bucketer in the test's process.
type rig struct {
	t      *testing.T
	cfg    Config
	out    *screen
	mu     sync.Mutex
	status string
}

func newRig(t *testing.T, broker string) *rig {
	t.Helper()
	r := &rig{t: t, cfg: Default(), out: &screen{}}
	r.cfg.Brokers = []string{broker}
	r.cfg.Print = sink.PrintAll
	r.cfg.Admin.Listen = admin.Off
	r.cfg.Retry.Initial, r.cfg.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	return r
}

func (r *rig) process() daemon.Process {
	return daemon.Process{
		Name: "bucketer", Log: zerolog.New(zerolog.NewTestWriter(r.t)).Level(zerolog.InfoLevel), Environment: daemon.Environment{Stdout: r.out},
		Notify: daemon.NewNotifier(func(state string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for line := range strings.Lines(state) {
				if text, ok := strings.CutPrefix(line, "STATUS="); ok {
					r.status = text
				}
			}
		}),
	}
}

func (r *rig) lastStatus() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *rig) app() *App {
	r.t.Helper()
	app, err := New(r.cfg, r.process())
	if err != nil {
		r.t.Fatalf("new: %v", err)
	}
	return app
}

// start runs a bucketer until the returned function is called, which returns
// Run's error.
func (r *rig) start(app *App) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

// once reads what is there.
func (r *rig) once() {
	r.t.Helper()
	r.cfg.Once = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.app().Run(ctx); err != nil || ctx.Err() != nil {
		r.t.Fatalf("run --once: %v, %v", err, ctx.Err())
	}
}

// events are numbered events, every third of them in the same bucket.
func events(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf(`{"event_id":"e-%d","price":%d.50}`, i, i%3*100))
	}
	return all
}

// decisions are the lines of events(from, to) in a topic that holds nothing else.
func decisions(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("offset=%d key=None bucket=%s event_id=e-%d price=%d.5\n",
			i, []string{"low", "medium", "high"}[i%3], i, i%3*100))
	}
	return all
}

func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("printed %d lines, want %d\n got %.300q\nwant %.300q", len(got), len(want), got, want)
	}
}

func broker(t *testing.T, partitions int32) *kafkatest.Fake {
	t.Helper()
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", partitions)
	return k
}

func TestOncePrintsEachEventOnceOverSeveralRuns(t *testing.T) {
	k := broker(t, 1)
	r := newRig(t, k.Addr)
	r.once() // an empty topic is at its end
	for i := range 3 {
		kafkatest.Produce(t, k.Addr, "events", 0, events(i*100, i*100+100)...)
		r.once()
	}
	wantLines(t, r.out.lines(), decisions(0, 300))
}

func TestOnceReadsEveryPartition(t *testing.T) {
	k := broker(t, 3)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 50)...)
	kafkatest.Produce(t, k.Addr, "events", 2, events(0, 70)...)
	r := newRig(t, k.Addr)
	r.once()
	if n := len(r.out.lines()); n != 120 {
		t.Errorf("printed %d lines, want 120: 50 and 70, and none of the empty partition", n)
	}
}

func TestBadRecordsAreCountedAndTheRestGoesOn(t *testing.T) {
	k := broker(t, 1)
	kafkatest.Produce(t, k.Addr, "events", 0, `{"event_id":"first","price":1}`, "", "hello", "\x00", "{\"event_id\":\"\xff\"}", `{"event_id":"x"}`,
		`{"event_id":"x","price":"1"}`, `{"event_id":"x","price":-1}`, `{"event_id":"x","price":1e400}`, strings.Repeat("x", 900<<10), `{"event_id":"last","price":1}`)
	r := newRig(t, k.Addr)
	r.once()
	wantLines(t, r.out.lines(), []string{
		"offset=0 key=None bucket=low event_id=first price=1\n",
		"offset=10 key=None bucket=low event_id=last price=1\n",
	})
	if got := kafkatest.Committed(t, k.Addr, "bucketer", "events", 0); got != 11 {
		t.Errorf("committed %d, want 11: what is no event is done with too", got)
	}
}

func TestKeysArePrintedAsText(t *testing.T) {
	k := broker(t, 1)
	kafkatest.ProduceRaw(t, k.Addr, "events", nil, []byte(`{"event_id":"x","price":1}`))
	kafkatest.ProduceRaw(t, k.Addr, "events", []byte{}, []byte(`{"event_id":"x","price":1}`))
	kafkatest.ProduceRaw(t, k.Addr, "events", []byte("k\xff"), []byte(`{"event_id":"x","price":1}`))
	r := newRig(t, k.Addr)
	r.once()
	wantLines(t, r.out.lines(), []string{
		"offset=0 key=None bucket=low event_id=x price=1\n",
		"offset=1 key= bucket=low event_id=x price=1\n",
		"offset=2 key=k\uFFFD bucket=low event_id=x price=1\n",
	})
}

func TestNothingIsCommittedBeforeItsLineIsOut(t *testing.T) {
	k := broker(t, 1)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 10)...)
	r := newRig(t, k.Addr)
	r.out.fail(syscall.EPIPE)
	r.cfg.Once = true
	if err := r.app().Run(t.Context()); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("run with a broken pipe = %v, want EPIPE", err)
	}
	if got := kafkatest.Committed(t, k.Addr, "bucketer", "events", 0); got > 0 {
		t.Fatalf("committed %d, but no line is out", got)
	}
	r.out.fail(nil)
	r.once()
	wantLines(t, r.out.lines(), decisions(0, 10))
}

func TestAFullDiskIsWaitedFor(t *testing.T) {
	k := broker(t, 1)
	r := newRig(t, k.Addr)
	r.out.fail(syscall.ENOSPC)
	app := r.app()
	stop := r.start(app)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 10)...)
	kafkatest.WaitFor(t, "the status to say it", func() bool {
		return strings.Contains(r.lastStatus(), "waiting to print decisions") && strings.Contains(r.lastStatus(), "no space left on device")
	})
	if err := app.ready(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ready = %v, want ENOSPC", err)
	}
	r.out.fail(nil)
	kafkatest.WaitFor(t, "10 lines", func() bool { return len(r.out.lines()) == 10 })
	kafkatest.WaitFor(t, "to be ready", func() bool { return app.ready() == nil })
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	wantLines(t, r.out.lines(), decisions(0, 10))
	if got := kafkatest.Committed(t, k.Addr, "bucketer", "events", 0); got != 10 {
		t.Errorf("committed %d, want 10", got)
	}
}

func TestBrokerAndTopicAreWaitedFor(t *testing.T) {
	k := kafkatest.Start(t)
	k.Stop()
	r := newRig(t, k.Addr)
	app := r.app()
	stop := r.start(app)
	kafkatest.WaitFor(t, "the status to name the broker", func() bool {
		return strings.Contains(r.lastStatus(), "waiting for Kafka") && strings.Contains(r.lastStatus(), k.Addr)
	})
	k.Start()
	kafkatest.WaitFor(t, "the status to name the command that creates the topic", func() bool {
		return strings.Contains(r.lastStatus(), "eventline topics create")
	})
	if app.ready() == nil {
		t.Error("ready without a topic")
	}
	kafkatest.CreateTopic(t, k.Addr, "events", 1)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 10)...)
	kafkatest.WaitFor(t, "10 lines", func() bool { return len(r.out.lines()) == 10 })
	kafkatest.WaitFor(t, "the status to count them", func() bool {
		return strings.HasPrefix(r.lastStatus(), "reading topic events: ") && strings.HasSuffix(r.lastStatus(), "lag 0; low 4 medium 3 high 3")
	})
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestARestartOfTheBrokerLosesNoLine(t *testing.T) {
	k := broker(t, 1)
	r := newRig(t, k.Addr)
	stop := r.start(r.app())
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 100)...)
	kafkatest.WaitFor(t, "100 lines", func() bool { return len(r.out.lines()) == 100 })
	k.Stop()
	k.Start()
	kafkatest.Produce(t, k.Addr, "events", 0, events(100, 200)...)
	kafkatest.WaitFor(t, "200 different lines", func() bool {
		return len(slices.Compact(slices.Sorted(slices.Values(r.out.lines())))) == 200
	})
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if got := kafkatest.Committed(t, k.Addr, "bucketer", "events", 0); got != 200 {
		t.Errorf("committed %d, want 200", got)
	}
}

func TestOnTheJournalEachDecisionIsOneEntryAndNothingElse(t *testing.T) {
	k := broker(t, 1)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 30)...)
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")
	journal, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 64<<10)
		for {
			n, err := journal.Read(buf)
			if err != nil || n == 0 {
				return
			}
			entries = append(entries, string(buf[:n]))
		}
	}()

	stdout, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	info, err := stdout.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	r := newRig(t, k.Addr)
	r.cfg.Once = true
	p := r.process()
	p.Stdout = stdout
	p.LookupEnv = func(name string) (string, bool) {
		return fmt.Sprintf("%d:%d", st.Dev, st.Ino), name == "JOURNAL_STREAM"
	}
	app, err := New(r.cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	app.sink = sinkFor(p, socket)
	if err := app.Run(t.Context()); err != nil {
		t.Fatalf("run --once: %v", err)
	}
	// An empty datagram ends the reading behind everything that was sent.
	end, err := net.Dial("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := end.Write(nil); err != nil {
		t.Fatal(err)
	}
	<-read
	_ = end.Close()
	_ = journal.Close()

	for i, want := range decisions(0, 30) {
		if i >= len(entries) || !strings.HasPrefix(entries[i], "MESSAGE="+want) {
			t.Fatalf("entry %d of %d is not the line %q", i, len(entries), want)
		}
	}
	if len(entries) != 30 {
		t.Errorf("the journal has %d entries, want 30", len(entries))
	}
	if text, err := os.ReadFile(stdout.Name()); err != nil || len(text) > 0 {
		t.Errorf("standard output has %q, %v; want nothing: each line once", text, err)
	}
}

func TestWithoutAJournalLinesGoToStandardOutput(t *testing.T) {
	for name, p := range map[string]daemon.Process{
		"no file":          {Environment: daemon.Environment{Stdout: io.Discard}},
		"no environment":   {Environment: daemon.Environment{Stdout: os.Stdout}},
		"redirected":       {Environment: daemon.Environment{Stdout: os.Stdout, LookupEnv: func(string) (string, bool) { return "1:2", true }}},
		"garbage in there": {Environment: daemon.Environment{Stdout: os.Stdout, LookupEnv: func(string) (string, bool) { return "x", true }}},
	} {
		if _, ok := sinkFor(p, "/nowhere").(*sink.Stream); !ok {
			t.Errorf("%s: %T, want a stream", name, sinkFor(p, "/nowhere"))
		}
	}
}

func TestAdminPagesTellReadinessAndMetrics(t *testing.T) {
	k := broker(t, 1)
	kafkatest.Produce(t, k.Addr, "events", 0, events(0, 10)...)
	r := newRig(t, k.Addr)
	r.cfg.Admin.Listen = "127.0.0.1:0"
	app := r.app()
	stop := r.start(app)
	kafkatest.WaitFor(t, "to be ready", func() bool { return get(t, app, "/readyz") == "ok\n" })
	kafkatest.WaitFor(t, "the metrics of 10 events", func() bool {
		page := get(t, app, "/metrics")
		for _, want := range []string{
			`bucketer_records_consumed_total{partition="0",topic="events"} 10`,
			`bucketer_records_processed_total{bucket="low"} 4`,
			`bucketer_records_rejected_total{reason="not_json"} 0`,
			`bucketer_consumer_lag_records{partition="0",topic="events"} 0`,
			`bucketer_kafka_connected 1`,
		} {
			if !strings.Contains(page, want+"\n") {
				return false
			}
		}
		return true
	})
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
}

func get(t *testing.T, app *App, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + app.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
