package logship

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// statusEvery is how often the service manager is told, if something changed.
const statusEvery = time.Second

// ready says what the daemon waits for.
func (a *App) ready() error {
	if err := a.blocked.Load(); err != nil {
		return fmt.Errorf("waiting for the log: %w", *err)
	}
	switch s := a.ship.Status(); {
	case s.Err != nil:
		return fmt.Errorf("waiting for Kafka: %w", s.Err)
	case !s.Connected:
		return errors.New("connecting to Kafka")
	}
	return nil
}

// tellStatus keeps the service manager's status line true until ctx is done.
func (a *App) tellStatus(ctx context.Context) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	since, before := time.Now(), a.ship.Status().Acked
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, acked := time.Now(), a.ship.Status().Acked
		rate := float64(acked-before) / now.Sub(since).Seconds()
		since, before = now, acked
		a.notify.Status(a.statusText(rate))
	}
}

// statusText says in one line what is going on.
func (a *App) statusText(rate float64) string {
	s := a.ship.Status()
	wait := ""
	if s.Unacked > 0 {
		wait = fmt.Sprintf(", %d lines not acknowledged", s.Unacked)
	}
	if err := a.ready(); err != nil {
		return fmt.Sprintf("%v (%s unread%s)", err, size(a.tail.Unread()), wait)
	}
	return fmt.Sprintf("shipping %s to topic %s: %.1f lines/s, %s unread%s", a.cfg.Paths[0], a.cfg.Topic, rate, size(a.tail.Unread()), wait)
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
