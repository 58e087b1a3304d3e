package eventgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"eventline/internal/pace"
)

// TestEveryEventOnceThroughRotation lets the file be renamed, recreated and deleted while 20,000 events a
// second are written, and then reads every generation there was.
func TestEveryEventOnceThroughRotation(t *testing.T) {
	for _, c := range []struct {
		name   string
		rotate func(a *App, path string, i int) error
	}{
		{"renamed, and recreated by eventgen", func(_ *App, path string, i int) error {
			return os.Rename(path, old(path, i))
		}},
		{"renamed and recreated, as logrotate's create does", func(_ *App, path string, i int) error {
			if err := os.Rename(path, old(path, i)); err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return nil // eventgen was quicker
			}
			return errors.Join(err, f.Close())
		}},
		{"renamed with a signal, as logrotate's postrotate does", func(a *App, path string, i int) error {
			err := os.Rename(path, old(path, i))
			a.Reopen()
			return err
		}},
		{"deleted", func(_ *App, path string, _ int) error { return os.Remove(path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.log")
			a, _ := newApp(t, testConfig(path, 20_000*pace.PerSecond, 0), nil)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() { result <- a.Run(ctx) }()
			var generations []*os.File
			for i := range 6 {
				f := openWhenWritten(t, path)
				generations = append(generations, f)
				if err := c.rotate(a, path, i); err != nil {
					t.Fatal(err)
				}
			}
			generations = append(generations, openWhenWritten(t, path))
			cancel()
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			var all bytes.Buffer
			for _, f := range generations {
				if _, err := all.ReadFrom(f); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			wantEventText(t, 1, int(a.written.Load()), all.Bytes())
		})
	}
}

func old(path string, i int) string { return fmt.Sprintf("%s.%d", path, i) }

// openWhenWritten opens the file at path once it is there and has a line.
func openWhenWritten(t *testing.T, path string) (f *os.File) {
	t.Helper()
	eventually(t, path+" is written", func() bool {
		var err error
		if f, err = os.Open(path); err != nil {
			return false
		}
		if info, err := f.Stat(); err == nil && info.Size() > 0 {
			return true
		}
		f.Close()
		return false
	})
	return f
}

// TestDeletedFolderDelaysEventsAndLosesNone is an operator who removes the folder and makes it again.
func TestDeletedFolderDelaysEventsAndLosesNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "eventline")
	path := filepath.Join(dir, "events.log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := testConfig(path, 5000*pace.PerSecond, 0)
	a, _ := newApp(t, c, nil)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	before := openWhenWritten(t, path)
	// Renamed and not removed file by file: a file made between the two steps would be lost to the test.
	if err := os.Rename(dir, dir+".gone"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the folder is missed", func() bool { return a.ready() != nil })
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	after := openWhenWritten(t, path)
	eventually(t, "the schedule is caught up", func() bool { return a.lag() < 100*time.Millisecond })
	cancel()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, f := range []*os.File{before, after} {
		if _, err := all.ReadFrom(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	wantEventText(t, 1, int(a.written.Load()), all.Bytes())
}
