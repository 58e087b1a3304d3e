package daemon

import (
	"errors"
	"strings"
)

// exitError gives an error an exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }
func (e *exitError) ExitCode() int { return e.code }

// quietExit ends the command with a code and says nothing: all was said.
type quietExit int

func (quietExit) Error() string   { return "" }
func (e quietExit) ExitCode() int { return int(e) }
func (quietExit) Quiet() bool     { return true }

// Exit gives err an exit code. With a nil err the command ends with that code
// and prints nothing more.
func Exit(code int, err error) error {
	if err == nil {
		return quietExit(code)
	}
	return &exitError{code: code, err: err}
}

// ConfigError marks an error that starting again can't heal: the process exits
// with 78, which the units name in RestartPreventExitStatus.
func ConfigError(err error) error { return Exit(ExitConfig, err) }

// UsageError marks a mistake in the arguments: the process exits with 2.
func UsageError(err error) error { return Exit(ExitUsage, err) }

// exitCode returns the code an error carries, or 1.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	if isUsage(err) {
		return ExitUsage
	}
	return ExitFailed
}

// isUsage tells cobra's own errors from the app's. cobra gives them no type;
// flag errors get theirs from the root's FlagErrorFunc.
func isUsage(err error) bool {
	for _, prefix := range []string{"unknown command ", "required flag(s) ", "accepts ", "requires at least ", "invalid argument "} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}
