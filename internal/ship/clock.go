package ship

import "time"

// clockTolerance is how far a clock may be behind before it is said.
const clockTolerance = time.Hour

// clock holds this host's clock against the time at which the last batch was sent, which
// the leader has kept.
//
// Kafka tells nobody what time it is, so that is the only clock to compare with. A clock
// that is ahead is refused by the broker (32, INVALID_TIMESTAMP, where
// message.timestamp.after.max.ms says so). One that is behind does no harm to the
// promise; but records are stamped with it, and what looks older than the topic's
// retention is deleted with its segment, and a producer id is forgotten a day after its
// last stamp. It is said and not refused: after a clock that was ahead has been set right
// it would be wrong for as long to hold the lines back.
func (s *Shipper) clock(l *lane, stamp int64) {
	behind := time.Until(time.UnixMilli(stamp))
	if stamp <= 0 || behind <= clockTolerance || s.clockSaid {
		return
	}
	s.clockSaid = true
	s.o.Log.Error().Int32("partition", l.partition).Stringer("behind", behind.Round(time.Second)).
		Time("last_sent", time.UnixMilli(stamp).UTC()).
		Msg("this host's clock is behind the time at which lines were sent last: records get old timestamps, by which the topic's retention may delete them; set the clock")
}
