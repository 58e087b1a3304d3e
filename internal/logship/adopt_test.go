package logship

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eventline/internal/daemon"
	"eventline/internal/kafka/kafkatest"
)

// typed runs a command of logship as it is typed, with the rig's settings.
func (r *rig) typed(args ...string) (code int, out string) {
	var stdout, stderr said // what goes on in the background may have a last word
	args = append(args, "--brokers", r.cfg.Brokers[0], "--state-dir", r.cfg.StateDir, "--path", r.log(), "--admin-listen", "off")
	code = daemon.Execute(context.Background(), Command(), args, daemon.Environment{
		Stdout: &stdout, Stderr: &stderr, LookupEnv: func(string) (string, bool) { return "", false },
	})
	return code, stdout.String() + stderr.String()
}

func (r *rig) wantTyped(code int, says string, args ...string) string {
	r.t.Helper()
	got, out := r.typed(args...)
	if got != code || !strings.Contains(out, says) {
		r.t.Errorf("logship %s: got exit %d, saying %q; want %d and %q", strings.Join(args, " "), got, out, code, says)
	}
	return out
}

func TestTopicThatWasCreatedAnewIsAdopted(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.wantTyped(78, "logship has not run with it", "adopt")
	r.write(numbered(0, 100))
	r.once()
	kafkatest.RecreateTopic(t, k.Addr, "events")
	r.write(numbered(100, 200))
	r.wantTyped(78, "`logship adopt`", "run", "--once")
	before := r.wantTyped(0, "Nothing was changed", "adopt")
	for _, says := range []string{"--resend", "--skip", "--here", "lines went to topic events, id ", "Topic events now: id "} {
		if !strings.Contains(before, says) {
			t.Errorf("adopt said %q, want it to say %q", before, says)
		}
	}
	r.wantTyped(78, "`logship adopt`", "run", "--once") // as before
	r.wantTyped(0, "new numberings begin", "adopt", "--resend")
	r.once()
	wantLines(t, values(t, k, 100), numbered(100, 200))
}

func TestCopiedStateIsAdoptedWhereItIs(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 100))
	r.once()
	moved := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(moved, os.DirFS(r.cfg.StateDir)); err != nil {
		t.Fatal(err)
	}
	r.cfg.StateDir = moved
	r.write(numbered(100, 200))
	r.wantTyped(78, "was copied", "run", "--once")
	r.wantTyped(0, "was copied", "adopt")
	r.wantTyped(0, "Done", "adopt", "--here")
	r.once()
	wantLines(t, values(t, k, 200), numbered(0, 200))
}

func TestAdoptLeavesARunningLogshipAlone(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.write(numbered(0, 10))
	r.once()
	stop := r.start()
	defer stop()
	r.wantTyped(78, "is in use by process", "adopt", "--resend")
	r.wantTyped(0, "dealt with up to", "status")
}

func TestStatusSaysHowFarItIs(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.wantTyped(78, "logship has not run with it", "status")
	r.write(numbered(0, 100))
	r.once()
	r.wantTyped(0, "sequence 99, offset 99, reserved up to", "status")
	var got report
	if err := json.Unmarshal([]byte(r.wantTyped(0, "", "status", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Logs) != 1 || got.Logs[0].Path != r.log() || got.Logs[0].TopicID == "" || len(got.Logs[0].Partitions) != 1 || got.Running {
		t.Fatalf("status --json: %+v", got)
	}
	if p := got.Logs[0].Partitions[0]; p.Sequence != 99 || p.Offset != 99 || p.Reserved < 99 || p.ID < 0 {
		t.Errorf("partition: %+v", p)
	}
}

func TestQuarantineIsListedAndSentAgain(t *testing.T) {
	k := fakeBroker(t)
	r := newRig(t, k.Addr)
	r.wantTyped(0, "0 lines in the quarantine", "quarantine", "ls")
	r.wantTyped(2, "", "quarantine")
	long := strings.Repeat("x", 1<<20)
	r.write(numbered(0, 10) + long + "\n" + numbered(10, 20))
	r.once()
	var kept []kept
	if err := json.Unmarshal([]byte(r.wantTyped(0, "", "quarantine", "ls", "--json")), &kept); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || kept[0].Bytes != 1<<20 {
		t.Fatalf("quarantine ls --json: %+v", kept)
	}
	r.wantTyped(3, "stays", "quarantine", "resend") // the topic takes no such line still
	kafkatest.Limit(t, k.Addr, "events", 4<<20)
	r.wantTyped(0, "sent "+kept[0].Path, "quarantine", "resend")
	r.wantTyped(0, "no lines in the quarantine", "quarantine", "resend")
	wantLines(t, values(t, k, 21), numbered(0, 20)+long+"\n")
}
