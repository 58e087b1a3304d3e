package tail

import "time"

// Unread is how many bytes there are in the log's files that were not read yet.
// It may be called from any goroutine.
func (t *Tail) Unread() int64 {
	if known := t.atRest.Load(); known >= 0 {
		return known
	}
	return t.unread()
}

func (t *Tail) unread() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var unread int64
	for _, g := range t.gens {
		if g.file == nil || g.ended {
			continue
		}
		if info, err := g.file.Stat(); err == nil {
			unread += max(0, info.Size()-g.offset)
		}
	}
	return unread
}

// Behind is for how long there have been bytes that were not read, 0 if there are none
// now. It may be called from any goroutine.
func (t *Tail) Behind(now time.Time) time.Duration {
	if t.Unread() == 0 {
		return 0
	}
	return max(0, now.Sub(time.Unix(0, t.caughtUp.Load())))
}

// Generations is how many files are being read or wait for it. It may be called
// from any goroutine.
func (t *Tail) Generations() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, g := range t.gens {
		if !g.ended {
			n++
		}
	}
	return n
}
