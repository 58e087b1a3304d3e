package eventgen

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/checkpoint"
	"eventline/internal/generate"
	"eventline/internal/logfile"
	"eventline/internal/pace"
)

// A run is remembered in two parts.
//
// The snapshot, in a checkpoint, is the whole run between two batches: the shop, the answer key, how many
// bytes were written. It is saved now and then.
//
// The journal is what has to be known at once and can't be computed: which file the bytes went to from when
// on, which events were left out, that the clock was set. Everything else between the snapshot and the end
// of the log is computed again, and compared with what the log has.
//
// Neither is synced to the disk line by line, as the log itself is not. A crash of the process loses
// nothing of them; after a power cut the log may be shorter than what the run remembers, which is said.

// header is what a snapshot says beside the shop and the key.
type header struct {
	Version int
	Seed    int64
	Profile Profile
	Rate    pace.Rate
	Path    string
	Start   int64 // nanoseconds since 1970, of event 0
	Fixed   bool  // Start was asked for; the schedule counts from it
	Truth   string
	Window  time.Duration

	clock
	Written int64 // bytes
	Mark    logfile.Mark
	Note    uint64 // the last note of the journal that is in here
}

// clock says when events are due: event Base of the run is the first of its schedule, at time Origin.
type clock struct {
	Base   uint64
	Origin int64         // nanoseconds since 1970
	Began  int64         // what Origin was before the clock was set
	Used   time.Duration // how long the run had lasted then
}

// lasted is how long the run has lasted when an event is due.
func (c clock) lasted(s pace.Schedule, event uint64) time.Duration {
	return c.Used + s.Due(event-c.Base)
}

// schedule is the one that counts from the clock's beginning.
func (c clock) schedule(shape pace.Shape, rate pace.Rate, seed int64) (pace.Schedule, error) {
	return shape.Schedule(rate, time.Unix(0, c.Began), uint64(seed)+c.Base)
}

// after is the time of an event that is due so long after the schedule began.
func (c clock) after(due time.Duration) time.Time {
	return time.Unix(0, c.Origin).Add(due).UTC()
}

const headerVersion = 1

// note is a line of the journal.
type note struct {
	Note    uint64        // counted from 1
	Written int64         // bytes that had been written when it happened
	Mark    *logfile.Mark `json:",omitempty"` // the file that what follows goes to
	Skip    uint64        `json:",omitempty"` // the next event
	Clock   *clock        `json:",omitempty"` // of what follows
}

// memory is the folder where a run is remembered. Notes may come from any goroutine.
type memory struct {
	dir   *checkpoint.Dir
	store *checkpoint.Store
	log   zerolog.Logger

	mu      sync.Mutex
	journal *os.File
	notes   []note // those that no saved snapshot has
	last    uint64
	failing bool

	saving chan struct{} // holds a token while a snapshot is being saved
}

func openMemory(dir string, log zerolog.Logger) (*memory, error) {
	d, err := checkpoint.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return &memory{dir: d, store: d.Store(""), log: log, saving: make(chan struct{}, 1)}, nil
}

func (m *memory) journalPath() string { return filepath.Join(m.store.Dir(), "journal") }

// snapshot is a remembered run, taken apart.
type snapshot struct {
	header
	shop, key []byte
	notes     []note
}

// load reads what is remembered; nil if there is nothing.
func (m *memory) load() (*snapshot, error) {
	payload, findings, err := m.store.Load()
	if err != nil {
		return nil, err
	}
	for _, f := range findings {
		m.log.Warn().Msg(f)
	}
	if payload == nil {
		return nil, nil
	}
	var s snapshot
	parts, err := split(payload, 3)
	if err == nil {
		err = json.Unmarshal(parts[0], &s.header)
	}
	if err == nil && s.Version != headerVersion {
		err = fmt.Errorf("is of version %d, this program knows %d", s.Version, headerVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("read state in %s: %w; empty the folder to begin anew", m.store.Dir(), err)
	}
	s.shop, s.key = parts[1], parts[2]
	s.notes, err = m.readJournal(s.Note)
	m.last = s.Note
	if n := len(s.notes); n > 0 {
		m.last = s.notes[n-1].Note
	}
	return &s, err
}

// readJournal returns the notes behind one. A line that a crash cut short ends it.
func (m *memory) readJournal(after uint64) ([]note, error) {
	f, err := os.Open(m.journalPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	var all []note
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		var n note
		if json.Unmarshal(scan.Bytes(), &n) != nil {
			break
		}
		if n.Note > after {
			all = append(all, n)
		}
	}
	return all, scan.Err()
}

// add appends a note. It blocks for a write(2), not for the disk.
func (m *memory) add(n note) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	n.Note = m.last
	m.notes = append(m.notes, n)
	if len(m.notes) > maxNotes { // no snapshot could be saved for long
		m.forget()
		m.rewrite(m.notes, true)
		return
	}
	m.rewrite(m.notes[len(m.notes)-1:], false)
}

// maxNotes is how many notes are kept before those that a later one makes useless are left out.
const maxNotes = 1000

// forget leaves out the marks of files, but for the last one.
func (m *memory) forget() {
	last := -1
	for i := range m.notes {
		if m.notes[i].Mark != nil {
			last = i
		}
	}
	kept := m.notes[:0]
	for i := range m.notes {
		if m.notes[i].Mark == nil || i == last {
			kept = append(kept, m.notes[i])
		}
	}
	m.notes = kept
}

// rewrite writes notes, behind those that are there or in their place. The caller holds the lock.
func (m *memory) rewrite(notes []note, anew bool) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for i := range notes {
		_ = e.Encode(&notes[i]) // has no value that JSON does not have
	}
	var err error
	if m.journal == nil {
		m.journal, err = os.OpenFile(m.journalPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	}
	if err == nil && anew {
		err = m.journal.Truncate(0)
	}
	if err == nil && b.Len() > 0 {
		_, err = m.journal.Write(b.Bytes())
	}
	m.said(err)
}

func (m *memory) said(err error) {
	if err != nil && !m.failing {
		m.log.Warn().Str("path", m.store.Dir()).AnErr("err", err).Msg("cannot remember the run, events go on; after a crash some may come twice")
	}
	if err == nil && m.failing {
		m.log.Info().Str("path", m.store.Dir()).Msg("the run is remembered again")
	}
	m.failing = err != nil
}

// save stores a snapshot of now. If wait is false it comes back at once, and does nothing if the one before
// is not stored yet.
func (m *memory) save(h header, shop *generate.Shop, key *answerKey, wait bool) error {
	if wait {
		m.saving <- struct{}{}
	} else {
		select {
		case m.saving <- struct{}{}:
		default:
			return nil
		}
	}
	m.mu.Lock()
	h.Note = m.last
	m.mu.Unlock()
	h.Version = headerVersion
	head, err := json.Marshal(&h)
	if err != nil {
		<-m.saving
		return fmt.Errorf("save state: %w", err)
	}
	var keyState []byte
	if key != nil {
		keyState = key.rec.AppendState(nil)
	}
	payload := join(head, shop.AppendState(nil), keyState)
	store := func() error {
		defer func() { <-m.saving }()
		err := m.store.Save(payload)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.said(err)
		if err != nil {
			return fmt.Errorf("save state: %w", err)
		}
		for len(m.notes) > 0 && m.notes[0].Note <= h.Note {
			m.notes = m.notes[1:]
		}
		m.rewrite(m.notes, true)
		return nil
	}
	if wait {
		return store()
	}
	go func() { _ = store() }() // said; close waits for it
	return nil
}

// close waits for a save that is under way.
func (m *memory) close() error {
	m.saving <- struct{}{}
	err := m.dir.Close()
	if m.journal != nil {
		err = errors.Join(err, m.journal.Close())
	}
	return err
}

// join puts parts behind each other, each with its length before it.
func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func split(b []byte, n int) ([][]byte, error) {
	parts := make([][]byte, n)
	for i := range parts {
		size, used := binary.Uvarint(b)
		if used <= 0 || size > uint64(len(b)-used) {
			return nil, errors.New("is cut short")
		}
		parts[i], b = b[used:used+int(size)], b[used+int(size):]
	}
	if len(b) > 0 {
		return nil, errors.New("is longer than it should be")
	}
	return parts, nil
}
