package truth

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// stateVersion is the form of a Recorder's state.
const stateVersion = 1

// AppendState appends what [Recorder.Restore] needs to go on, and returns the longer slice: some 12 bytes
// for each different price of the windows that are open, 66 for each bucket of those that are done.
func (r *Recorder) AppendState(dst []byte) []byte {
	e := encoder{dst}
	e.b = append(e.b, stateVersion)
	chain, err := r.chain.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // crypto/sha256 has no case that fails
	}
	e.text(string(chain))
	e.numbers(uint64(r.length), r.lines, r.valid, r.bytes, r.dropped, uint64(r.closing), uint64(len(r.defects)))
	for _, kind := range slices.Sorted(maps.Keys(r.defects)) {
		d := r.defects[kind]
		e.text(kind)
		e.numbers(d.Count, uint64(len(d.EventIDs)))
		for _, id := range d.EventIDs {
			e.text(id)
		}
	}
	e.numbers(uint64(len(r.open)))
	for _, start := range slices.Sorted(maps.Keys(r.open)) {
		e.numbers(uint64(start))
		for i := range r.open[start].buckets {
			t := &r.open[start].buckets[i]
			e.numbers(t.count, uint64(t.sum), uint64(t.least), uint64(t.most), uint64(t.used))
			for k, key := range t.keys {
				if key != 0 {
					e.numbers(uint64(key-1), uint64(t.counts[k]))
				}
			}
		}
	}
	e.numbers(uint64(len(r.done)))
	for _, s := range r.done {
		e.numbers(uint64(s.start), uint64(s.bucket), s.count, uint64(s.sum), uint64(s.least), uint64(s.most),
			uint64(s.p50), uint64(s.p95), uint64(s.p99))
	}
	return e.b
}

// Restore takes up the state of a Recorder that counted windows of the same length. On an error the
// Recorder is of no use any more.
func (r *Recorder) Restore(state []byte) error {
	if len(state) == 0 || state[0] != stateVersion {
		return fmt.Errorf("is of another form than %d", stateVersion)
	}
	d := decoder{r: bytes.NewReader(state[1:])}
	if err := r.chain.(encoding.BinaryUnmarshaler).UnmarshalBinary([]byte(d.text())); err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	if length := d.number(); int64(length) != r.length {
		return fmt.Errorf("counts windows of another length")
	}
	r.lines, r.valid, r.bytes, r.dropped, r.closing = d.number(), d.number(), d.number(), d.number(), int64(d.number())
	for n := d.count(); n > 0; n-- {
		kind := d.text()
		defect := &Defect{Count: d.number(), EventIDs: []string{}}
		for ids := d.count(); ids > 0; ids-- {
			defect.EventIDs = append(defect.EventIDs, d.text())
		}
		defect.Truncated = defect.Count > uint64(len(defect.EventIDs))
		r.defects[kind] = defect
	}
	for n := d.count(); n > 0; n-- {
		w := &window{start: int64(d.number())}
		r.open[w.start] = w
		for i := range w.buckets {
			t := &w.buckets[i]
			count, sum, least, most := d.number(), int64(d.number()), int64(d.number()), int64(d.number())
			for prices := d.count(); prices > 0; prices-- {
				cents, times := int64(d.number()), d.number()
				t.note(cents, uint32(times))
			}
			t.count, t.sum, t.least, t.most = count, sum, least, most
		}
	}
	for n := d.count(); n > 0; n-- {
		s := summary{start: int64(d.number()), bucket: uint8(d.number()), count: d.number()}
		s.sum, s.least, s.most = int64(d.number()), int64(d.number()), int64(d.number())
		s.p50, s.p95, s.p99 = int64(d.number()), int64(d.number()), int64(d.number())
		if int(s.bucket) >= len(Buckets) {
			return fmt.Errorf("has an unknown bucket")
		}
		r.done = append(r.done, s)
	}
	if d.err || d.r.Len() > 0 {
		return fmt.Errorf("is cut short or longer than it should be")
	}
	return nil
}

type encoder struct{ b []byte }

func (e *encoder) numbers(all ...uint64) {
	for _, n := range all {
		e.b = binary.AppendUvarint(e.b, n)
	}
}

func (e *encoder) text(s string) {
	e.numbers(uint64(len(s)))
	e.b = append(e.b, s...)
}

type decoder struct {
	r   *bytes.Reader
	err bool
}

func (d *decoder) number() uint64 {
	n, err := binary.ReadUvarint(d.r)
	if err != nil {
		d.err = true
		return 0
	}
	return n
}

// count is a number of things that follow, each at least a byte long.
func (d *decoder) count() uint64 {
	n := d.number()
	if n > uint64(d.r.Len()) {
		d.err = true
		return 0
	}
	return n
}

func (d *decoder) text() string {
	b := make([]byte, d.count())
	_, _ = d.r.Read(b) // as long as count says
	return string(b)
}
