package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// LogConfig says what is logged and how. It is the section `log` of every
// daemon's settings.
type LogConfig struct {
	Level  string `yaml:"level" help:"least level that is logged: debug, info, warn or error"`
	Format string `yaml:"format" help:"auto (journal under systemd, console on a terminal, else json), console, json or journal"`
}

// DefaultLog is info, in the form that fits where standard error goes.
func DefaultLog() LogConfig { return LogConfig{Level: "info", Format: "auto"} }

// Problems returns what is wrong with the settings, by key below `log`.
func (c LogConfig) Problems() map[string]string {
	bad := make(map[string]string)
	switch c.Level {
	case "debug", "info", "warn", "error":
	default:
		bad["level"] = fmt.Sprintf("want debug, info, warn or error, got %q", c.Level)
	}
	switch c.Format {
	case "auto", "console", "json", "journal":
	default:
		bad["format"] = fmt.Sprintf("want auto, console, json or journal, got %q", c.Format)
	}
	return bad
}

// NewLogger returns a logger that writes to env.Stderr or to the journal. It
// fails only if the journal was asked for and can't be reached.
func NewLogger(c LogConfig, env Environment, name string) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log.level: %w", err)
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	zerolog.ErrorFieldName = "err"
	format := c.Format
	if format == "auto" {
		format = logFormat(env)
	}
	var w io.Writer
	switch format {
	case "journal":
		if !journal.Enabled() {
			return zerolog.Nop(), fmt.Errorf("log.format: the journal's socket can't be reached")
		}
		w = &journalWriter{identifier: name, fallback: env.Stderr, send: journal.Send}
	case "console":
		w = zerolog.ConsoleWriter{Out: env.Stderr, TimeFormat: "15:04:05.000", NoColor: noColor(env)}
	default:
		w = env.Stderr
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

func logFormat(env Environment) string {
	f, ok := env.Stderr.(*os.File)
	switch {
	case !ok:
		return "json"
	case IsJournal(f, env.LookupEnv) && journal.Enabled():
		return "journal"
	case term.IsTerminal(int(f.Fd())):
		return "console"
	}
	return "json"
}

// IsJournal tells whether f is the stream to the journal that systemd gave the
// service: $JOURNAL_STREAM names its device and inode (systemd.exec(5)), so
// that a redirected stream is not mistaken for it.
func IsJournal(f *os.File, lookup func(string) (string, bool)) bool {
	stream, ok := lookup("JOURNAL_STREAM")
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func noColor(env Environment) bool {
	if v, ok := env.LookupEnv("NO_COLOR"); ok && v != "" {
		return true // no-color.org
	}
	f, ok := env.Stderr.(*os.File)
	return !ok || !term.IsTerminal(int(f.Fd()))
}

// journalWriter sends log events to the journal by its native protocol: each
// field of the event is a field of the entry, and the message repeats them as
// text, because `journalctl -u NAME` shows nothing but the message. zerolog's
// own journal writer leaves them out of the message.
type journalWriter struct {
	identifier string
	fallback   io.Writer
	send       func(message string, p journal.Priority, fields map[string]string) error
}

func (w *journalWriter) Write(p []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, p) }

func (w *journalWriter) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	message, fields := journalEntry(p)
	fields["SYSLOG_IDENTIFIER"] = w.identifier
	if err := w.send(message, journalPriority(level), fields); err != nil {
		if _, err := w.fallback.Write(p); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// journalEntry reads an event that zerolog encoded, keeping the order of its
// fields.
func journalEntry(p []byte) (string, map[string]string) {
	fields := make(map[string]string)
	var message string
	var text strings.Builder
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return strings.TrimSpace(string(p)), fields
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			break
		}
		plain := string(value)
		var s string
		if json.Unmarshal(value, &s) == nil {
			plain = s
		}
		name, _ := key.(string)
		switch name {
		case zerolog.TimestampFieldName, zerolog.LevelFieldName:
		case zerolog.MessageFieldName:
			message = plain
		default:
			fields[journalField(name)] = plain
			if strings.ContainsAny(plain, " \"\n") {
				plain = string(value)
			}
			fmt.Fprintf(&text, " %s=%s", name, plain)
		}
	}
	return message + text.String(), fields
}

// journalField makes a name that the journal takes: A-Z, 0-9 and _, not
// beginning with a digit or _ (systemd.journal-fields(7)).
func journalField(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, key)
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		name = "X" + name
	}
	return name
}

func journalPriority(level zerolog.Level) journal.Priority {
	switch level {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		return journal.PriDebug
	case zerolog.WarnLevel:
		return journal.PriWarning
	case zerolog.ErrorLevel:
		return journal.PriErr
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return journal.PriCrit
	}
	return journal.PriInfo
}
