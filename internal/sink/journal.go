package sink

import (
	"fmt"
	"strconv"

	"github.com/coreos/go-systemd/v22/journal"

	"eventline/internal/event"
)

// Send is the signature of journal.Send, for tests to stand in for it.
type Send func(message string, priority journal.Priority, fields map[string]string) error

// Journal writes decisions as entries of systemd's journal, by its native
// protocol: the message is the classic line, and `journalctl BUCKET=high` finds
// by field. It is safe for concurrent use.
type Journal struct {
	identifier string
	send       Send
}

// NewJournal returns a Journal whose entries carry the identifier, the program's
// name. A nil send is the real journal.
func NewJournal(identifier string, send Send) *Journal {
	if send == nil {
		send = journal.Send
	}
	return &Journal{identifier: identifier, send: send}
}

// Write writes an entry for each decision. The journal has it when Write returns;
// after an error the entries before the failed one are out.
func (j *Journal) Write(lines []event.Line) error {
	var buf []byte
	for i := range lines {
		l := &lines[i]
		buf = l.AppendClassic(buf[:0])
		fields := map[string]string{
			"BUCKET":            l.Bucket,
			"EVENT_ID":          string(l.ID),
			"TOPIC":             l.Topic,
			"PARTITION":         strconv.Itoa(int(l.Partition)),
			"OFFSET":            strconv.FormatInt(l.Offset, 10),
			"SYSLOG_IDENTIFIER": j.identifier,
		}
		message := string(buf)
		fields["PRICE"] = string(l.Price.AppendPython(buf[len(buf):]))
		if err := j.send(message, journal.PriInfo, fields); err != nil {
			return fmt.Errorf("write to the journal: %w", err)
		}
	}
	return nil
}
