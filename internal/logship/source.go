package logship

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"eventline/internal/ship"
	"eventline/internal/tail"
)

// source is one log with a reader, a shipper and a position of its own: sources
// never have to agree on an order.
type source struct {
	path    string
	named   bool      // by a path, not by a pattern: it is waited for, for ever
	link    bool      // the file may have other names
	missing time.Time // since when, zero if it is there
	ending  bool      // set before end is called
	tail    *tail.Tail
	ship    *ship.Shipper
	end     context.CancelFunc // set before it runs

	blocked atomic.Pointer[error] // why the log can't be read; nil if it can
}

// open makes a source of a path. It reads the position and does no other I/O.
func (a *App) open(path string, named bool, from tail.From) (*source, error) {
	store, state, err := a.positions.load(path)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, named: named}
	var tailState *tail.State
	if state != nil {
		tailState = &state.Tail
	}
	s.tail, err = tail.New(tail.Config{
		Path: path, From: from, State: tailState, MayBeGone: !named,
		MaxLine: state.Longest(int(a.cfg.MaxLine)), Memory: a.memory, Watcher: a.watcher, Once: a.cfg.Once, Folder: a.cfg.StateDir,
		Reader:  tail.Reader(a.cfg.Reader),
		Changed: s.changed, Log: a.log, Metrics: a.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("read position in %s: %w", store.Dir(), err)
	}
	s.ship = ship.New(ship.Options{
		Topic:      a.route,
		Stored:     state,
		Boot:       a.host.Boot,
		Rules:      a.cfg.rules(),
		MaxLine:    int(a.cfg.MaxLine),
		Home:       homeOf(path),
		Blocks:     s.tail.Blocks(),
		Reached:    s.tail.Reached,
		Sync:       s.tail.Sync,
		State:      s.tail.State,
		Save:       func(state ship.State, both bool) error { return a.positions.save(store, path, state, both) },
		Quarantine: filepath.Join(a.cfg.StateDir, "quarantine", filepath.Base(folderOf(path))),
		Delay:      a.cfg.Retry.Jittered,
		Class:      classOf,
		Drain:      drain,
		Log:        a.log.With().Str("path", path).Logger(),
		Group:      a.group,
	})
	return s, nil
}

// changed is told why the log can't be read, and nil when it can.
func (s *source) changed(err error) {
	if err == nil {
		s.blocked.Store(nil)
		return
	}
	s.blocked.Store(&err)
}

// run ships until ctx is done, or until the log has ended and what was read of it
// is safe. reading ends the reader only.
func (s *source) run(ctx, reading context.Context) error {
	read := make(chan error, 1)
	go func() { read <- s.tail.Run(reading) }()
	err := s.ship.Run(ctx)
	s.end()                        // a shipper that gave up takes no more blocks
	err = errors.Join(err, <-read) // what can't be read must not keep what was read from being sent
	if s.ending {
		// That the log was read to its end is known only since it went.
		err = errors.Join(err, s.ship.Settle())
	}
	return err
}

// over tells whether a log that a pattern named is gone for good, and all of it
// was read.
func (s *source) over(now time.Time) bool {
	return !s.named && !s.missing.IsZero() && now.Sub(s.missing) >= goneFor && s.tail.Generations() == 0
}
