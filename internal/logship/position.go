package logship

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/checkpoint"
	"eventline/internal/ship"
	"eventline/internal/tail"
)

const (
	// sourcesDir is the folder of the state directory in which each log has one.
	sourcesDir = "sources"
	// keepState is how long the position of a log is kept that is gone. Without it
	// a file that comes back, from a backup or with a file system that was not
	// mounted for a week-end, would be sent a second time. Logs with the date in
	// their names would leave one behind each day, so it is not for ever.
	keepState = 7 * 24 * time.Hour
	// goneName is a file beside a position, as old as the log is gone.
	goneName = "gone"
)

// position is what the state directory holds of one log: how far it is in which
// topic.
type position struct {
	Path  string      `json:"path"`
	Topic string      `json:"topic"`
	From  string      `json:"from"` // where the first start began, for people
	State *ship.State `json:"state,omitempty"`
	// Tail is what versions wrote that could not append exactly once.
	Tail *tail.State `json:"tail,omitempty"`
}

// state is the shipper's. One of an earlier version knows no numbering: the first
// begins where it ended.
func (p *position) state() *ship.State {
	if p.State == nil && p.Tail != nil {
		return &ship.State{Tail: *p.Tail, Clean: true}
	}
	return p.State
}

// positions are the stored ones of all logs.
type positions struct {
	dir    *checkpoint.Dir
	cfg    Config
	log    zerolog.Logger
	paths  map[string]string // of logs that have one, and the folder it is in
	saving chan struct{}     // has room for those who may store at a time
}

// folderOf is where the position of a log lies in the state directory: under a
// name in which a person knows it again, and that no other path has.
func folderOf(path string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
			return r
		}
		return '_'
	}, filepath.Base(path))
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(sourcesDir, name[:min(len(name), 100)]+"-"+hex.EncodeToString(sum[:8]))
}

// homeOf is a number of a log's own, which decides its partition where each log goes to
// one.
func homeOf(path string) uint64 {
	sum := sha256.Sum256([]byte(path))
	return binary.BigEndian.Uint64(sum[:])
}

// openPositions learns what is stored, and moves a position from where there was
// room for only one to its log's folder.
func openPositions(dir *checkpoint.Dir, cfg Config, log zerolog.Logger) (*positions, error) {
	p := &positions{dir: dir, cfg: cfg, log: log, paths: make(map[string]string), saving: make(chan struct{}, 4)}
	if err := p.move(); err != nil {
		return nil, err
	}
	names, err := dir.Names(sourcesDir)
	if err != nil {
		return nil, fmt.Errorf("read state directory: %w", err)
	}
	for _, name := range names {
		folder := filepath.Join(sourcesDir, name)
		store := dir.Store(folder)
		stored, _, err := p.read(store)
		switch {
		case err != nil:
			log.Warn().Err(err).Msg("position of a log can't be read")
		case stored != nil:
			p.paths[stored.Path] = folder
		}
	}
	return p, nil
}

// move is what the first start after an upgrade does.
func (p *positions) move() error {
	old := p.dir.Store("")
	stored, found, err := p.read(old)
	if err != nil || stored == nil {
		return err
	}
	p.say(found)
	if stored.Topic != p.cfg.Topic {
		return fmt.Errorf("state directory %s belongs to %s and topic %s, not to topic %s; give this one another with --state-dir",
			p.cfg.StateDir, stored.Path, stored.Topic, p.cfg.Topic)
	}
	to := p.dir.Store(folderOf(stored.Path))
	if err := checkpoint.Move(old, to); err != nil {
		return err
	}
	p.log.Info().Str("path", stored.Path).Str("folder", to.Dir()).Msg("position moved to a folder of its log")
	return nil
}

func (p *positions) say(found []string) {
	for _, finding := range found {
		p.log.Warn().Msg(finding)
	}
}

// read returns nil where nothing is stored.
func (p *positions) read(store *checkpoint.Store) (*position, []string, error) {
	payload, found, err := store.Load()
	if err != nil || payload == nil {
		return nil, nil, err
	}
	stored := new(position)
	d := json.NewDecoder(strings.NewReader(string(payload)))
	d.DisallowUnknownFields()
	if err := d.Decode(stored); err != nil {
		return nil, nil, fmt.Errorf("read position in %s: %w", store.Dir(), err)
	}
	state := stored.state()
	if state == nil {
		return nil, nil, fmt.Errorf("read position in %s: no state in it", store.Dir())
	}
	if err := state.Check(); err != nil {
		return nil, nil, fmt.Errorf("read position in %s: %w", store.Dir(), err)
	}
	return stored, found, nil
}

// load returns the store of a log and what it holds, nil at a first start. A
// position of another topic is refused: going on from it would skip lines, and
// beginning anew would send some twice.
func (p *positions) load(path string) (*checkpoint.Store, *ship.State, error) {
	store := p.dir.Store(folderOf(path))
	stored, found, err := p.read(store)
	if err != nil {
		return nil, nil, err
	}
	p.say(found)
	if err := os.Remove(filepath.Join(store.Dir(), goneName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("load position of %s: %w", path, err)
	}
	if stored == nil {
		return store, nil, nil
	}
	if stored.Path != text(path) || stored.Topic != p.cfg.Topic {
		return nil, nil, fmt.Errorf("folder %s belongs to %s and topic %s, not to %s and topic %s; give this one another with --state-dir",
			store.Dir(), stored.Path, stored.Topic, path, p.cfg.Topic)
	}
	p.log.Info().Str("path", path).Int64("generations", stored.state().Tail.Next).Msg("going on from the stored position")
	return store, stored.state(), nil
}

// save may be called from several goroutines, for several stores.
func (p *positions) save(store *checkpoint.Store, path string, s ship.State, both bool) error {
	payload, err := json.Marshal(position{Path: text(path), Topic: p.cfg.Topic, From: p.cfg.From, State: &s})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	p.saving <- struct{}{}
	defer func() { <-p.saving }()
	if both {
		return store.SaveBoth(payload)
	}
	return store.Save(payload)
}

// text is a path as JSON keeps it: a file's name may be any bytes.
func text(path string) string { return strings.ToValidUTF8(path, "?") }

// known tells whether a log has a position.
func (p *positions) known(path string) bool { return p.paths[text(path)] != "" }

// sweep forgets the positions of logs that have been gone for long. running tells
// which are being read.
func (p *positions) sweep(now time.Time, running func(path string) bool) {
	for path, folder := range p.paths {
		if running(path) {
			continue
		}
		marker := filepath.Join(p.cfg.StateDir, folder, goneName)
		info, err := os.Stat(marker)
		switch {
		case remains(path):
			if err == nil {
				_ = os.Remove(marker)
			}
		case errors.Is(err, fs.ErrNotExist):
			if err := os.WriteFile(marker, nil, 0o640); errors.Is(err, fs.ErrNotExist) {
				delete(p.paths, path) // nothing was ever stored
			} else if err == nil {
				p.miss(path, folder)
			} else {
				p.log.Warn().Err(err).Msg("can't note that a log is gone")
			}
		case err == nil && now.Sub(info.ModTime()) >= keepState:
			p.forget(path, folder)
		}
	}
}

// miss says that a log went while nobody looked, where more may have been in it
// than was sent.
func (p *positions) miss(path, folder string) {
	stored, _, err := p.read(p.dir.Store(folder))
	if err != nil || stored == nil {
		return
	}
	for _, g := range stored.state().Tail.Generations {
		if !g.Done {
			p.log.Warn().Str("path", path).Str("file", g.Name).Int64("offset", g.Offset).
				Msg("log is gone since the last run, what came after the offset is not sent")
		}
	}
}

func (p *positions) forget(path, folder string) {
	err := p.dir.Store(folder).Remove()
	if err == nil {
		err = os.RemoveAll(filepath.Join(p.cfg.StateDir, folder))
	}
	if err != nil {
		p.log.Warn().Err(err).Str("path", path).Msg("position of a log that is gone can't be removed")
		return
	}
	delete(p.paths, path)
	p.log.Info().Str("path", path).Stringer("gone_for", keepState).Msg("position of a log that is gone removed")
}

// remains tells whether there is still a file of the log, a rotated one too, or
// whether that can't be told.
func remains(path string) bool {
	names, err := readNames(filepath.Dir(path))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	base := filepath.Base(path)
	for _, name := range names {
		if name == base {
			return true
		}
		if _, rotated := tail.RotatedFrom(name, func(log string) bool { return log == base }); rotated {
			return true
		}
	}
	return false
}
