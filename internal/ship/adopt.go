package ship

import (
	"slices"

	"eventline/internal/tail"
)

// Doubt is how many lines of each partition may be in the topic or not, going by the
// state alone: a bound, which runs some seconds of traffic ahead.
func (s *State) Doubt() []int64 {
	var n []int64
	for _, l := range s.Partitions {
		n = append(n, l.Reserved-l.Final)
	}
	return n
}

// Adopted is the state for going on where a person has decided what is in the topic:
// of each partition the lines up to a number. New numberings begin behind these, in
// whatever topic it is by then. With nil, nothing behind the frontier is in it, however
// many partitions the topic has.
func (s *State) Adopted(through []int64) State {
	a := State{Tail: s.Tail, Clean: true}
	if through == nil {
		return a
	}
	a.Limit, a.MaxLine, a.Rules = s.Limit, s.MaxLine, s.Rules
	for i, l := range s.Partitions {
		st := noNumbering()
		st.Before = l.Before - through[i] - 1
		for _, start := range l.Starts {
			st.Starts = append(st.Starts, Start{start.Generation, start.Number - through[i] - 1})
		}
		a.Partitions = append(a.Partitions, st)
		// Lines to pass over are dealt out by the settings of before: others wait for them.
		a.Clean = a.Clean && st.Before == -1
	}
	return a
}

// Known are the numbers up to which lines are known to be in the topic.
func (s *State) Known() []int64 {
	var n []int64
	for _, l := range s.Partitions {
		n = append(n, l.Final)
	}
	return n
}

// Sent are the numbers up to which lines may have been sent, given all the blocks that
// there are behind the frontier, and Options.Home. It returns when blocks is closed.
func (s *State) Sent(blocks <-chan *tail.Block, home uint64) []int64 {
	counter := &Shipper{maxBytes: s.Limit, maxLine: s.MaxLine, rules: s.Rules, o: Options{Home: home}}
	var n []int64
	for i, l := range s.Partitions {
		counter.lanes = append(counter.lanes, &lane{partition: int32(i)})
		n = append(n, l.Before)
	}
	for b := range blocks {
		at := b.Start.Offset
		tail.Lines(b.Data, func(line []byte, end int) bool {
			if len(line) > 0 {
				parts := counter.parts(line, nil)
				n[counter.laneOf(tail.Position{Generation: b.Start.Generation, Offset: at}).partition] += int64(len(parts))
			}
			at = b.Start.Offset + int64(end)
			return true
		})
		b.Release()
	}
	for i, l := range s.Partitions {
		n[i] = max(l.Final, min(l.Reserved, n[i]))
	}
	return slices.Clip(n)
}
