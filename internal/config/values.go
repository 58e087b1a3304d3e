package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Size is a number of bytes. It is written as a number, or with a unit: KB, MB
// and GB are powers of 1000, KiB, MiB and GiB powers of 1024.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"B", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return fmt.Errorf("want a size such as 64KiB or 1MB, got %q", text)
	}
	*s = Size(n * unit)
	return nil
}

// MarshalText writes the size with the largest unit of 1024 that divides it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for i := 2; i >= 0; i-- {
		if u := sizeUnits[i]; s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Rounded is the size for people, in units of 1000, such as 1.3 GB.
func (s Size) Rounded() string {
	v, unit := float64(s), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	if unit == "B" {
		return strconv.FormatInt(int64(s), 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}

// Wants names the type in problems.
func (Size) Wants() string { return "a size such as 64KiB or 1MB" }

// TypeName names the type in help texts.
func (Size) TypeName() string { return "size" }

// Secret is a password or key. Whatever prints it, in a log, an error or a dump
// of the settings, prints stars.
type Secret struct{ text string }

// NewSecret wraps a secret that was read elsewhere.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the secret itself, to be given to what needs it and nothing else.
func (s Secret) Reveal() string { return s.text }

func (Secret) String() string { return "***" }

// GoString keeps %#v from printing it.
func (Secret) GoString() string { return "***" }

// Format keeps every verb from printing it.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalText keeps JSON and YAML from printing it.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// SecretFile names a file that holds a secret. An absolute path is that file; a
// bare name is a credential that systemd passed to the service
// (systemd.exec(5), LoadCredential=), in the folder $CREDENTIALS_DIRECTORY.
//
// A secret itself is never a setting: it would stand in /proc/PID/environ, in
// shell histories and in `config` dumps.
type SecretFile string

// Problem says what is wrong with the name, or "".
func (f SecretFile) Problem() string {
	if f == "" || filepath.IsAbs(string(f)) || !strings.ContainsRune(string(f), '/') {
		return ""
	}
	return fmt.Sprintf("must be an absolute path or the name of a credential, got %q", string(f))
}

// Read returns the file's content without the line break at its end. It
// fails if the file can't be read or is empty.
func (f SecretFile) Read() (Secret, error) {
	path := string(f)
	if !filepath.IsAbs(path) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return Secret{}, fmt.Errorf("read credential %q: $CREDENTIALS_DIRECTORY is not set; give an absolute path, or LoadCredential= in the unit", path)
		}
		path = filepath.Join(dir, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return Secret{}, fmt.Errorf("read secret: %s is empty", path)
	}
	return Secret{text: text}, nil
}
