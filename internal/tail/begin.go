package tail

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"slices"
	"time"
)

// begin takes the first look: from the state, or as a first start. It reports
// whether it could.
func (t *Tail) begin(s *survey, now time.Time) bool {
	switch {
	case t.cfg.State != nil:
		return t.resume(s, now)
	case t.cfg.From == End:
		return t.fromEnd(s, now)
	}
	t.leaveOutPacked(s, now)
	return true
}

// leaveOutPacked takes the packed files for known that nobody has looked into:
// they were there before the log was read for the first time.
func (t *Tail) leaveOutPacked(s *survey, now time.Time) {
	for _, f := range slices.Concat(s.files, s.closed) {
		if f.packed && t.byFile[f.id.key()] == nil {
			t.leaveOut(f, now)
		}
	}
}

// lookIntoPacked looks into the packed files that a state does not know, and into
// the one that it was reading.
func (t *Tail) lookIntoPacked(s *survey) {
	known := make(map[string]bool)
	var offsets []int64
	missing := false
	for _, st := range t.cfg.State.Generations {
		offsets = append(offsets, st.Offset, st.End)
		for _, c := range st.Trail {
			offsets = append(offsets, c.Offset)
		}
		if st.Done {
			known[st.File.key()] = true
		} else {
			missing = missing || !slices.ContainsFunc(s.files, func(f *found) bool { return !f.packed && f.id.key() == st.File.key() && st.in(f) })
		}
	}
	if !t.cfg.State.Packed && !missing {
		return
	}
	for _, f := range s.files {
		if f.packed && !known[f.id.key()] && f.file != nil {
			in := t.inspected[f.id.key()]
			if in == nil || in.size != f.size { // else the look before this one came to nothing
				in = &inspection{key: f.id.key(), size: f.size, inside: lookInto(t.ctx, f.file, f.size, offsets)}
				t.inspected[in.key] = in
			}
			f.inside = in.inside
		}
	}
}

// fromEnd takes everything that is there as read. Where that was is a decision
// that can't be taken again, so it is handed out to be stored.
func (t *Tail) fromEnd(s *survey, now time.Time) bool {
	if s.live != nil && !errors.Is(s.live, os.ErrNotExist) {
		return false
	}
	at := Position{}
	buf := make([]byte, 0, frontierSize)
	for _, f := range s.files {
		if f.packed {
			t.leaveOut(f, now)
			continue
		}
		g := &generation{id: f.id, name: f.path, size: f.size, grown: now, live: f.live, ended: !f.live}
		end, err := f.size, error(nil)
		if f.live {
			end, err = lastLineEnd(f.file, f.size)
		}
		if err == nil {
			g.head, g.before, err = surroundings(f.file, end)
		}
		if err != nil {
			s.live = err
			t.gens, t.byFile, t.nextNumber = nil, make(map[string]*generation), 0
			return false
		}
		g.start, g.startBefore, g.offset = end, clone(g.before), end
		if f.live {
			g.file, g.begun = f.take(), true
			at.Offset = end
			buf = append(buf[:0], g.before...)
		}
		t.number(g)
	}
	for _, f := range s.closed {
		if !f.live {
			t.leaveOut(f, now) // nobody asks for what is in it
		}
	}
	// The live file has to have the last number.
	for i, g := range t.gens {
		if last := len(t.gens) - 1; g.live && i != last {
			t.gens[i], t.gens[last] = t.gens[last], g
			t.gens[i].number, g.number = int64(i), int64(last)
		}
	}
	if n := len(t.gens); n > 0 && t.gens[n-1].live {
		at.Generation = t.gens[n-1].number
	} else {
		at.Generation = t.nextNumber
	}
	t.pending = &Block{Start: at, End: at, Read: now, buf: clone(buf), Decision: &Decision{Kind: Skipped, Position: at, File: t.cfg.Path}}
	t.log.Info().Int64("offset", at.Offset).Msg("first start, beginning at the end of the log")
	return true
}

// lastLineEnd returns the position after the last newline before size.
func lastLineEnd(f *os.File, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		from := max(0, end-int64(len(buf)))
		n, err := pread(f, buf[:end-from], from)
		if err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

// surroundings reads the bytes by which a position is known again.
func surroundings(f *os.File, offset int64) (head, before []byte, err error) {
	head, before = make([]byte, min(offset, headSize)), make([]byte, min(offset, frontierSize))
	n, err := pread(f, head, 0)
	if err == nil && n < len(head) {
		err = errChanged
	}
	if err != nil {
		return nil, nil, err
	}
	n, err = pread(f, before, offset-int64(len(before)))
	if err == nil && n < len(before) {
		err = errChanged
	}
	return head, before, err
}

// resume finds the files of the state again: by identity if they still hold the
// bytes before the position, else by those bytes.
func (t *Tail) resume(s *survey, now time.Time) bool {
	byKey := make(map[string]*found)
	for _, f := range s.files {
		byKey[f.id.key()] = f
	}
	t.lookIntoPacked(s)
	var gens []*generation
	lost := func(g GenerationState) {
		bytes := max(0, g.Size-g.Offset)
		t.counts.abandoned.Add(bytes)
		t.log.Error().Err(errGone).Int64("bytes", bytes).Str("file", g.Name).Int64("generation", g.Number).Int64("offset", g.Offset).
			Msg("rest of a log file can't be found, its lines are not sent")
	}
	var gone []GenerationState
	for _, st := range t.cfg.State.Generations {
		if !st.Done && !st.Begun && st.Live && st.Offset == 0 && len(st.Head) == 0 && byKey[st.File.key()] != nil {
			// Nothing was read of the live file. What it holds now may be newer than
			// what only a copy holds, so it is found like any other.
			continue
		}
		g := &generation{
			number: st.Number, id: st.File, name: st.Name, head: st.Head,
			start: st.Offset, startBefore: st.Before, offset: st.Offset, before: clone(st.Before),
			begun: st.Begun, by: byState, limit: st.End, limitBefore: st.BeforeEnd, size: st.Offset, grown: now, ended: st.Done, copied: st.Copy, lost: st.Lost, trail: slices.Clone(st.Trail),
		}
		if !st.Done {
			f := byKey[st.File.key()]
			if f == nil || !st.in(f) {
				var err error
				if f, err = t.continuation(s, st, 0); err != nil {
					s.rest = err
				}
			}
			if f == nil {
				gone = append(gone, st)
				continue
			}
			dup, err := t.readable(f)
			if err != nil {
				s.rest = err
				gone = append(gone, st)
				continue
			}
			g.file, g.id, g.name, g.size = dup, f.id, f.path, f.size
			if f.packed {
				g.size = f.inside.length
			}
		}
		gens = append(gens, g)
	}
	again := len(gone) > 0 && !t.searched
	t.searched = t.searched || again
	if again || len(gone) > 0 && (s.rest != nil || s.live != nil && !errors.Is(s.live, os.ErrNotExist)) {
		for _, g := range gens {
			g.close()
		}
		return false // it may be in what can't be opened now
	}
	for _, st := range gone {
		if i := slices.IndexFunc(s.files, func(f *found) bool { return shorterCopy(f, st.Head, st.Before, st.Trail, st.Offset) }); i >= 0 {
			t.log.Info().Str("file", st.Name).Int64("offset", st.Offset).Str("copy", s.files[i].path).
				Msg("log file was truncated, its copy was read already")
			// Kept to know the copy by, not as what is in the file now.
			t.gens = append(t.gens, &generation{
				number: st.Number, id: st.File, name: st.Name, head: st.Head, trail: st.Trail,
				start: st.Offset, startBefore: st.Before, offset: st.Offset, before: st.Before, grown: now, ended: true,
			})
			continue
		}
		lost(st)
		// It may turn up, with what was read of it: moved back, or in a folder that
		// becomes known.
		g := &generation{
			number: st.Number, id: st.File, name: st.Name, head: st.Head, trail: slices.Clone(st.Trail),
			start: st.Offset, startBefore: st.Before, offset: st.Offset, before: clone(st.Before), grown: now, ended: true, lost: true,
		}
		t.gens = append(t.gens, g)
		if key := g.id.key(); byKey[key] == nil && t.byFile[key] == nil {
			t.byFile[key] = g
		}
	}
	for _, g := range gens {
		// It was decided to come behind lines that are not read again.
		g.anew = slices.ContainsFunc(gone, func(st GenerationState) bool { return st.Number < g.number })
		t.gens = append(t.gens, g)
		t.byFile[g.id.key()] = g
		if !g.ended {
			t.log.Info().Str("file", g.name).Int64("generation", g.number).Int64("offset", g.offset).Int64("size", g.size).Msg("going on in log file")
		}
	}
	slices.SortFunc(t.gens, func(a, b *generation) int { return cmp.Compare(a.number, b.number) })
	if !t.cfg.State.Packed {
		t.leaveOutPacked(s, now)
	}
	return true
}

// readable returns a descriptor of what is in a file, unpacked if need be.
func (t *Tail) readable(f *found) (*os.File, error) {
	if f.packed {
		return unpacked(t.ctx, f.file, t.cfg.Folder)
	}
	return duplicate(f.file)
}
