package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"eventline/internal/kafka/kafkatest"
	"eventline/internal/truth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take before a test gives up.
const patience = time.Minute

// shop is a log with its answer key.
type shop struct {
	t       testing.TB
	rec     *truth.Recorder
	lines   []string // without their newlines, as records have them
	digests []byte
	clock   time.Time
	step    time.Duration // between two events
}

// newShop makes a log of n events, 7 seconds apart.
func newShop(t testing.TB, n int) *shop {
	t.Helper()
	s := &shop{t: t, rec: truth.NewRecorder(time.Minute, 0), clock: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), step: 7 * time.Second}
	for range n {
		s.sell()
	}
	return s
}

func (s *shop) sell() {
	cents := int64(len(s.lines)*3733%29000 + 1)
	s.write(s.event(len(s.lines), cents), cents)
	s.clock = s.clock.Add(s.step)
}

func (s *shop) event(n int, cents int64) string {
	return fmt.Sprintf(`{"event_id":"%s","timestamp":"%s","product":"Tea","price":%s,"quantity":1}`,
		idNumber(n), s.clock.Format("2006-01-02T15:04:05.000000Z"), truth.Amount(cents))
}

func idNumber(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// write notes a line; cents below 0 make it one that is not valid.
func (s *shop) write(line string, cents int64) {
	raw := []byte(line + "\n")
	s.rec.Text(raw, 1)
	s.digests = binary.LittleEndian.AppendUint64(s.digests, truth.Digest(raw))
	if cents >= 0 {
		s.rec.Price(s.clock.UnixMicro(), cents)
	}
	s.lines = append(s.lines, line)
}

// again writes an earlier line a second time, on purpose.
func (s *shop) again(n int) {
	clock := s.clock
	e := parseEvent([]byte(s.lines[n]))
	s.clock = time.UnixMicro(e.at)
	s.write(s.lines[n], e.price.cents)
	s.clock = clock
	s.rec.Defect("duplicate", []byte(e.id))
}

// save writes the key to a file and returns its path.
func (s *shop) save(edit ...func(*truth.Key)) string {
	s.t.Helper()
	dir := s.t.TempDir()
	key := s.rec.Key()
	key.Complete, key.Digests = true, "shop.key.lines"
	for _, e := range edit {
		e(key)
	}
	var b bytes.Buffer
	if err := key.Encode(&b); err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(dir, "shop.key")
	for name, data := range map[string][]byte{path: b.Bytes(), filepath.Join(dir, "shop.key.lines"): s.digests} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return path
}

func unfinished(k *truth.Key) { k.Complete = false }

func withoutDigests(k *truth.Key) { k.Digests = "" }

// broker has the topic events with these records in its partitions.
func broker(t *testing.T, partitions ...[]string) *kafkatest.Fake {
	t.Helper()
	k := kafkatest.Start(t)
	kafkatest.CreateTopic(t, k.Addr, "events", int32(len(partitions)))
	for id, lines := range partitions {
		if len(lines) > 0 {
			kafkatest.Produce(t, k.Addr, "events", int32(id), lines...)
		}
	}
	return k
}

func connectionTo(addr string) Connection {
	return Connection{Brokers: []string{addr}, ClientID: "verify", DialTimeout: 5 * time.Second, RequestTimeout: 10 * time.Second}
}

func options() Options {
	return Options{
		Topic: "events", Buckets: "events.buckets", Late: "events.late", DeadLetters: "events.dlq",
		Poll: 10 * time.Millisecond,
	}
}

// judgement is the verdict on a broker's topics.
func judgement(t *testing.T, addr, key string, edit ...func(*Options)) *Report {
	t.Helper()
	a, err := Load(key)
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	for _, e := range edit {
		e(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rep, err := Run(ctx, connectionTo(addr), a, o)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	var b bytes.Buffer
	if err := rep.Print(&b); err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(rep); err != nil || !json.Valid(text) {
		t.Errorf("report as JSON: %v", err)
	}
	t.Logf("%s", b.String())
	return rep
}

// wantClasses fails unless exactly these classes have exactly so many.
func wantClasses(t *testing.T, rep *Report, want map[string]uint64) {
	t.Helper()
	for name, c := range rep.Lines {
		if c.Count != want[name] {
			t.Errorf("%s: got %d, want %d", name, c.Count, want[name])
		}
		if c.Count > 0 && len(c.Examples) == 0 && rep.Digests {
			t.Errorf("%s: %d of them and no example", name, c.Count)
		}
	}
	wrong := false
	for name, n := range want {
		wrong = wrong || name != Later && n > 0
	}
	if rep.Equal == wrong {
		t.Errorf("equal is %v, with %v", rep.Equal, want)
	}
}

func first(t *testing.T, rep *Report, class string) Example {
	t.Helper()
	if len(rep.Lines[class].Examples) == 0 {
		t.Fatalf("no example of %s", class)
	}
	return rep.Lines[class].Examples[0]
}

func wantCheck(t *testing.T, rep *Report, name, result, note string) {
	t.Helper()
	for _, c := range rep.Checks {
		if c.Name != name {
			continue
		}
		if c.Result != result || !strings.Contains(c.Note, note) {
			t.Errorf("check %q: got %q (%s), want %q (%s)", name, c.Result, c.Note, result, note)
		}
		return
	}
	t.Errorf("there is no check %q", name)
}
