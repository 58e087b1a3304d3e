package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// generation is one file of the log, from when it was found until it has left
// the directory.
type generation struct {
	number int64
	id     Identity
	name   string   // where it was seen last
	real   string   // the same without symbolic links; "" if it can't be told
	file   *os.File // nil once ended

	start       int64 // where reading began, and the bytes before it
	startBefore []byte
	offset      int64  // read up to here
	before      []byte // the bytes before offset, at most frontierSize
	head        []byte // at most headSize bytes; never a part of an unfinished line
	trail       []Crumb
	goal        int64 // up to here it was there at the start; see Tail.Reached

	begun       bool        // that it is the next was handed out as a decision
	anew        bool        // that has to be decided again, after a loss
	limit       int64       // nothing is read from there on; 0 if not decided
	limitBefore []byte      // the bytes before limit
	searched    int64       // no newline between offset and here, in a line longer than a buffer
	size        int64       // when last looked at
	seen        int64       // size, as State tells it
	held        bool        // it was truncated, and what may be its copy can't be opened
	wrote       int64       // when it was last written, as of the last look; nanoseconds
	grown       time.Time   // when size last changed, or it was found
	live        bool        // the path names it
	wasLive     bool        // at the look before
	ended       bool        // nothing more is read from it
	by          retirement  // why it is known where it ends
	endedAt     time.Time   // when, if the file was kept open then
	copy        string      // key of the packed file that holds this one, "" if none is known
	of          *generation // if it is known: whose copy this one is
	copied      bool        // holds what another generation holds: never read
	checked     int64       // the file's time, in nanoseconds, when it held what was read, and its size then
	checkedSize int64
	truncated   bool      // before its rest was read, and no copy was found
	lost        bool      // the rest could not be found at a start
	missing     time.Time // since when no name in the directory leads to it; zero if one does
}

// errChanged says that the bytes read before are not there any more: the file
// was truncated, perhaps refilled.
var errChanged = errors.New("file was truncated")

// close lets go of the descriptor.
func (g *generation) close() {
	if g.file != nil {
		_ = g.file.Close()
		g.file = nil
	}
}

// pread reads as much of buf as there is at offset.
func pread(f *os.File, buf []byte, offset int64) (int, error) {
	n, err := f.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	return n, nil
}

// look updates size. It reports whether the file still holds what was read.
func (g *generation) look(now time.Time) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(g.file.Fd()), &st); err != nil {
		return &os.PathError{Op: "fstat", Path: g.name, Err: err}
	}
	if st.Size != g.size {
		g.size, g.grown = st.Size, now
	}
	err := holds(g.file, g.head, g.before, g.offset)
	if err == nil {
		g.wrote = unix.TimespecToNsec(st.Mtim)
	}
	return err
}

// mayDiffer tells whether the file of a generation that has ended, or of a copy,
// may hold something else by now. An inode without a handle proves nothing: it may
// have been given away.
func (g *generation) mayDiffer(f *found) bool {
	switch {
	case f.packed && !g.copied:
		return false
	case g.copied && f.live:
		return true // lines that nobody has read come there
	case g.id.Handle == "" && len(g.head) > 0 && f.mtime != g.checked:
		return true
	case g.copied && len(g.head) == 0:
		return f.size < g.offset
	}
	return f.size != g.offset && (!g.copied || f.size != g.checkedSize)
}

// punched takes a file whose beginning has become a hole (fallocate --punch-hole,
// which gives the disk space of an open log back) for what it was: where reading goes
// on it holds what it did, and a file that was filled anew does not begin with NUL.
func (g *generation) punched() bool {
	hole := make([]byte, len(g.head))
	if g.offset < headSize+frontierSize || bytes.Equal(g.head, hole) || holds(g.file, hole, g.before, g.offset) != nil {
		return false
	}
	g.head = hole
	return true
}

// state is by what the generation is known again.
func (g *generation) state() GenerationState {
	return GenerationState{Number: g.number, File: g.id, Head: g.head, Offset: g.offset, Before: g.before}
}

// holds returns nil if the file begins with head and has the bytes before just
// before offset, and errChanged if not.
func holds(f *os.File, head, before []byte, offset int64) error {
	buf := make([]byte, max(len(head), len(before)))
	for _, part := range []struct {
		want []byte
		at   int64
	}{{head, 0}, {before, offset - int64(len(before))}} {
		n, err := pread(f, buf[:len(part.want)], part.at)
		if err != nil {
			return err
		}
		if !bytes.Equal(buf[:n], part.want) {
			return errChanged
		}
	}
	return nil
}

// piece is what one read gave.
type piece struct {
	data    []byte // whole lines; the last part of buf
	buf     []byte // the frontier, then data
	tooLong int64  // length of a line above the limit; data is then nil
	more    bool   // nothing to hand over yet, but there is more to read
	need    int    // the line needs a buffer of this size
}

// read reads whole lines at offset into buf and verifies, before and after, that
// the file is the one that was read before. Nothing of g changes but searched;
// accept moves on. An empty piece means end of file.
func (g *generation) read(buf []byte, maxLine int) (piece, error) {
	limited := g.limit > 0 && int64(len(buf)-len(g.before)) >= g.limit-g.offset
	if limited {
		buf = buf[:len(g.before)+int(max(0, g.limit-g.offset))]
	}
	n, err := pread(g.file, buf, g.offset-int64(len(g.before)))
	if err != nil {
		return piece{}, err
	}
	if n < len(g.before) || !bytes.Equal(buf[:len(g.before)], g.before) {
		return piece{}, errChanged
	}
	data := buf[len(g.before):n]
	end := bytes.LastIndexByte(data, '\n') + 1
	switch {
	case end > 0:
		// The head after the data: what was truncated and refilled in between
		// can't pass both.
		if err := g.verifyHead(); err != nil {
			return piece{}, err
		}
		g.searched = 0
		return piece{data: data[:end], buf: buf[:len(g.before)+end]}, nil
	case n < len(buf) || limited:
		return piece{}, g.verifyHead()
	}
	return g.search(buf, maxLine)
}

// search looks for the end of a line that is longer than a buffer, one buffer at
// a time and without keeping what it passes.
func (g *generation) search(buf []byte, maxLine int) (piece, error) {
	if g.searched <= g.offset || g.searched > g.size {
		g.searched = g.offset + int64(len(buf)-len(g.before))
	}
	if g.limit > 0 {
		buf = buf[:max(0, min(int64(len(buf)), g.limit-g.searched))] // what is behind its end is another line
	}
	n, err := pread(g.file, buf, g.searched)
	if err != nil || n == 0 {
		return piece{}, err
	}
	i := bytes.IndexByte(buf[:n], '\n')
	if i < 0 {
		g.searched += int64(n)
		g.size = max(g.size, g.searched)
		return piece{more: true}, nil
	}
	length := g.searched + int64(i) - g.offset
	if length > int64(maxLine) {
		return g.long(length, 1, buf)
	}
	return piece{need: len(g.before) + int(length) + 1}, nil
}

// long makes a piece of a line that is too long to be held: of its bytes only
// the frontier at its end is read. newlines is 0 or 1, the bytes that end it.
func (g *generation) long(length, newlines int64, buf []byte) (piece, error) {
	end := g.offset + length + newlines
	frontier := min(end, frontierSize)
	n, err := pread(g.file, buf[:frontier], end-frontier)
	if err == nil && int64(n) < frontier {
		err = errChanged
	}
	if err == nil {
		err = g.verifyHead()
	}
	if err != nil {
		return piece{}, err
	}
	g.searched = 0
	return piece{buf: buf[:frontier], tooLong: length}, nil
}

// rest reads an unfinished last line, once nothing can finish it any more. An
// empty piece means that there is none.
func (g *generation) rest(buf []byte, maxLine int) (piece, error) {
	if err := g.look(g.grown); err != nil {
		return piece{}, err
	}
	length := g.size - g.offset
	if g.limit > 0 {
		length = min(g.size, g.limit) - g.offset
	}
	switch {
	case length <= 0:
		return piece{}, nil
	case length > int64(maxLine):
		return g.long(length, 0, buf)
	case int64(len(g.before))+length > int64(len(buf)):
		return piece{need: len(g.before) + int(length)}, nil
	}
	n, err := pread(g.file, buf[:len(g.before)+int(length)], g.offset-int64(len(g.before)))
	if err == nil && n < len(g.before)+int(length) {
		err = errChanged
	}
	if err != nil {
		return piece{}, err
	}
	return piece{data: buf[len(g.before):n], buf: buf[:n]}, nil
}

// verifyHead compares the file's first bytes with those remembered.
func (g *generation) verifyHead() error { return holds(g.file, g.head, nil, 0) }

// accept moves past a piece. newHead is the file's beginning, read by the
// caller while the remembered one is short.
func (g *generation) accept(p piece, newHead []byte, now time.Time) (start, end int64) {
	start = g.offset
	if p.tooLong == 0 {
		g.trail = strew(g.trail, p.buf, len(p.data), start)
	}
	if p.tooLong > 0 {
		g.offset += p.tooLong
		if p.buf[len(p.buf)-1] == '\n' {
			g.offset++
		}
	} else {
		g.offset += int64(len(p.data))
	}
	g.before = append(g.before[:0], p.buf[max(0, len(p.buf)-frontierSize):]...)
	if len(newHead) > len(g.head) {
		g.head = newHead
	}
	if g.offset > g.size {
		g.size, g.grown = g.offset, now
	}
	return start, g.offset
}

// longerHead reads the beginning of the file up to end, if more of it is to be
// remembered than now. data is what was read at offset just before.
func (g *generation) longerHead(end int64, data []byte) ([]byte, error) {
	want := min(end, headSize)
	if want <= int64(len(g.head)) {
		return nil, nil
	}
	head := make([]byte, want)
	n, err := pread(g.file, head, 0)
	switch {
	case err != nil:
		return nil, err
	case int64(n) < want || !bytes.HasPrefix(head, g.head):
		return nil, errChanged
	}
	// What was read first has no head to be verified by, other than itself.
	if at := int64(len(head)) - g.offset; len(data) > 0 && at > 0 && !bytes.HasPrefix(data, head[g.offset:]) {
		return nil, errChanged
	}
	return head, nil
}

func (g *generation) String() string { return fmt.Sprintf("%s (generation %d)", g.name, g.number) }
