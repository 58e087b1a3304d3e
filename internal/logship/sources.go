package logship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"eventline/internal/daemon"
	"eventline/internal/ship"
	"eventline/internal/tail"
)

const (
	// findEvery is how often the patterns are looked for where nothing is reported,
	// and notBefore how soon after a look the next one may follow.
	findEvery = time.Second
	notBefore = 20 * time.Millisecond
	// lookEvery is how often everything that was found is considered again, though
	// no name has changed: a symlink may lead elsewhere.
	lookEvery = 30 * time.Second
	// sweepEvery is how often it is seen to what is stored of logs that are gone.
	sweepEvery = time.Hour
	// onceAtATime is how many logs are read at a time when each is read once: each
	// takes descriptors and a connection to ask for its producer id.
	onceAtATime = 32
)

// goneFor is how long a log that a pattern named has to be gone before its source
// ends: a writer may make the file again only with its next line. lonely is how
// long a file has to stand alone whose name looks like that of a rotated log
// before it counts as a log: between rename and creation the log itself is not
// there. Tests set them.
var (
	goneFor = time.Minute
	lonely  = 10 * time.Second
)

// look finds out which logs there are and opens those that are new. It returns
// them; they do not run yet. first is the first look of the process.
func (a *App) look(now time.Time, first bool) (opened []*source, err error) {
	found := a.finder.find(now)
	a.warnEmpty(found.empty)
	a.warnFolders(found.trouble)
	if !first && !found.changed && !a.unsettled && now.Sub(a.looked) < lookEvery {
		return nil, nil
	}
	a.unsettled, a.looked = false, now
	var failed []error
	there := make(map[string]bool, len(found.paths))
	for _, path := range found.paths {
		there[path] = true
	}
	refused := make(map[string]string)
	try := func(path string) {
		s, problem, err := a.consider(path, now, first, there)
		switch {
		case err != nil:
			failed = append(failed, err)
			refused[path] = err.Error()
			a.unsettled = true // it may be mended
		case problem != "":
			refused[path] = problem
		case s != nil:
			opened = append(opened, s)
		}
	}
	// Files before what may be a second name of one.
	var links []string
	for _, path := range found.paths {
		if a.source(path) != nil {
			continue
		}
		if link, err := tail.Regular(path); link && err == nil {
			links = append(links, path)
			continue
		}
		try(path)
	}
	for _, path := range links {
		try(path)
	}
	a.refuse(refused)
	for _, s := range a.all() {
		switch {
		case s.named:
		case there[s.path]:
			s.missing = time.Time{}
		case s.missing.IsZero():
			s.missing = now
		}
		a.unsettled = a.unsettled || s.ending
	}
	return opened, errors.Join(failed...)
}

// consider decides whether what a pattern found is a log of its own, and opens it.
// problem is why it is left alone, where a person may not expect that.
func (a *App) consider(path string, now time.Time, first bool, there map[string]bool) (s *source, problem string, err error) {
	dir, name := filepath.Split(path)
	isLog := func(base string) bool {
		base = dir + base
		if a.source(base) != nil || a.positions.known(base) {
			return true
		}
		if !there[base] {
			return false
		}
		_, err := tail.Regular(base)
		return err == nil
	}
	if _, rotated := tail.RotatedFrom(name, isLog); rotated {
		delete(a.alone, path)
		return nil, "", nil
	}
	if tail.Compressed(name) {
		return nil, "is compressed, not a log file", nil
	}
	link, err := tail.Regular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil // a symlink that leads nowhere yet
	case err != nil:
		return nil, err.Error(), nil
	}
	if other := a.sameFile(path, link); other != "" {
		return nil, "is the same file as " + other, nil
	}
	if base, ok := tail.LooksRotated(name); ok && !a.cfg.Once && !a.positions.known(path) && a.finder.matches(dir+base) {
		since, seen := a.alone[path]
		if !seen {
			since = now
			a.alone[path] = now
		}
		if now.Sub(since) < lonely {
			a.unsettled = true
			return nil, "", nil
		}
	}
	delete(a.alone, path)
	from := tail.Beginning
	if first && len(a.positions.paths) == 0 {
		from = tail.From(a.cfg.From)
	}
	s, err = a.open(path, false, from)
	if err != nil {
		return nil, "", err
	}
	s.link = link
	a.add(s)
	return s, "", nil
}

// sameFile returns the log that is the same file under another name, "" if there
// is none. Only a file of several names can be.
func (a *App) sameFile(path string, link bool) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	for _, s := range a.all() {
		if !link && !s.link && !s.named {
			continue
		}
		if other, err := os.Stat(s.path); err == nil && os.SameFile(info, other) {
			return s.path
		}
	}
	return ""
}

// keep runs the sources and looks for new ones until ctx is done. It returns when
// all have ended.
//
// Where going on with one log could lose or double its lines, all end: what is wrong
// with a state or a topic is for a person, who has to see that.
func (a *App) keep(ctx context.Context, opened []*source) error {
	defer a.finder.close()
	ctx, a.stop = context.WithCancel(ctx)
	defer a.stop()
	timer := time.NewTimer(findEvery)
	defer timer.Stop()
	var swept time.Time
	for {
		for _, s := range opened {
			a.start(ctx, s)
		}
		now := time.Now()
		for _, s := range a.all() {
			if s.over(now) {
				s.ending = true
				s.end()
			}
		}
		if now.Sub(swept) >= sweepEvery {
			swept = now
			a.positions.sweep(now, func(path string) bool { return a.source(path) != nil })
		}
		timer.Reset(findEvery)
		select {
		case <-ctx.Done():
			a.running.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return errors.Join(a.failed...)
		case <-a.finder.changes:
			if wait := notBefore - time.Since(now); wait > 0 {
				time.Sleep(wait) // a rotation is several changes
			}
		case <-timer.C:
		}
		opened, _ = a.look(time.Now(), false) // what failed is said and tried again
	}
}

// start runs a source beside the others.
func (a *App) start(ctx context.Context, s *source) {
	reading, end := context.WithCancel(ctx)
	s.end = end
	a.positions.paths[text(s.path)] = folderOf(s.path)
	a.running.Go(func() {
		defer end()
		err := s.run(ctx, reading)
		a.remove(s, err)
		if err != nil {
			if isRefused(err) {
				a.stop()
			}
			return
		}
		if ctx.Err() == nil {
			a.log.Info().Str("path", s.path).Msg("log is gone and all of it is sent")
		}
	})
}

// once runs the sources to the end of what is there.
func (a *App) once(ctx context.Context, opened []*source) error {
	defer a.finder.close()
	group := new(errgroup.Group)
	group.SetLimit(onceAtATime)
	failed := make([]error, len(opened))
	for i, s := range opened {
		group.Go(func() error {
			reading, end := context.WithCancel(ctx)
			defer end()
			s.end = end
			failed[i] = s.run(ctx, reading)
			if isRefused(failed[i]) {
				failed[i] = daemon.ConfigError(failed[i])
			}
			if failed[i] != nil && len(opened) > 1 {
				failed[i] = fmt.Errorf("%s: %w", s.path, failed[i])
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(failed...)
}

// begin opens the logs that are named by a path and those that are there. What is
// stored of any of them and can't be used is an error for a person.
func (a *App) begin() ([]*source, error) {
	var opened []*source
	var failed []error
	for _, path := range a.cfg.Paths {
		if isPattern(path) {
			continue
		}
		s, err := a.open(filepath.Clean(path), true, tail.From(a.cfg.From))
		if err != nil {
			failed = append(failed, daemon.ConfigError(err))
			continue
		}
		a.add(s)
		opened = append(opened, s)
	}
	found, err := a.look(time.Now(), true)
	if err != nil {
		failed = append(failed, daemon.ConfigError(err))
	}
	opened = append(opened, found...)
	// A log that is not there just now may have rotated files that were not read to
	// their ends.
	for path := range a.positions.paths {
		if a.source(path) != nil || !a.finder.matches(path) || !remains(path) {
			continue
		}
		s, err := a.open(path, false, tail.Beginning)
		if err != nil {
			failed = append(failed, daemon.ConfigError(err))
			continue
		}
		s.missing = time.Now()
		a.add(s)
		opened = append(opened, s)
	}
	return opened, errors.Join(failed...)
}

func (a *App) add(s *source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sources[s.path] = s
}

// remove forgets a source that has ended.
func (a *App) remove(s *source, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sources, s.path)
	if err != nil {
		failed := fmt.Errorf("%s: %w", s.path, err)
		if isRefused(err) {
			failed = daemon.ConfigError(failed)
		}
		a.failed = append(a.failed, failed)
		a.log.Error().Err(err).Str("path", s.path).Msg("log ended with an error")
	}
}

// isRefused tells whether starting again can't heal an error of a source.
func isRefused(err error) bool {
	var refused *ship.RefusedError
	return errors.As(err, &refused)
}

func (a *App) source(path string) *source {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sources[path]
}

// all returns the sources.
func (a *App) all() []*source {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.sources))
}
