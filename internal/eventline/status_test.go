package eventline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"eventline/internal/admin"
)

// daemonDouble answers as a daemon's admin port does.
func daemonDouble(t *testing.T, name, pid string, ready error, metrics func() string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(admin.PIDHeader, pid)
		_, _ = w.Write([]byte(name + "_build_info{version=\"1.2\"} 1\nprocess_open_fds 12\n" + metrics()))
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready != nil {
			http.Error(w, ready.Error(), http.StatusServiceUnavailable)
			return
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestStatusTellsReadyWaitingAndDown(t *testing.T) {
	var n atomic.Int64
	gen := daemonDouble(t, "eventgen", "7", nil, func() string {
		if n.Add(1) == 1 {
			return "# TYPE eventgen_events_total counter\neventgen_events_total 100\n"
		}
		return "# TYPE eventgen_events_total counter\neventgen_events_total 1100\n"
	})
	ship := daemonDouble(t, "logship", "8", errors.New("waiting for Kafka: refused"), func() string {
		return "# TYPE logship_unread_bytes gauge\nlogship_unread_bytes 1234\n"
	})
	nobody := "127.0.0.1:1"
	all := askAll(context.Background(), places(map[string][]string{"eventgen": {gen}, "logship": {ship}, "bucketer": {nobody}}))
	for i, want := range []string{"ready", "waiting", "down"} {
		if all[i].State != want {
			t.Errorf("%s: got state %q (%s), want %q", all[i].Name, all[i].State, all[i].Reason, want)
		}
	}
	if r := all[0].Rate; r == nil || *r < 200 || *r > 1000 {
		t.Errorf("rate of 1000 events in a little over a second: got %v", r)
	}
	if all[1].Lag == nil || *all[1].Lag != 1234 {
		t.Errorf("lag of logship: got %v, want 1234", all[1].Lag)
	}
	if all[2].Memory != nil || all[2].Rate != nil {
		t.Error("figures of a daemon that is down: got some, want unknown, which is not zero")
	}
	var text, js bytes.Buffer
	if err := errors.Join(printStatus(&text, all, false), printStatus(&js, all, true)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"waiting for Kafka: refused", "not running: connection refused", "1.2 kB unread"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("status: %q is not in\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "one process") {
		t.Error("different processes are said to be one")
	}
	var back []map[string]any
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || len(back) != 3 || back[2]["memory_bytes"] != nil {
		t.Errorf("status --json: got %v, %v", back, err)
	}
}

func TestStatusKnowsDaemonsOfOneProcess(t *testing.T) {
	none := func() string { return "" }
	addresses := make(map[string][]string)
	for _, w := range pipeline {
		addr := daemonDouble(t, w.name, "7", nil, none)
		addresses[w.name] = []string{addr}
	}
	var text bytes.Buffer
	if err := printStatus(&text, askAll(context.Background(), places(addresses)), false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "one process") {
		t.Errorf("status of one process: it is not said in\n%s", &text)
	}
}

func TestStatusIsNotFooledByAnotherServer(t *testing.T) {
	other := daemonDouble(t, "nginx", "9", nil, func() string { return "" })
	s := ask(context.Background(), place{watched: pipeline[0], unit: "eventgen", address: other})
	if s.State != "down" || !strings.Contains(s.Reason, "something else") {
		t.Errorf("another server: got %q (%s)", s.State, s.Reason)
	}
}

func TestStatusShowsWhichInstanceReadsWhat(t *testing.T) {
	holds := func(partitions ...string) func() string {
		return func() string {
			text := "# TYPE bucketer_partition_assigned gauge\n"
			for _, p := range partitions {
				text += "bucketer_partition_assigned{topic=\"events\",partition=\"" + p + "\"} 1\n"
			}
			return text
		}
	}
	one := daemonDouble(t, "bucketer", "7", nil, holds("10", "9"))
	two := daemonDouble(t, "bucketer", "8", nil, holds())
	bucketer := pipeline[2]
	all := askAll(context.Background(), []place{
		{watched: bucketer, unit: "bucketer", address: "127.0.0.1:1"},
		{watched: bucketer, unit: "bucketer@1", address: one, maybe: true},
		{watched: bucketer, unit: "bucketer@2", address: two, maybe: true},
		{watched: bucketer, unit: "bucketer@3", address: "127.0.0.1:1", maybe: true},
	})
	var text bytes.Buffer
	if err := printStatus(&text, all, false); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || !strings.Contains(text.String(), "partitions 9,10,") || !strings.Contains(text.String(), "partitions none,") {
		t.Errorf("two instances of four places: got\n%s", &text)
	}
}
