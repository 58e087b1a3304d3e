package sink

import (
	"errors"
	"maps"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eventline/internal/event"
)

// journalAt returns a Journal that is closed with the test.
func journalAt(t *testing.T, socket string) *Journal {
	j := NewJournal(socket, "bucketer")
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func write(t *testing.T, j *Journal, lines ...event.Line) {
	t.Helper()
	if n, err := j.Write(lines); n != len(lines) || err != nil {
		t.Fatalf("Write of %d lines = %d, %v", len(lines), n, err)
	}
}

func TestTheJournalGetsEachLineOnceWithItsFields(t *testing.T) {
	f := startJournal(t)
	j := journalAt(t, f.socket)
	write(t, j, kettle(t, 19148), line(t, 19149, "high", `{"event_id":"x","price":1e16}`))
	write(t, j)
	write(t, j, kettle(t, 19150)) // the last entry: nothing can come after it
	got := f.wait(t, 3)
	if len(got) != 3 {
		t.Fatalf("the journal has %d entries, want 3: each line once", len(got))
	}
	want := map[string]string{
		"MESSAGE":           "offset=19148 key=None bucket=low event_id=a89e1e3d-4905-4fe9-aa26-053b505efd8d price=35.32",
		"PRIORITY":          "6",
		"SYSLOG_IDENTIFIER": "bucketer",
		"BUCKET":            "low",
		"EVENT_ID":          "a89e1e3d-4905-4fe9-aa26-053b505efd8d",
		"PRICE":             "35.32",
		"TOPIC":             "events",
		"PARTITION":         "3",
		"OFFSET":            "19148",
	}
	if !maps.Equal(got[0], want) {
		t.Errorf("entry\n got %v\nwant %v", got[0], want)
	}
	if got[1]["PRICE"] != "1e+16" || got[1]["BUCKET"] != "high" || got[2]["OFFSET"] != "19150" {
		t.Errorf("later entries are %v", got[1:])
	}
}

func TestANewlineInAnIDForgesNoField(t *testing.T) {
	f := startJournal(t)
	write(t, journalAt(t, f.socket), line(t, 1, "low", `{"event_id":"x\nPRIORITY=0\nBUCKET=forged","price":1}`))
	got := f.wait(t, 1)[0]
	if got["EVENT_ID"] != "x\nPRIORITY=0\nBUCKET=forged" || got["BUCKET"] != "low" || got["PRIORITY"] != "6" {
		t.Errorf("entry is %v", got)
	}
}

func TestALineTooLargeForADatagramComesAsAFile(t *testing.T) {
	f := startJournal(t)
	id := strings.Repeat("x", 4<<20)
	write(t, journalAt(t, f.socket), line(t, 1, "low", `{"event_id":"`+id+`","price":1}`), kettle(t, 2))
	got := f.wait(t, 2)
	if got[0]["EVENT_ID"] != id || got[1]["OFFSET"] != "2" || f.files != 1 {
		t.Errorf("got an id of %d bytes and offset %s, %d as a file; want %d bytes, 2, 1", len(got[0]["EVENT_ID"]), got[1]["OFFSET"], f.files, len(id))
	}
}

func TestAJournalThatIsAwayIsAnErrorUntilItIsBack(t *testing.T) {
	first := startJournal(t)
	j := journalAt(t, first.socket)
	write(t, j, kettle(t, 1))
	first.wait(t, 1)
	first.stop()
	if n, err := j.Write(kettles(t, 2)); n != 0 || !errors.Is(err, syscall.ENOENT) {
		t.Fatalf("Write without a journal = %d, %v, want ENOENT: the offset must not be committed", n, err)
	}
	second := listen(t, first.socket)
	second.read(t)
	write(t, j, kettle(t, 2))
	second.wait(t, 1)
}

func TestARestartBetweenTwoLinesIsNotNoticed(t *testing.T) {
	first := startJournal(t)
	j := journalAt(t, first.socket)
	write(t, j, kettle(t, 1))
	first.wait(t, 1)
	first.stop()
	second := listen(t, first.socket)
	second.read(t)
	write(t, j, kettle(t, 2))
	second.wait(t, 1)
}

func TestAFullJournalIsWaitedFor(t *testing.T) {
	f := listen(t, socketPath(t)) // nobody reads yet
	j := journalAt(t, f.socket)
	const lines = 2000 // more than net.unix.max_dgram_qlen lets wait
	left := make([]event.Line, lines)
	for o := range left {
		left[o] = kettle(t, int64(o))
	}
	written := make(chan error)
	go func() {
		var n int
		var err error
		for range 20 { // it may run out of patience before the reader comes
			if n, err = j.Write(left); err == nil {
				break
			}
			left = left[n:]
		}
		written <- err
	}()
	f.read(t)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	for o, entry := range f.wait(t, lines) {
		if entry["OFFSET"] != strconv.Itoa(o) {
			t.Fatalf("entry %d has offset %s: want each once, in order", o, entry["OFFSET"])
		}
	}
}

func TestAJournalThatDoesNotReadIsAnError(t *testing.T) {
	j := journalAt(t, listen(t, socketPath(t)).socket)
	j.patience = 10 * time.Millisecond
	if n, err := j.Write(kettles(t, make([]int64, 2000)...)); n == 2000 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write to a journal that reads nothing = %d, %v, want an exceeded deadline", n, err)
	}
}
