package model

// confirmations is how often a leader has to give an answer that would end the
// shipping, or take back what was acknowledged.
const confirmations = 3

// none of a file's first number.
const unset = -1 << 20

// laneState is what is stored of the numbering of a partition; see ship.LaneState.
type laneState struct {
	id, epoch                       int
	before, final, offset, reserved int
	starts                          [maxFiles]int
	boot                            int
	left                            lefts
}

// left is numberings that were left while requests of them may come: one, and more of
// which nothing is final.
type left struct {
	id, epoch, more int16
	last, offset    int16
}

type lefts struct {
	n  int
	of [16]left
}

// add is ship's. Where there is no room the last one stands for this one too.
func (l *lefts) add(x left) {
	if l.n > 0 {
		o := &l.of[l.n-1]
		if o.id == x.id && o.epoch+o.more+1 == x.epoch && x.last < 0 || l.n == len(l.of) {
			o.more = x.epoch - o.epoch
			return
		}
	}
	l.of[l.n] = x
	l.n++
}

// verdict is what was decided of a file's loose end.
type verdict int8

const (
	open verdict = iota
	taken
	leftOut
)

type state struct {
	set      bool
	clean    bool
	low      bool // the limit by which lines are judged too long
	at, file int
	begun    [maxFiles]bool
	ends     [maxFiles]verdict
	n        int
	lanes    [maxParts]laneState
}

func noNumbering() laneState {
	s := laneState{id: -1, before: -1, final: -1, offset: -1, reserved: -1}
	for i := range s.starts {
		s.starts[i] = unset
	}
	return s
}

type laneStep int8

const (
	down laneStep = iota
	asking
	up
)

// question is the state of asking a leader what it holds.
type question struct {
	begins       bool // of a numbering of which nothing was sent
	id, epoch    int
	final        int
	offset       int
	careful      bool
	fresh        bool
	most         int
	doubts, same int
	looks        int    // in a row that have shown the same of ours
	seen         int    // the last of it
	end          bounds // at the search before
	next         questionStep
	unknown      bool
	last         int
	found        int // id
}

type questionStep int8

const (
	askLeader questionStep = iota
	search
	searchAll // from the log's start
	askEnd    // after a loss
)

// found is the answer; see package ship.
type found struct {
	last, offset int
	lost         int
	unknown      bool
}

const anything int16 = -1

// lane is a partition's, in a running process.
type lane struct {
	laneState // without reserved
	next      int
	sent      int
	loaded    int
	slot      [2]int // reserved in the older and the newer
	barred    int
	ahead     int

	checked int     // claims begin behind it
	sums    []int16 // lines, by number
	sumsEnd int     // offset of the last
	seen    []int16 // what a search has found

	fresh, unknown, answered, resumed, wanted, proven bool
	careful, sure                                     bool  // the leader has to give, or has given its answer several times
	waiting                                           []int // positions
	window                                            []batch
	unsent                                            int
	limit, inRow, refused, disorder                   int
	step                                              laneStep
	q                                                 question

	leader  int     // epoch of the connection's
	flying  []batch // handed over, not answered; the first arrived of them are appended or refused
	arrived int
	answers [window]answer

	receipts []receipt
	look     look
}

type answer struct {
	base int
	f    failure
}

type receipt struct {
	number int
	line   int16
	base   int
}

// look is the tripwire's question.
type look struct {
	on, told         bool
	id, epoch, final int
	word             word
	due              []receipt
}

func (l *lane) claimed() int { return l.checked + len(l.sums) }
func (l *lane) may(w *world) int {
	if w.NewerSlot {
		return min(l.slot[1], l.barred-1)
	}
	return min(l.slot[0], l.slot[1], l.barred-1)
}

func (l *lane) virgin() bool {
	return max(l.final, l.loaded, l.sent, l.slot[0], l.slot[1]) < 0
}
func (l *lane) idle() bool     { return len(l.waiting) == 0 && len(l.window) == 0 && !l.wanted }
func (l *lane) doubtful() bool { return !l.answered && l.loaded > l.final }

func (l *lane) load(s laneState) {
	waiting, win, flying, sums, seen, rec, due := l.waiting[:0], l.window[:0], l.flying[:0], l.sums[:0], l.seen[:0], l.receipts[:0], l.look.due[:0]
	*l = lane{laneState: s}
	l.waiting, l.window, l.flying, l.sums, l.seen, l.receipts, l.look.due = waiting, win, flying, sums, seen, rec, due
	l.next, l.sent, l.loaded = s.before+1, s.final, s.reserved
	l.slot = [2]int{s.final, s.final}
	l.checked = s.final
	l.limit, l.refused, l.barred = most, -1, 1<<20
}

// claim forgets what the topic was found to hold beyond the number checked.
func (l *lane) claim(checked int) { l.checked, l.sums = checked, l.sums[:0] }
