package ship

import "time"

// quiet is after which time without sending the leader is asked before the next
// batch goes: another process with a copy of the state may have sent its own line
// under the next number, and ours would pass for a duplicate of it.
const quiet = time.Second

// sight is what the tripwire is held against: what was so when the question was
// asked.
type sight struct {
	id    int64
	epoch int16
	final int64
}

// look asks the leader what it holds, beside the loop and over a connection of its
// own. While lines are sent it is asked once a second.
func (s *Shipper) look(l *lane) {
	if l.asking || l.state != laneOpen {
		return
	}
	l.asking, l.looks = true, max(l.looks-1, 0)
	at, got := sight{l.id, l.epoch, l.final}, l.receipts.due(s.o.Group, time.Now())
	go func() {
		e := event{lane: l, kind: eventLooked, sight: at}
		if e.topic, e.err = s.o.Topic.Identity(s.work); e.err == nil {
			e.holds, e.err = s.o.Topic.Producer(s.work, l.partition, at.id)
		}
		if e.err == nil || s.o.Class(e.err) == Unsupported {
			e.others, e.err = got.check(s.work, s.o.Topic, l.partition, at.id, at.epoch)
		}
		s.events <- e
	}()
}

// looked judges what the leader holds. It can only hold more than was sent from
// here if somebody else sends under our name, and less than was acknowledged if
// the cluster has lost it; a leader that was just deposed may say so too, so the
// connection is made anew and the question asked more carefully.
func (s *Shipper) looked(e event) {
	l := e.lane
	l.asking, l.seen = false, time.Now()
	if e.err != nil {
		// The way to the leader has its own troubles; of those the appender tells. A
		// right that is missing it would not notice.
		if s.o.Class(e.err) == Authorization && l.state == laneOpen && !l.session.broken {
			l.err = e.err
			s.breakOff(l)
		}
		return
	}
	if err := sameTopic(s.topic, e.topic); err != nil {
		s.refuseAll(err)
		return
	}
	s.grown(e.topic)
	if n := e.others; n.lines > 0 {
		s.metrics.trips.Inc()
		s.metrics.conflicts.Add(float64(n.lines))
		s.refuseAll(refusef(remedyAdopt, "partition %d: under numbers %d to %d of producer id %d the topic holds %d other lines than were sent from here, the first at offset %d: another logship has a copy of this state, and our lines are not in the topic",
			l.partition, n.first, n.last, e.sight.id, n.lines, n.offset))
		return
	}
	if l.state != laneOpen || l.session.broken || l.id != e.sight.id || l.epoch != e.sight.epoch || !e.holds.Known {
		return
	}
	last := numberNear(e.sight.final, e.holds.LastSequence)
	switch {
	case e.holds.Epoch < l.epoch:
		if e.sight.final < 0 {
			return // nothing has arrived yet
		}
	case e.holds.Epoch == l.epoch && last <= max(l.sent, l.loaded) && last >= e.sight.final:
		return
	}
	s.metrics.trips.Inc()
	s.o.Log.Warn().Int32("partition", l.partition).Int64("producer_id", l.id).Int64("holds", last).Int64("sent", l.sent).Int64("final", e.sight.final).
		Msg("leader holds other lines than were sent, asking again")
	s.breakOff(l)
}

// sameTopic refuses a topic that is not the one that the numbering is of.
func sameTopic(want, d Description) error {
	switch {
	case d.ClusterID != "" && want.ClusterID != "" && d.ClusterID != want.ClusterID:
		return refusef(remedyAdopt, "this is cluster %s, lines were sent to cluster %s", d.ClusterID, want.ClusterID)
	case d.TopicID != "" && want.TopicID != "" && d.TopicID != want.TopicID:
		return refusef(remedyAdopt, "the topic was deleted and created anew: its id is %s, lines were sent to %s", d.TopicID, want.TopicID)
	}
	return nil
}

// refuseAll ends the Shipper: nothing more may be sent.
func (s *Shipper) refuseAll(err error) {
	if s.refusal != nil {
		return
	}
	s.o.Log.Error().Err(err).Msg("shipping is stopped, a person has to decide")
	s.refusal, s.stopping = err, true
	s.giveUp()
}
