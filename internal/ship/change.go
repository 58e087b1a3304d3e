package ship

// change is settings of the numbering that are other than those under which lines
// were numbered so far: which partition a line goes to, and which lines are too
// long. They hold from a position on, which is made durable with them.
type change struct {
	partitions int
	maxBytes   int
	maxLine    int
	rules      Rules
}

// grown takes note that the topic has more partitions.
func (s *Shipper) grown(d Description) {
	if int(d.Partitions) > len(s.lanes) && (s.change == nil || s.change.partitions < int(d.Partitions)) {
		if s.change == nil {
			s.change = &change{maxBytes: s.maxBytes, maxLine: s.maxLine, rules: s.rules}
		}
		s.change.partitions = int(d.Partitions)
		s.o.Log.Info().Int("partitions", len(s.lanes)).Int32("now", d.Partitions).
			Msg("topic has more partitions, using them as soon as all lines under way are safe")
	}
}

// changed brings a change about, if its moment has come. It reports whether the
// next block may be taken.
//
// Its moment is a position at which every line before it is final, and so is every
// line that an earlier process can have sent: those were in the log when reading
// began. Whatever request is still on its way then carries lines that the leader
// holds, so no number beyond them was ever given to a line, and the numbering goes
// on. A clean start is such a moment.
func (s *Shipper) changed() bool {
	if s.change == nil || !s.clean && !s.late {
		return true
	}
	if len(s.order.chunks) > 0 {
		return false
	}
	kept := len(s.lanes)
	for len(s.lanes) < s.change.partitions {
		s.lanes = append(s.lanes, newLane(int32(len(s.lanes)), noNumbering()))
	}
	s.stale = true
	maxBytes, maxLine, rules := s.maxBytes, s.maxLine, s.rules
	s.maxBytes, s.maxLine, s.rules = s.change.maxBytes, s.change.maxLine, s.change.rules
	if s.saveOrSay(true) != nil {
		s.lanes, s.maxBytes, s.maxLine, s.rules = s.lanes[:kept], maxBytes, maxLine, rules
		return false
	}
	s.o.Log.Info().Int("partitions", len(s.lanes)).Int("max_bytes", s.maxBytes).Int("max_line", s.maxLine).Str("partitioner", string(s.rules.Partitioner)).Str("too_long", string(s.rules.Long)).Msg("settings taken over")
	s.change = nil
	return true
}
