package tail

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// candidate is a file of the directory that may be part of the log.
type candidate struct {
	path string
	live bool
	err  error // why it can't be read, though it is there
	id   Identity
	st   unix.Stat_t
}

// scan looks at the directory and makes a generation of every file of the log
// that is not known yet, oldest first. It repeats until it finds nothing new: a
// rename between reading the directory and opening a file would put them in the
// wrong order.
func (t *Tail) scan() {
	for range 10 {
		found, err := t.look()
		t.scanned = time.Now()
		if t.listed = err == nil; !t.listed {
			t.liveErr = err
			break
		}
		if t.adopt(found) == 0 {
			break
		}
	}
	t.forget()
}

// look lists the files of the log, oldest first and the live one last.
func (t *Tail) look() ([]candidate, error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, err
	}
	t.liveErr = &fs.PathError{Op: "open", Path: t.cfg.Path, Err: unix.ENOENT}
	var found []candidate
	for _, e := range entries {
		c := candidate{path: filepath.Join(t.dir, e.Name()), live: e.Name() == t.base}
		if !c.live && !isRotated(t.base, e.Name()) {
			continue
		}
		var err error
		if c.id, c.st, err = identifyPath(c.path); err == nil {
			if err = regular(c.st); err == nil {
				c.err = unix.Access(c.path, unix.R_OK)
			}
		}
		if c.live {
			t.liveErr = nil
			if err := cmp.Or(err, c.err); err != nil {
				t.liveErr = &fs.PathError{Op: "open", Path: c.path, Err: err}
			}
		}
		if err == nil {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		if a.live != b.live {
			if b.live {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.st.Mtim.Nano(), b.st.Mtim.Nano()), -cmp.Compare(a.path, b.path))
	})
	return found, nil
}

// adopt brings the generations up to date with what is there, and returns how
// many files were new.
func (t *Tail) adopt(found []candidate) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	seen := make(map[*generation]bool)
	fresh := 0
	for _, c := range found {
		g := t.byFile[c.id.key()]
		if g != nil && !g.ended && g.file == nil && c.err == nil {
			g = t.reopen(g, c)
		}
		if g != nil && g.ended && c.live && !g.copied && t.refilled(g, c) {
			g = nil // truncated after its end was read, or its inode has another file now
		}
		if g == nil {
			if c.err != nil {
				continue
			}
			if g = t.begin(c, now); g == nil {
				continue
			}
			fresh++
		}
		if !seen[g] || c.live {
			g.name, g.live = c.path, c.live
		}
		g.missing = time.Time{}
		seen[g] = true
	}
	for _, g := range t.gens {
		if !seen[g] && (g.file == nil || t.byFile[g.id.key()] == g) {
			g.live = false
			if g.missing.IsZero() {
				g.missing = now
			}
		}
	}
	return fresh
}

// reopen opens the file of a generation of an earlier run. If it does not hold
// what was read then, it is another file, or was truncated meanwhile: nil.
func (t *Tail) reopen(g *generation, c candidate) *generation {
	f, err := openRegular(c.path)
	if err != nil {
		return g // tried again by the next scan
	}
	id, _, err := identify(f)
	if err == nil && id.key() == g.id.key() {
		if err = holds(f, g.head, g.before, g.offset); err == nil {
			g.file = f
			return g
		}
	}
	_ = f.Close()
	if errors.Is(err, errChanged) {
		t.cfg.Log.Warn().Str("path", c.path).Int64("offset", g.offset).
			Msg("log was truncated while nobody read it, reading it from its beginning; what was not read before is lost")
		g.ended = true
		return nil
	}
	return g
}

// refilled tells whether the live file, whose generation has ended, holds
// something else now.
func (t *Tail) refilled(g *generation, c candidate) bool {
	f, err := openRegular(c.path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(holds(f, g.head, g.before, g.offset), errChanged) || c.st.Size > g.offset
}

// begin makes a generation of a new file; nil if it can't be opened now.
func (t *Tail) begin(c candidate, now time.Time) *generation {
	f, err := openRegular(c.path)
	if err != nil {
		return nil
	}
	id, st, err := identify(f)
	if err != nil || id.key() != c.id.key() {
		_ = f.Close() // renamed since: the next scan finds it
		return nil
	}
	g := &generation{number: t.nextNumber, id: id, name: c.path, file: f, size: st.Size, grown: now, live: c.live}
	switch {
	case t.first && !c.live:
		// What was rotated away before the first start is not part of the log.
		g.ended, g.offset = true, 0
		g.close()
	case t.first && t.cfg.From == End:
		if err := g.skipToEnd(); err != nil {
			_ = f.Close()
			return nil
		}
	case !c.live && t.isCopy(f):
		t.cfg.Log.Info().Str("path", c.path).Msg("file is a copy of one that was read, left alone")
		g.ended, g.copied = true, true
		g.close()
	}
	t.nextNumber++
	t.gens = append(t.gens, g)
	t.byFile[id.key()] = g
	if !g.ended {
		t.cfg.Log.Info().Str("path", c.path).Int64("generation", g.number).Int64("offset", g.offset).Msg("reading log")
	}
	return g
}

// isCopy tells whether a rotated file begins like one that was read before, as
// the copies of logrotate's copytruncate do. A few bytes prove nothing.
func (t *Tail) isCopy(f *os.File) bool {
	for _, g := range t.gens {
		if len(g.head) >= headSize && holds(f, g.head, nil, 0) == nil {
			return true
		}
	}
	return false
}

// skipToEnd moves a new generation after its last newline.
func (g *generation) skipToEnd() error {
	end := int64(0)
	buf := make([]byte, 64<<10)
	for at := g.size; at > 0 && end == 0; {
		from := max(0, at-int64(len(buf)))
		n, err := pread(g.file, buf[:at-from], from)
		if err != nil {
			return err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			end = from + int64(i) + 1
		}
		at = from
	}
	head, before := make([]byte, min(end, headSize)), make([]byte, min(end, frontierSize))
	n, err := pread(g.file, head, 0)
	if err == nil && n < len(head) {
		err = errChanged
	}
	if err == nil {
		if n, err = pread(g.file, before, end-int64(len(before))); err == nil && n < len(before) {
			err = errChanged
		}
	}
	if err != nil {
		return fmt.Errorf("find the end of %s: %w", g.name, err)
	}
	g.head, g.before, g.offset = head, before, end
	g.start, g.startBefore = end, slices.Clone(before)
	return nil
}

// forget drops generations that are behind the durable position and whose file
// has left the directory, or holds a later generation.
func (t *Tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := t.gens[:0]
	for _, g := range t.gens {
		newest := t.byFile[g.id.key()] == g
		if g.ended && g.number < t.settled && (!newest || !g.missing.IsZero()) {
			if newest {
				delete(t.byFile, g.id.key())
			}
			continue
		}
		keep = append(keep, g)
	}
	clear(t.gens[len(keep):])
	t.gens = keep
}
