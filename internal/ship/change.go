package ship

// change is settings of the numbering that are other than those under which lines
// were numbered so far: which partition a line goes to, and which lines are too
// long. They hold from a position on, which is made durable with them.
type change struct {
	partitions int
	maxBytes   int
}

// grown takes note that the topic has more partitions.
func (s *Shipper) grown(d Description) {
	if int(d.Partitions) > len(s.lanes) && (s.change == nil || s.change.partitions < int(d.Partitions)) {
		s.change = &change{partitions: int(d.Partitions), maxBytes: s.maxBytes}
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
	maxBytes := s.maxBytes
	s.maxBytes = s.change.maxBytes
	if s.saveOrSay(true) != nil {
		s.lanes, s.maxBytes = s.lanes[:kept], maxBytes
		return false
	}
	s.o.Log.Info().Int("partitions", len(s.lanes)).Int("max_bytes", s.maxBytes).Msg("settings of the topic taken over")
	s.change = nil
	return true
}
