package verify

import (
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"

	"eventline/internal/truth"
)

// plain judges records without line digests: by their number, the chain, the ids of their events and the
// windows that they make up.
type plain struct {
	key   *truth.Key
	chain *chain
	lanes []*plainLane

	mu      sync.Mutex
	records uint64
	known   idSet
	meant   map[string]int // ids that are there more than once on purpose, and how often more
	unnamed uint64         // doubles on purpose whose ids the key does not list
	classes classes
}

type plainLane struct {
	cells  cells
	buf    []byte
	parsed []event
	judged uint64 // of its records
}

func newPlain(a *Answers, partitions []int32) *plain {
	p := &plain{key: a.Key, meant: make(map[string]int), classes: newClasses()}
	for range partitions {
		p.lanes = append(p.lanes, &plainLane{cells: make(cells)})
	}
	if len(partitions) == 1 {
		p.chain = newChain(a.Key)
	}
	if d := a.Key.Defects[Duplicate]; d != nil {
		for _, id := range d.EventIDs {
			p.meant[id]++
		}
		p.unnamed = d.Count - min(d.Count, uint64(len(d.EventIDs)))
	}
	return p
}

func (p *plain) take(n int, recs []record) {
	ln := p.lanes[n]
	length, _ := p.key.Length() // Decode made sure of it
	ln.parsed = ln.parsed[:0]
	for _, r := range recs {
		e := parseEvent(r.Value)
		if p.chain != nil {
			ln.buf = append(append(ln.buf[:0], r.Value...), '\n')
			p.chain.add(ln.buf)
			if ln.judged++; ln.judged > p.key.Lines && !p.key.Complete {
				e = event{} // later
			}
		}
		ln.parsed = append(ln.parsed, e)
		if e.valid {
			ln.cells.add(spotOf(e, length), one(e.price))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records += uint64(len(recs))
	for i, e := range ln.parsed {
		if e.id == "" || p.known.add(xxhash.Sum64String(e.id)) {
			continue
		}
		switch {
		case p.meant[e.id] > 0:
			p.meant[e.id]--
		case p.unnamed > 0:
			p.unnamed--
		default:
			p.classes.note(Duplicate, recs[i], 0)
		}
	}
}

func (p *plain) enough() bool { return p.records-p.classes[Duplicate].Count >= p.key.Lines }

func (p *plain) finish(rep *Report) (later uint64) {
	all := p.key.Lines
	rep.Records, rep.Lines = p.records, p.classes
	k := Check{Name: "lines", Expected: number(all), Found: number(p.records), Result: Equal}
	if p.records > all && !p.key.Complete {
		later = p.records - all
		k.Note = fmt.Sprintf("%d later", later)
		p.classes.add(Later, later, nil)
	} else if p.records != all {
		k.Result = Different
	}
	rep.add(k)
	twice := Check{Name: "duplicate ids", Expected: "0", Found: number(p.classes[Duplicate].Count), Result: Equal}
	switch {
	case later > 0 && p.chain == nil:
		twice.Found, twice.Result, twice.Note = "-", NotChecked, "later lines can't be told apart"
		p.classes[Duplicate] = new(Class)
	case p.classes[Duplicate].Count > 0:
		twice.Result = Different
	}
	rep.add(twice)
	p.chain.report(rep, p.key, k.Result == Equal && twice.Result != Different)
	p.windows(rep, later)
	return later
}

// windows compares what the lines make up with the key's windows.
func (p *plain) windows(rep *Report, later uint64) {
	k := Check{Name: "windows of the lines", Expected: number(len(p.key.Windows)), Found: "-", Result: NotChecked}
	if later > 0 && p.chain == nil {
		k.Note = "later lines can't be told apart"
		rep.add(k)
		return
	}
	found := make(cells)
	for _, ln := range p.lanes {
		for at, c := range ln.cells {
			found.add(at, c)
		}
	}
	rep.compare(k, expected(p.key), found, nil)
}

// idSet is a set of hashes of ids: 8 bytes each, at most half of them used.
type idSet struct {
	slots []uint64
	used  int
	zero  bool
}

// add says whether the hash is new.
func (s *idSet) add(hash uint64) bool {
	if hash == 0 {
		fresh := !s.zero
		s.zero = true
		return fresh
	}
	if 2*s.used >= len(s.slots) {
		old := s.slots
		s.slots = make([]uint64, max(1<<10, 2*len(old)))
		for _, h := range old {
			if h != 0 {
				s.slots[s.place(h)] = h
			}
		}
	}
	at := s.place(hash)
	if s.slots[at] == hash {
		return false
	}
	s.slots[at] = hash
	s.used++
	return true
}

func (s *idSet) place(hash uint64) int {
	mask := uint64(len(s.slots) - 1)
	i := hash & mask
	for s.slots[i] != 0 && s.slots[i] != hash {
		i = (i + 1) & mask
	}
	return int(i)
}
