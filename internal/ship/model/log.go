package model

const (
	maxFiles = 8
	maxParts = 2
	maxLines = 96 // of the log, by position
)

// cell is what is at a position of the log. A position is a line: the n-th that was
// written, until a power loss takes the end and others come in its place.
type cell struct {
	line int16 // its name, and all that is known of its content
	// loose is an unfinished last line. When its file is complete somebody decides
	// whether it is a line.
	loose bool
	long  bool // a leader takes it only while the topic's limit is high
}

// written is the log: cells, and where its files begin.
type written struct {
	cells  []cell
	files  []int // first position of each
	gone   [maxFiles]bool
	synced int // positions below are on disk
	next   int16
	lost   [4 * maxLines]bool // by line: destroyed, and need not arrive
}

func (l *written) reset() {
	l.cells, l.files = l.cells[:0], append(l.files[:0], 0)
	l.gone, l.synced, l.next = [maxFiles]bool{}, 0, 0
	clear(l.lost[:])
}

func (l *written) last() int { return len(l.files) - 1 }

// end is the position behind a file's last.
func (l *written) end(file int) int {
	if file == l.last() {
		return len(l.cells)
	}
	return l.files[file+1]
}

// whole is the position behind the last whole line of the live file.
func (l *written) whole() int {
	n := len(l.cells)
	if n > l.files[l.last()] && l.cells[n-1].loose {
		n--
	}
	return n
}

func (w *world) write(n int) {
	l := &w.log
	for range n {
		if len(l.cells) >= maxLines || int(l.next) >= len(l.lost)-1 {
			return
		}
		if k := len(l.cells); k > l.files[l.last()] {
			l.cells[k-1].loose = false // it is finished
		}
		l.next++
		l.cells = append(l.cells, cell{line: l.next, long: w.longLines && w.chance(8)})
	}
	k := len(l.cells)
	if k == l.files[l.last()] {
		return
	}
	if n > 0 {
		l.cells[k-1].loose = k-l.files[l.last()] > 1 && w.chance(4) // a file without a line is no file
	}
	if len(l.files) < maxFiles && w.chance(3) {
		l.files = append(l.files, k)
	}
}

// losePower takes an end of what is not on disk.
func (w *world) losePower() {
	l := &w.log
	from := max(l.synced, l.files[l.last()]) // what is complete is on disk, as a reader sees to it
	if from < len(l.cells) {
		cut := from + w.n(len(l.cells)-from+1)
		for _, c := range l.cells[cut:] {
			l.lost[c.line] = true
		}
		l.cells = l.cells[:cut]
	}
	if w.trace != nil {
		w.note("    power lost, %d lines left", len(l.cells))
	}
	w.boot++
	if w.chance(3) {
		w.dead = w.dead[:0]
	}
	w.mayBeLate = w.mayBeLate || len(w.dead) > 0
}

// remove deletes the file in which the next process would begin.
func (w *world) remove() {
	l := &w.log
	s := &w.slots[1]
	if !s.set || s.file == l.last() || l.gone[s.file] {
		return
	}
	for at := l.files[s.file]; at < l.end(s.file); at++ {
		l.lost[l.cells[at].line] = true
	}
	l.gone[s.file] = true
	w.mayBeLate = w.mayBeLate || len(w.dead) > 0
}
