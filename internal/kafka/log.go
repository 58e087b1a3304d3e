package kafka

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/IBM/sarama"
	metrics "github.com/rcrowley/go-metrics"
	"github.com/rs/zerolog"
)

// sarama keeps its logger and its metrics in package variables, so this is the
// one place where we must too. They are set before any goroutine can look.
func init() {
	// Its meters tick in a goroutine that nothing ends, and stay registered
	// after the configuration that made them is gone (sarama #897, #1321).
	// Ours are Prometheus's.
	metrics.UseNilMetrics = true
	sarama.Logger = &libraryLog
	sarama.DebugLogger = &libraryLog
}

var libraryLog logBridge

// logBridge hands sarama's log lines to the first open client whose own log
// shows debug messages, and drops them where there is none: what they tell is
// how the library works, not what a user has to know.
type logBridge struct {
	to atomic.Pointer[zerolog.Logger]
}

func (b *logBridge) attach(log *zerolog.Logger) {
	if log.Debug().Enabled() {
		b.to.CompareAndSwap(nil, log)
	}
}

func (b *logBridge) detach(log *zerolog.Logger) { b.to.CompareAndSwap(log, nil) }

func (b *logBridge) Print(v ...any) {
	if log := b.to.Load(); log != nil {
		say(log, fmt.Sprint(v...))
	}
}

func (b *logBridge) Printf(format string, v ...any) {
	if log := b.to.Load(); log != nil {
		say(log, fmt.Sprintf(format, v...))
	}
}

func (b *logBridge) Println(v ...any) {
	if log := b.to.Load(); log != nil {
		say(log, fmt.Sprintln(v...))
	}
}

func say(log *zerolog.Logger, text string) {
	log.Debug().Str("text", strings.TrimSpace(text)).Msg("kafka client library")
}
