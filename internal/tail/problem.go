package tail

import (
	"cmp"
	"errors"
	"io/fs"
	"time"
)

// grace is how long something has to be wrong before it is said: between the
// rename and the creation of a rotation the log is missing, too.
const grace = 500 * time.Millisecond

// problem is what keeps the log from being read.
type problem struct {
	err   error
	since time.Time
	told  bool
}

// tell works out what is wrong and says so once.
func (t *Tail) tell(now time.Time) {
	err := cmp.Or(t.present(t.dirErr), t.present(t.liveErr), t.readErr, t.restErr)
	was := t.problem
	switch {
	case err == nil && was.err == nil:
		return
	case err == nil:
		t.problem = problem{}
		if was.told {
			t.log.Info().Stringer("after", now.Sub(was.since).Round(time.Millisecond)).Msg("log can be read again")
			t.changed(nil)
		}
		return
	case was.err == nil:
		t.problem = problem{err: err, since: now}
	case err.Error() != was.err.Error():
		t.problem = problem{err: err, since: was.since}
	}
	if !t.problem.told && (len(t.gens) == 0 || now.Sub(t.problem.since) >= grace) {
		t.problem.told = true
		t.log.Warn().Err(err).Stringer("retry_in", t.interval()).Msg("log can't be read, waiting for it")
		t.changed(err)
	}
}

// present leaves out that the log is not there, where that is no trouble.
func (t *Tail) present(err error) error {
	if t.cfg.MayBeGone && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (t *Tail) changed(err error) {
	if t.cfg.Changed != nil {
		t.cfg.Changed(err)
	}
}
