package logship

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"eventline/internal/checkpoint"
	"eventline/internal/daemon"
)

// storedLog is what the state directory holds of one log, for people.
type storedLog struct {
	*position
	store *checkpoint.Store
	saved time.Time
}

// readStored reads all of a state directory. It takes no lock: a running logship
// stores whole values only.
func readStored(cfg Config) ([]storedLog, error) {
	if _, err := os.Stat(cfg.StateDir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, daemon.ConfigError(fmt.Errorf("no state in %s: logship has not run with it", cfg.StateDir))
		}
		return nil, fmt.Errorf("read state directory: %w", err)
	}
	dir := checkpoint.Unlocked(cfg.StateDir)
	p := &positions{dir: dir, cfg: cfg, log: zerolog.Nop()}
	names, err := dir.Names(sourcesDir)
	if err != nil {
		return nil, fmt.Errorf("read state directory: %w", err)
	}
	var logs []storedLog
	for _, name := range names {
		store := dir.Store(filepath.Join(sourcesDir, name))
		stored, _, err := p.read(store)
		if err != nil {
			return nil, err
		}
		if stored == nil {
			continue
		}
		logs = append(logs, storedLog{stored, store, store.Saved()})
	}
	slices.SortFunc(logs, func(a, b storedLog) int { return strings.Compare(a.Path, b.Path) })
	return logs, nil
}

// place is where reading goes on, in words.
func (s storedLog) place() string {
	state := s.state()
	for _, g := range state.Tail.Generations {
		if !g.Done {
			return fmt.Sprintf("offset %d of %s", g.Offset, g.Name)
		}
	}
	return "the end of all files there were"
}
