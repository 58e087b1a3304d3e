package logship

import (
	"context"
	"errors"
	"fmt"
	"time"

	"eventline/internal/daemon"
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
	acked := func() uint64 { return a.ship.Status().Acked }
	a.notify.Tell(ctx, statusEvery, acked, func(lines uint64, took time.Duration) string {
		return a.statusText(float64(lines) / took.Seconds())
	})
}

// statusText says in one line what is going on.
func (a *App) statusText(rate float64) string {
	s := a.ship.Status()
	wait := ""
	if s.Unacked > 0 {
		wait = fmt.Sprintf(", %d lines not acknowledged", s.Unacked)
	}
	if err := a.ready(); err != nil {
		return fmt.Sprintf("%v (%s unread%s)", err, daemon.Bytes(float64(a.tail.Unread())), wait)
	}
	return fmt.Sprintf("shipping %s to topic %s: %.1f lines/s, %s unread%s", a.cfg.Paths[0], a.cfg.Topic, rate, daemon.Bytes(float64(a.tail.Unread())), wait)
}
