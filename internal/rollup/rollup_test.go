package rollup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"eventline/internal/classify"
	"eventline/internal/event"
	"eventline/internal/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// printer is a Sink that keeps the lines it is given.
type printer struct {
	mu    sync.Mutex
	lines []string
	fail  func(lines int) (int, error) // nil, or what Write does instead
}

func (p *printer) Write(lines []event.Line) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := len(lines), error(nil)
	if p.fail != nil {
		n, err = p.fail(len(lines))
	}
	for i := range lines[:n] {
		p.lines = append(p.lines, string(lines[i].AppendClassic(nil)))
	}
	return n, err
}

// rig is a Rollup without Kafka.
type rig struct {
	*Rollup
	out      *printer
	log      *strings.Builder
	registry *prometheus.Registry
	told     []string // of output
}

func newRig(t testing.TB, once map[int32]int64) *rig {
	t.Helper()
	table, err := classify.New(classify.Classic())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{out: &printer{}, log: &strings.Builder{}, registry: prometheus.NewRegistry()}
	r.Rollup = New(Options{
		Topic: "events", Table: table, Names: event.DefaultNames(), Sink: r.out, Once: once,
		Keep:    func(lines []event.Line, _ time.Time) []event.Line { return lines },
		Changed: func(bool, error, time.Duration) {},
		Delay:   func(n int) time.Duration { return time.Duration(n) * time.Second },
		Blocked: func(err error, retryIn time.Duration) { r.told = append(r.told, fmt.Sprint(err, " ", retryIn)) },
		Log:     zerolog.New(r.log), Registerer: r.registry,
	})
	return r
}

// metric is the value of a metric with these label values, in the order of the
// labels' names, or -1.
func (r *rig) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, ",") == strings.Join(labels, ",") {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func records(from int64, values ...string) []kafka.Record {
	var recs []kafka.Record
	for i, v := range values {
		recs = append(recs, kafka.Record{Partition: 0, Offset: from + int64(i), Value: []byte(v)})
	}
	return recs
}

const good = `{"event_id":"x","price":35.32}`

func TestEveryGoldenRecordGivesPythonsLine(t *testing.T) {
	file, err := os.Open("../event/testdata/classic.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := newRig(t, nil)
	r.Assigned(0, 0)
	var recs []kafka.Record
	var want []string
	for s := bufio.NewScanner(file); s.Scan(); {
		var g struct {
			Offset     int64
			Key, Value []byte
			Line       string
		}
		if err := json.Unmarshal(s.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		recs = append(recs, kafka.Record{Offset: g.Offset, Key: g.Key, Value: g.Value})
		want = append(want, g.Line)
	}
	if len(recs) < 400 {
		t.Fatalf("%d golden records, want several hundred", len(recs))
	}
	if err := r.Records(t.Context(), 0, recs); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if r.out.lines[i] != want[i] {
			t.Errorf("record %d\n got %.200q\nwant %.200q", i, r.out.lines[i], want[i])
		}
	}
}

func TestWhatIsNoEventIsCountedAndTheRestGoesOn(t *testing.T) {
	for _, c := range []struct {
		knows, value, reason string
	}{
		{"an event without a price", `{"event_id":"x"}`, "no_price"},
		{"an event without an id", `{"price":1}`, "no_id"},
		{"a price that is a string", `{"event_id":"x","price":"35.32"}`, "price_type"},
		{"a price below zero", `{"event_id":"x","price":-1}`, "price_negative"},
		{"a price beyond all floats", `{"event_id":"x","price":1e400}`, "price_range"},
		{"text that is not JSON", `hello`, "not_json"},
		{"JSON that is no object", `[1]`, "not_object"},
		{"an empty line", ``, "empty"},
		{"a mebibyte of garbage", strings.Repeat("x", 1<<20), "not_json"},
		{"a mebibyte of NUL bytes", strings.Repeat("\x00", 1<<20), "not_json"},
		{"a NUL byte inside", "{\"event_id\":\"\x00\",\"price\":1}", "not_json"},
		{"bytes that are not UTF-8", "{\"event_id\":\"\xff\",\"price\":1}", "invalid_utf8"},
	} {
		t.Run(c.knows, func(t *testing.T) {
			r := newRig(t, nil)
			r.Assigned(0, 7)
			if err := r.Records(t.Context(), 0, records(7, good, c.value, good)); err != nil {
				t.Fatalf("Records = %v, want nil: one bad record must not stop the others", err)
			}
			if got := strings.Join(r.out.lines, "\n"); got != "offset=7 key=None bucket=low event_id=x price=35.32\noffset=9 key=None bucket=low event_id=x price=35.32" {
				t.Errorf("out is %q", got)
			}
			if n := r.metric(t, "bucketer_records_rejected_total", c.reason); n != 1 {
				t.Errorf("%v rejected as %s, want 1", n, c.reason)
			}
			want := `{"level":"warn","reason":"` + c.reason + `","records":1,"partition":0,"offset":8,"message":"records are not events, counted and left out"}`
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("log is %s, want %s", r.log, want)
			}
		})
	}
}

func TestATombstoneIsNoEvent(t *testing.T) {
	r := newRig(t, nil)
	r.Assigned(0, 0)
	if err := r.Records(t.Context(), 0, []kafka.Record{{Offset: 0, Key: []byte("k")}}); err != nil {
		t.Fatal(err)
	}
	if n := r.metric(t, "bucketer_records_rejected_total", "empty"); n != 1 {
		t.Errorf("%v rejected as empty, want 1", n)
	}
}

func TestAStreamOfGarbageIsNoLogOfGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.Assigned(0, 0)
		r.log.Reset()
		offset := int64(0)
		for range 25 * 100 { // 25 s of a bad record every 10 ms
			if err := r.Records(t.Context(), 0, records(offset, "x")); err != nil {
				t.Fatal(err)
			}
			offset++
			time.Sleep(10 * time.Millisecond)
		}
		if n := strings.Count(r.log.String(), "\n"); n != 3 {
			t.Errorf("25 s of garbage gave %d log entries, want 3:\n%s", n, r.log)
		}
		// The rest is said when its time has come, though no more garbage does.
		time.Sleep(10 * time.Second)
		r.Progress(0, offset, offset)
		sum := 0
		for entry := range strings.Lines(r.log.String()) {
			var e struct{ Records int }
			if err := json.Unmarshal([]byte(entry), &e); err != nil {
				t.Fatal(err)
			}
			sum += e.Records
		}
		if sum != 2500 {
			t.Errorf("the log speaks of %d records, want 2500", sum)
		}
	})
}

func TestCloseSaysWhatWasOnlyCounted(t *testing.T) {
	r := newRig(t, nil)
	r.Assigned(0, 0)
	if err := r.Records(t.Context(), 0, records(0, "x", "x", "x")); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if !strings.Contains(r.log.String(), `"records":2,"partition":0,"offset":2`) {
		t.Errorf("log is %s, want the second and third record in it", r.log)
	}
}

func TestOutputThatHealsIsWaitedFor(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EAGAIN, syscall.ECONNREFUSED, syscall.ENOENT, os.ErrDeadlineExceeded, io.ErrShortWrite} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.Assigned(0, 0)
			attempts := 0
			r.out.fail = func(lines int) (int, error) {
				if attempts++; attempts < 4 {
					return min(1, lines-1), fmt.Errorf("write: %w", errno) // one more line each time
				}
				return lines, nil
			}
			began := time.Now()
			if err := r.Records(t.Context(), 0, records(0, good, good, good)); err != nil {
				t.Fatalf("Records = %v, want nil once output heals", err)
			}
			if took := time.Since(began); took != 6*time.Second {
				t.Errorf("took %v, want the delays 1, 2 and 3 s", took)
			}
			for i, line := range r.out.lines {
				if want := fmt.Sprintf("offset=%d key=None bucket=low event_id=x price=35.32", i); line != want {
					t.Errorf("line %d is %q, want %q: each once, in order", i, line, want)
				}
			}
			if len(r.out.lines) != 3 || len(r.told) != 4 || r.told[3] != "<nil> 0s" {
				t.Errorf("%d lines, told %q; want 3, and the trouble until it was over", len(r.out.lines), r.told)
			}
		})
	}
}

func TestOutputThatIsGoneEndsTheWork(t *testing.T) {
	for _, gone := range []error{syscall.EPIPE, syscall.EIO, os.ErrClosed} {
		r := newRig(t, nil)
		r.Assigned(0, 0)
		r.out.fail = func(int) (int, error) { return 0, gone }
		if err := r.Records(t.Context(), 0, records(0, good)); !errors.Is(err, gone) {
			t.Errorf("Records = %v, want %v: the offset must not be committed", err, gone)
		}
	}
}

func TestWaitingForOutputEndsWithTheAssignment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.Assigned(0, 0)
		r.out.fail = func(int) (int, error) { return 0, syscall.ENOSPC }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Records(ctx, 0, records(0, good)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Records = %v, want the context's error: the offset must not be committed", err)
		}
		if last := r.told[len(r.told)-1]; last == "<nil> 0s" {
			t.Error("told that output works again, but nothing was written")
		}
		r.out.fail = nil
		if err := r.Records(t.Context(), 0, records(0, good)); err != nil || r.told[len(r.told)-1] != "<nil> 0s" {
			t.Errorf("Records = %v, told %q at last; want nil, and that output works again", err, r.told[len(r.told)-1])
		}
	})
}

func TestMetricsTellWhatWasDone(t *testing.T) {
	r := newRig(t, nil)
	r.State(true, nil, 0)
	r.Assigned(3, 100)
	if err := r.Records(t.Context(), 3, records(100, good, `{"event_id":"x","price":200}`, `{"event_id":"x","price":50}`, good, "x")); err != nil {
		t.Fatal(err)
	}
	r.Progress(3, 105, 112)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"bucketer_records_consumed_total", []string{"3", "events"}, 5},
		{"bucketer_records_processed_total", []string{"low"}, 2},
		{"bucketer_records_processed_total", []string{"medium"}, 1},
		{"bucketer_records_processed_total", []string{"high"}, 1},
		{"bucketer_records_rejected_total", []string{"not_json"}, 1},
		{"bucketer_records_rejected_total", []string{"price_range"}, 0}, // there before the first
		{"bucketer_consumer_lag_records", []string{"3", "events"}, 7},
		{"bucketer_rebalances_total", nil, 1},
		{"bucketer_kafka_connected", nil, 1},
	} {
		if got := r.metric(t, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	r.Revoked(3)
	r.State(false, errors.New("away"), time.Second)
	if got := r.metric(t, "bucketer_consumer_lag_records", "3", "events"); got != -1 {
		t.Errorf("the lag of a partition that is gone is %v, want none", got)
	}
	if got := r.metric(t, "bucketer_kafka_connected"); got != 0 {
		t.Errorf("connected is %v after the connection was lost", got)
	}
}

func TestOnceEndsAtTheOffsetsItWasGiven(t *testing.T) {
	ended := func(r *rig) bool {
		select {
		case <-r.Done():
			return true
		default:
			return false
		}
	}
	r := newRig(t, map[int32]int64{0: 2, 1: 5, 2: 0})
	r.Assigned(0, 0)
	r.Assigned(2, -1) // nobody knows where an empty partition begins; it is empty
	if err := r.Records(t.Context(), 0, records(0, good, good, good)); err != nil {
		t.Fatal(err)
	}
	if ended(r) {
		t.Fatal("done though partition 1 was not read")
	}
	r.Assigned(1, 5) // all of it was committed before
	if !ended(r) {
		t.Error("not done though each partition is at its end")
	}
	r.Progress(1, 6, 6) // what comes later changes nothing
	if ended(newRig(t, nil)) {
		t.Error("done without offsets to end at")
	}
}

// BenchmarkDecodeAndClassify is what bucketer does with a record, but for giving
// the decision out.
func BenchmarkDecodeAndClassify(b *testing.B) {
	value := `{"event_id":"a89e1e3d-4905-4fe9-aa26-053b505efd8d","timestamp":"2026-11-22T10:00:00.000250Z","product":"Stainless Kettle 1.7 l",` +
		`"category":"kitchen","currency":"EUR","user_id":"u-104729","type":"purchase","price":35.32,"quantity":2}`
	recs := records(0, strings.Split(strings.Repeat(value+"\n", 1000)[:1000*(len(value)+1)-1], "\n")...)
	r := newRig(b, nil)
	r.Assigned(0, 0)
	t := r.tasks[0]
	b.SetBytes(int64(len(value) * len(recs)))
	b.ReportAllocs()
	for b.Loop() {
		r.decide(t, 0, recs, time.Time{})
	}
	if len(t.lines) != len(recs) {
		b.Fatalf("%d decisions on %d records", len(t.lines), len(recs))
	}
	b.ReportMetric(float64(b.N*len(recs))/b.Elapsed().Seconds(), "events/s")
}
