package broker

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
)

// logger passes kfake's messages on. kfake reports a failed save only there, so
// it also listens for that.
type logger struct {
	log zerolog.Logger

	mu       sync.Mutex
	watching bool
	errors   []string
}

// Logf implements kfake.Logger.
func (l *logger) Logf(level kfake.LogLevel, format string, args ...any) {
	e := l.log.Debug()
	switch level {
	case kfake.LogLevelError:
		e = l.log.Error()
	case kfake.LogLevelWarn:
		e = l.log.Warn()
	}
	if level != kfake.LogLevelError && !e.Enabled() {
		return // formatting is the expensive part
	}
	text := fmt.Sprintf(format, args...)
	if level == kfake.LogLevelError {
		l.mu.Lock()
		if l.watching {
			l.errors = append(l.errors, text)
		}
		l.mu.Unlock()
	}
	e.Str("text", text).Msg("demo broker")
}

// watch begins to collect errors.
func (l *logger) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = true
}

func (l *logger) complaint() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.errors, "; ")
}
