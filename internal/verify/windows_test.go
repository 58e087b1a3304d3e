package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventline/internal/kafka/kafkatest"
	"eventline/internal/truth"
)

// outcome is a result as bucketer writes it.
type outcome struct {
	key    string
	fields map[string]any // a nil map is a tombstone
}

// outcomes are the final results that are right for what a key has, from one partition.
func outcomes(key *truth.Key, partition int) []outcome {
	var all []outcome
	for _, w := range key.Windows {
		start, _ := time.Parse(time.RFC3339, w.Start)
		all = append(all, outcome{
			fmt.Sprintf("%s/%s/%s/%d", w.Start, key.Window, w.Bucket, partition),
			map[string]any{
				"bucket": w.Bucket, "window_start": w.Start, "window_end": start.Add(time.Minute).Format(time.RFC3339),
				"partition": partition, "revision": 1, "final": true, "count": w.Count,
				"sum": w.Sum, "min": w.Min, "max": w.Max, "p50": w.P50, "p95": w.P95, "p99": w.P99, "sketch": "",
			},
		})
	}
	return all
}

func (o outcome) with(name string, value any) outcome {
	o.fields = maps.Clone(o.fields)
	o.fields[name] = value
	return o
}

// publish writes results as bucketer does, in a transaction.
func publish(t *testing.T, addr string, all ...outcome) {
	t.Helper()
	transact(t, addr, kgo.TryCommit, all...)
}

func transact(t *testing.T, addr string, end kgo.TransactionEndTry, all ...outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID(t.Name()), kgo.DefaultProduceTopic("events.buckets"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		rec := &kgo.Record{Key: []byte(o.key)}
		if o.fields != nil {
			if rec.Value, err = json.Marshal(o.fields); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(ctx, end); err != nil {
		t.Fatal(err)
	}
}

// pipeline is a broker with a log's lines and no results yet.
func pipeline(t *testing.T, s *shop, others ...string) *kafkatest.Fake {
	t.Helper()
	k := broker(t, s.lines)
	for _, topic := range append([]string{"events.buckets"}, others...) {
		kafkatest.CreateTopic(t, k.Addr, topic, 1)
	}
	return k
}

// wantDifference fails unless the only differences are these figures of one window.
func wantDifference(t *testing.T, rep *Report, want ...Difference) {
	t.Helper()
	if !slices.Equal(rep.Windows, want) || rep.Equal != (len(want) == 0) {
		t.Errorf("equal %v, differences %+v; want %+v", rep.Equal, rep.Windows, want)
	}
}

// judgeResults judges results that were made of the right ones.
func judgeResults(t *testing.T, change func(right []outcome) []outcome) *Report {
	t.Helper()
	s := newShop(t, 60)
	k := pipeline(t, s)
	publish(t, k.Addr, change(outcomes(s.rec.Key(), 0))...)
	return judgement(t, k.Addr, s.save())
}

func TestUnalteredWindowsAreRight(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome { return right })
	wantDifference(t, rep)
	wantCheck(t, rep, "windows", Equal, "")
	wantCheck(t, rep, "open windows", Equal, "")
}

func TestSumThatIsACentOffIsFound(t *testing.T) {
	var was, is truth.Amount
	rep := judgeResults(t, func(right []outcome) []outcome {
		was = right[4].fields["sum"].(truth.Amount)
		is = was + 1
		right[4] = right[4].with("sum", is)
		return right
	})
	if len(rep.Windows) != 1 || rep.Windows[0].Figure != "sum" || rep.Windows[0].Expected != was.String() || rep.Windows[0].Found != is.String() {
		t.Errorf("got %+v, want a sum of %s instead of %s", rep.Windows, is, was)
	}
	if rep.Equal {
		t.Error("equal, with a wrong sum")
	}
}

func TestWindowThatIsNotThereIsFound(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome { return slices.Delete(right, 3, 4) })
	if len(rep.Windows) != 1 || rep.Windows[0].Figure != "missing" || rep.Windows[0].Window != "2026-11-22T10:01:00Z" {
		t.Errorf("got %+v, want a window missing", rep.Windows)
	}
}

func TestDeletedResultIsMissing(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome { return append(right, outcome{key: right[3].key}) })
	if len(rep.Windows) != 1 || rep.Windows[0].Figure != "missing" {
		t.Errorf("got %+v, want a window missing", rep.Windows)
	}
}

func TestWindowThatTheKeyDoesNotHaveIsFound(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome {
		extra := right[0].with("window_start", "2026-11-23T10:00:00Z").with("window_end", "2026-11-23T10:01:00Z")
		extra.key = "2026-11-23T10:00:00Z/PT1M/low/0"
		return append(right, extra)
	})
	if len(rep.Windows) != 1 || rep.Windows[0].Figure != "unexpected" {
		t.Errorf("got %+v, want an unexpected window", rep.Windows)
	}
}

func TestOpenWindowIsListed(t *testing.T) {
	var key string
	rep := judgeResults(t, func(right []outcome) []outcome {
		key = right[3].key
		return append(right, right[3].with("final", false).with("revision", 2).with("count", 1))
	})
	wantCheck(t, rep, "windows", Equal, "") // by its last final revision
	wantCheck(t, rep, "open windows", Open, "")
	if !slices.Equal(rep.Open, []string{key}) || rep.Equal {
		t.Errorf("equal %v, open %v; want %s", rep.Equal, rep.Open, key)
	}
}

func TestHighestFinalRevisionCounts(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome {
		first := right[2].with("count", 1).with("final", false)
		old := right[2].with("count", 2)
		right[2] = right[2].with("revision", 7)
		return append([]outcome{first, old}, right...)
	})
	wantDifference(t, rep)
}

func TestQuantileThatIsTwoPercentOffIsFound(t *testing.T) {
	off := func(percent truth.Amount) func([]outcome) []outcome {
		return func(right []outcome) []outcome {
			was := right[5].fields["p95"].(truth.Amount)
			right[5] = right[5].with("p95", json.Number(fmt.Sprintf("%d.%04d", was*(100+percent)/10000, was*(100+percent)%10000)))
			return right
		}
	}
	rep := judgeResults(t, off(2))
	if len(rep.Windows) != 1 || rep.Windows[0].Figure != "p95" {
		t.Errorf("got %+v, want a p95", rep.Windows)
	}
	wantDifference(t, judgeResults(t, off(1)))
	wantDifference(t, judgeResults(t, off(-1)))
}

func TestResultOfAnotherWindowLengthIsUnreadable(t *testing.T) {
	rep := judgeResults(t, func(right []outcome) []outcome {
		extra := right[0].with("window_end", "2026-11-22T10:05:00Z")
		extra.key = "2026-11-22T10:00:00Z/PT5M/low/0"
		return append(right, extra, outcome{"what", map[string]any{"a": 1}})
	})
	if len(rep.Unreadable) != 2 || rep.Equal {
		t.Errorf("equal %v, unreadable %+v; want two", rep.Equal, rep.Unreadable)
	}
}

func TestAbortedResultsDoNotCount(t *testing.T) {
	s := newShop(t, 60)
	k := pipeline(t, s)
	right := outcomes(s.rec.Key(), 0)
	publish(t, k.Addr, right...)
	transact(t, k.Addr, kgo.TryAbort, right[0].with("count", 99).with("revision", 9))
	wantDifference(t, judgement(t, k.Addr, s.save()))
}

// Three partitions have a part of the events each; some are late and some dead letters.
func TestPartsAddUpToTheKey(t *testing.T) {
	s := newShop(t, 120)
	k := pipeline(t, s, "events.late", "events.dlq")
	parts := make([]*truth.Recorder, 5)
	for i := range parts {
		parts[i] = truth.NewRecorder(time.Minute, 0)
	}
	var late, dead []string
	for i, line := range s.lines {
		part := i * 7 % 5
		switch part {
		case 3:
			late = append(late, line)
		case 4:
			dead = append(dead, line, `{"event_id":"z","timestamp":"2026-11-22T10:00:00Z","price":-1}`)
		default:
			e := parseEvent([]byte(line))
			parts[part].Price(e.at, e.price.cents)
		}
	}
	kafkatest.Produce(t, k.Addr, "events.late", 0, late...)
	kafkatest.Produce(t, k.Addr, "events.dlq", 0, dead...)
	var all []outcome
	for i := range 3 {
		for _, o := range outcomes(parts[i].Key(), i) {
			all = append(all, o.with("p50", 0)) // nobody can tell
		}
	}
	publish(t, k.Addr, all...)
	rep := judgement(t, k.Addr, s.save())
	for _, d := range rep.Windows {
		if d.Figure != "p50" { // of windows that one partition alone has
			t.Errorf("got %+v", d)
		}
	}
	publish(t, k.Addr, all[0].with("min", 0).with("revision", 2))
	again := judgement(t, k.Addr, s.save())
	if !slices.ContainsFunc(again.Windows, func(d Difference) bool { return d.Figure == "min" && d.Found == "0.00" }) {
		t.Errorf("got %+v, want a min of 0", again.Windows)
	}
}

func TestWaitsUntilWindowsAreFinalAndComplete(t *testing.T) {
	s := newShop(t, 60)
	k := pipeline(t, s)
	right := outcomes(s.rec.Key(), 0)
	publish(t, k.Addr, append(right[:4:4], right[4].with("final", false))...)
	looked := make(chan struct{}, 100_000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-looked // at the lines
		<-looked // at the results
		publish(t, k.Addr, right[4])
		publish(t, k.Addr, right[5:]...)
	}()
	rep := judgement(t, k.Addr, s.save(), func(o *Options) {
		o.Wait = patience
		o.Progress = func(int64, int64) { looked <- struct{}{} }
	})
	<-done
	wantDifference(t, rep)
}

func TestWindowsOfAnIncompleteKeyAreJudgedWhileNothingIsLater(t *testing.T) {
	s := newShop(t, 60)
	k := pipeline(t, s)
	publish(t, k.Addr, outcomes(s.rec.Key(), 0)...)
	key := s.save(unfinished)
	rep := judgement(t, k.Addr, key)
	wantCheck(t, rep, "windows", Equal, "")
	s.sell()
	kafkatest.Produce(t, k.Addr, "events", 0, s.lines[60])
	rep = judgement(t, k.Addr, key)
	wantCheck(t, rep, "windows", NotChecked, "not complete")
}

func TestQuantilesThatTheKeyDoesNotKnowAreNotJudged(t *testing.T) {
	s := newShop(t, 60)
	k := pipeline(t, s)
	publish(t, k.Addr, outcomes(s.rec.Key(), 0)...)
	rep := judgement(t, k.Addr, s.save(func(key *truth.Key) {
		w := &key.Windows[0]
		w.P50, w.P95, w.P99, w.NoQuantiles = 0, 0, 0, true
	}))
	wantDifference(t, rep)
}
