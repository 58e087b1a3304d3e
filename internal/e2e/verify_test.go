//go:build kafka

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"eventline/internal/kafka/kafkatest"
)

// dirt is some of everything that can be wrong on purpose.
const dirt = `
dirt:
  late: 0.01
  out_of_order: 0.02
  future: 0.005
  duplicate: 0.02
  invalid_json: 0.01
  price_missing: 0.005
  price_negative: 0.005
  price_nan: 0.005
  price_string: 0.005
  oversized: 0.001
  halves: 0.0002
  halves_pause: 20ms
  crlf: 0.01
  broken_utf8: 0.005
  nul: 0.005
schema:
  v2_at: 10000
  breaking_at: 55000
`

// TestTopicIsWhatTheAnswerKeySays lets eventgen and logship be killed while the log is rotated, and holds the
// topic against eventgen's answer key. Then it spoils the topic, which has to be seen.
func TestTopicIsWhatTheAnswerKeySays(t *testing.T) {
	k := kafkatest.StartReal(t)
	for partitions := range 2 {
		partitions = 1 + 2*partitions
		t.Run(fmt.Sprintf("%d partitions", partitions), func(t *testing.T) {
			dir := t.TempDir()
			topic := fmt.Sprintf("events-%d", partitions)
			profile, truth, log := filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "truth.json"), filepath.Join(dir, "events.log")
			if err := os.WriteFile(profile, []byte(dirt), 0o600); err != nil {
				t.Fatal(err)
			}
			kafkatest.CreateTopic(t, k.Addr(), topic, int32(partitions))
			generate := func() *program {
				return start(t, nil, "eventgen", "run", "--path", log, "--rate", "10k", "--count", "60000", "--seed", "5", "--profile", profile,
					"--truth", truth, "--start", "2026-11-22T10:00:00Z", "--state-dir", filepath.Join(dir, "eventgen"), "--admin-listen", "off")
			}
			ship := func(more ...string) *program {
				return start(t, nil, "logship", append([]string{
					"run", "--path", log, "--brokers", k.Addr(), "--topic", topic,
					"--state-dir", filepath.Join(dir, "logship"), "--admin-listen", "off",
				}, more...)...)
			}
			gen, shipper := generate(), ship()
			r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
			written := func() (n int) {
				files, _ := filepath.Glob(log + "*")
				for _, f := range files {
					n += countLines(f)
				}
				return n
			}
			for i := range 12 {
				target := 4000 * (i + 1)
				eventually(t, fmt.Sprintf("%d lines", target), func() bool { return written() >= target })
				switch r.IntN(3) {
				case 0:
					gen.kill()
					gen = generate()
					// Rotated while nobody writes it, half a line that the kill left would be for
					// logship the last one of a log that has ended.
					had := written()
					eventually(t, "eventgen goes on", func() bool { return written() > had+100 || gen.ended() })
				case 1:
					shipper.kill()
					shipper = ship()
				}
				if err := os.Rename(log, fmt.Sprintf("%s.%d", log, i+1)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if code := gen.wait(); code != 0 && code != 3 {
				t.Fatalf("eventgen: exit %d", code)
			}
			shipper.signal(syscall.SIGTERM)
			shipper.wait()
			if code := ship("--once").wait(); code != 0 {
				t.Fatalf("logship --once: exit %d", code)
			}

			verify := func() (code int, result map[string]any, text string) {
				code, out, errs := run(t, nil, "eventline", "verify", "--truth", truth, "--brokers", k.Addr(), "--topic", topic, "--json")
				if err := json.Unmarshal([]byte(out), &result); err != nil {
					t.Fatalf("verify --json: %v: %s%s", err, out, errs)
				}
				return code, result, out + errs
			}
			if code, _, text := verify(); code != 0 {
				t.Fatalf("verify: exit %d, want 0: %.3000s", code, text)
			}
			kafkatest.ProduceRaw(t, k.Addr(), topic, nil, []byte(`{"event_id":"of nobody","price":1}`))
			if code, _, text := verify(); code != 3 || !strings.Contains(text, "of nobody") {
				t.Errorf("with a record of someone else: exit %d, want 3 and the record: %.3000s", code, text)
			}
			kafkatest.DeleteBefore(t, k.Addr(), topic, 0, 1)
			if code, _, text := verify(); code != 3 || !strings.Contains(text, "missing") {
				t.Errorf("with its first record deleted: exit %d, want 3: %.3000s", code, text)
			}
		})
	}
}

// ended says whether the program is over.
func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
