package logship

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"eventline/internal/daemon"
)

// statusEvery is how often the service manager is told, if something changed.
const statusEvery = time.Second

// ready says what the daemon waits for. One log of many that can't be read is no
// reason to call the whole not ready.
func (a *App) ready() error {
	blocked, readable := a.blocked()
	switch {
	case readable > 0:
	case len(blocked) > 0:
		return fmt.Errorf("waiting for the log: %w", blocked[0])
	default:
		if trouble := a.trouble(); trouble != "" {
			return errors.New("waiting for a log: " + trouble)
		}
	}
	switch s := a.group.Status(); {
	case s.Err != nil:
		return fmt.Errorf("waiting for Kafka: %w", s.Err)
	case !s.Connected:
		return errors.New("connecting to Kafka")
	}
	return nil
}

// blocked returns why logs can't be read, and how many can.
func (a *App) blocked() (errs []error, readable int) {
	for _, s := range a.all() {
		if err := s.blocked.Load(); err != nil {
			errs = append(errs, *err)
		} else {
			readable++
		}
	}
	return errs, readable
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
	s := a.group.Status()
	wait := ""
	if s.Unacked > 0 {
		wait = fmt.Sprintf(", %d lines not acknowledged", s.Unacked)
	}
	unread := daemon.Bytes(float64(a.metrics.Unread()))
	if err := a.ready(); err != nil {
		return fmt.Sprintf("%v (%s unread%s)", err, unread, wait)
	}
	text := fmt.Sprintf("shipping %s to topic %s: %.1f lines/s, %s unread%s", a.names(), a.cfg.Topic, rate, unread, wait)
	if blocked, _ := a.blocked(); len(blocked) > 0 {
		text += fmt.Sprintf("; %d can't be read: %v", len(blocked), blocked[0])
	} else if trouble := a.trouble(); trouble != "" {
		text += "; " + trouble
	}
	return text
}

// names is what is being shipped, in few words.
func (a *App) names() string {
	if all := a.all(); len(all) != 1 {
		return fmt.Sprintf("%d logs", len(all))
	} else {
		return all[0].path
	}
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
