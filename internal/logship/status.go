package logship

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"eventline/internal/daemon"
	"eventline/internal/ship"
)

// statusEvery is how often the service manager is told, if something changed.
const statusEvery = time.Second

// ready says what the daemon waits for. One log of many that can't be read is no
// reason to call the whole not ready.
func (a *App) ready() error {
	return a.waitsFor(a.count(), a.group.Status())
}

// tally is how many logs there are, and which can't be read.
type tally struct {
	logs, blocked int
	err           error  // why the first of those can't, by path
	path          string // of it, or of the only log
}

func (a *App) count() (t tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.logs = len(a.sources)
	for path, s := range a.sources {
		if err := s.blocked.Load(); err != nil {
			t.blocked++
			if t.err == nil || path < t.path {
				t.err, t.path = *err, path
			}
		} else if t.logs == 1 {
			t.path = path
		}
	}
	return t
}

func (a *App) waitsFor(logs tally, s ship.Status) error {
	switch {
	case logs.blocked < logs.logs:
	case logs.blocked > 0:
		return fmt.Errorf("waiting for the log: %w", logs.err)
	default:
		if trouble := a.trouble(); trouble != "" {
			return errors.New("waiting for a log: " + trouble)
		}
	}
	switch {
	case s.Err != nil:
		return fmt.Errorf("waiting for Kafka: %w", s.Err)
	case !s.Connected:
		return errors.New("connecting to Kafka")
	}
	return nil
}

// trouble is the most telling of what is wrong beside single logs, "" if nothing.
func (a *App) trouble() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.folders) > 0:
		return a.folders[slices.Min(slices.Collect(maps.Keys(a.folders)))].Error()
	case len(a.empty) > 0:
		return "nothing matches " + a.empty[0]
	case len(a.refused) > 0:
		path := slices.Min(slices.Collect(maps.Keys(a.refused)))
		return path + " " + a.refused[path]
	}
	return ""
}

// tellStatus keeps the service manager's status line true until ctx is done.
func (a *App) tellStatus(ctx context.Context) {
	acked := func() uint64 { return a.group.Status().Acked }
	a.notify.Tell(ctx, statusEvery, acked, func(lines uint64, took time.Duration) string {
		return a.statusText(float64(lines) / took.Seconds())
	})
}

// statusText says in one line what is going on.
func (a *App) statusText(rate float64) string {
	s, logs := a.group.Status(), a.count()
	wait := ""
	if s.Unacked > 0 {
		wait = fmt.Sprintf(", %d lines not acknowledged", s.Unacked)
	}
	unread := daemon.Bytes(float64(a.metrics.Unread()))
	if err := a.waitsFor(logs, s); err != nil {
		return fmt.Sprintf("%v (%s unread%s)", err, unread, wait)
	}
	name := logs.path
	if logs.logs != 1 {
		name = fmt.Sprintf("%d logs", logs.logs)
	}
	text := fmt.Sprintf("shipping %s to topic %s: %.1f lines/s, %s unread%s", name, a.cfg.Topic, rate, unread, wait)
	if logs.blocked > 0 {
		text += fmt.Sprintf("; %d can't be read: %v", logs.blocked, logs.err)
	} else if trouble := a.trouble(); trouble != "" {
		text += "; " + trouble
	}
	return text
}

// refuse says which names that a pattern found are left alone, and why, once.
func (a *App) refuse(refused map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(refused)) {
		if a.refused[path] != refused[path] {
			a.log.Warn().Str("path", path).Str("reason", refused[path]).Msg("left alone, the other logs go on")
		}
	}
	a.refused = refused
}

// warnEmpty says which patterns nothing matches, once.
func (a *App) warnEmpty(empty []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, pattern := range empty {
		if !slices.Contains(a.empty, pattern) {
			a.log.Warn().Str("pattern", pattern).Msg("nothing matches the pattern, waiting for a file that does")
		}
	}
	a.empty = empty
}

// warnFolders says which folders can't be listed, once.
func (a *App) warnFolders(trouble map[string]error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, dir := range slices.Sorted(maps.Keys(trouble)) {
		if was := a.folders[dir]; was == nil || was.Error() != trouble[dir].Error() {
			a.log.Warn().Err(trouble[dir]).Stringer("retry_in", findEvery).Msg("folder can't be searched for logs")
		}
	}
	a.folders = trouble
}
