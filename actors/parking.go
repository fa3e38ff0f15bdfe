package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/rs/zerolog"
)

// refused decides what a permanent refusal concerns: the tenant, the segment or
// some of the keys. Nothing is dropped: keys that are refused for good are parked
// with the reason (I3), all others wait where they are.
func (s *segment) refused(o splitclient.Outcome, now time.Time, send func(any)) {
	switch {
	case o.Scope == splitclient.ScopeTenant:
		s.repeatAt = now // the tenant decides when its token is tried again
	case o.Reason == splitclient.NotFound && s.maybeNotYet(now):
		s.backOff(now)
	case o.Scope == splitclient.ScopeKeys && (s.state.Parked == nil || s.full() && s.batch.flight.verb == audience.Delete):
		s.refusedKeys(o, now, send)
	case s.state.Parked != nil:
		s.batch.shelve()
		s.parkSegment(o, now)
	default:
		s.batch.ground()
		s.parkSegment(o, now)
	}
}

// maybeNotYet: a segment that was just created or activated is unknown for some
// seconds (Split's activation is eventually consistent; its clients poll for 4 s).
func (s *segment) maybeNotYet(now time.Time) bool {
	if s.state.Parked != nil {
		return false // it had its time
	}
	if s.missingSince.IsZero() {
		s.missingSince = now
	}
	return now.Sub(s.missingSince) < s.NotFoundGrace
}

// refusedKeys goes on with the hunt for the keys that are at fault.
func (s *segment) refusedKeys(o splitclient.Outcome, now time.Time, send func(any)) {
	c := s.batch.flight
	s.refusal = refusal(o, now)
	found, hopeless := s.batch.refuse(o.Reason == splitclient.TooLarge)
	if hopeless {
		s.parkSegment(o, now)
		s.reprieve(found, send)
		return
	}
	s.parkKeys(c, found, send)
	s.repeatAt = now
}

// reprieve makes keys pending again that were parked before it was clear that the
// segment is at fault.
func (s *segment) reprieve(keys *audience.KeySet, send func(any)) {
	if keys == nil || keys.Len() == 0 {
		return
	}
	s.unparking++
	s.Journal.Unpark(journal.Unpark{
		Segment: s.name, Keys: keys.All(),
		Done: func(n int, err error) {
			send(&unparked{by: s, retried: true, keys: n, err: err})
		},
	})
}

// parkKeys moves keys that Split refuses for good from pending to parked. Those
// that changed meanwhile stay pending with their newer verb.
func (s *segment) parkKeys(c *chunk, keys *audience.KeySet, send func(any)) {
	if keys == nil || s.batch.settled(keys).Len() == 0 {
		return
	}
	s.parked += keys.Len()
	s.metrics.parkedKeys.WithLabelValues(s.refusal.Reason).Add(float64(keys.Len()))
	s.settling++
	s.Journal.Park(journal.Park{Segment: s.name, Verb: c.verb, Selection: s.batch.selection(keys, c.upTo), Refusal: s.refusal, Done: s.settledTo(send, true)})
	s.notice(zerolog.WarnLevel).Stringer("tenant", s.name.Tenant).Str("environment", s.name.Environment).Str("segment", s.name.Name).Int("keys", keys.Len()).
		Str("reason", s.refusal.Reason).Msg("Split refuses keys of a segment: parked")
}

// parkSegment keeps all keys of the segment where they are, and takes new ones,
// but tries only a single one of them at long intervals, until Split takes it or
// an operator has it tried again.
func (s *segment) parkSegment(o splitclient.Outcome, now time.Time) {
	s.probeAt = now.Add(s.ProbeInterval)
	if s.state.Parked != nil && (!s.full() || o.Reason == splitclient.SegmentFull) {
		return
	}
	state := s.state // a full segment of which even deletes are refused is parked for that reason
	parked := refusal(o, now)
	state.Parked = &parked
	s.setState(state, nil)
	s.metrics.parkedSegments.WithLabelValues(parked.Reason).Inc()
	s.notice(zerolog.WarnLevel).Stringer("tenant", s.name.Tenant).Str("environment", s.name.Environment).Str("segment", s.name.Name).
		Str("reason", parked.Reason).Msg("Split refuses a segment: parked, its keys are kept")
}

// welcome takes in that Split took keys of this segment.
func (s *segment) welcome(verb audience.Verb, now time.Time) {
	if s.state.Parked == nil {
		return
	}
	if s.full() && verb == audience.Delete {
		s.probeAt = now // there is room now
		return
	}
	s.unparkSegment(now)
	s.notice(zerolog.InfoLevel).Stringer("tenant", s.name.Tenant).Str("environment", s.name.Environment).Str("segment", s.name.Name).Msg("Split takes a parked segment again")
}

func (s *segment) unparkSegment(now time.Time) {
	state := s.state
	state.Parked = nil
	s.setState(state, nil)
	s.dues.hasten(now)
}

// full: the segment is parked for having all the members that it may have, which
// is no reason not to take some away.
func (s *segment) full() bool { return s.state.Parked.Reason == string(splitclient.SegmentFull) }

// probeTime is when a parked segment calls next.
func (s *segment) probeTime(now time.Time, hurry bool) time.Time {
	switch {
	case s.full() && s.batch.deletes.Len() > 0 && hurry:
		return now
	case s.full() && s.batch.deletes.Len() > 0:
		return earlier(s.dues.deletes, s.probeAt)
	case hurry:
		return time.Time{} // it was refused before; the stop does not wait for it
	}
	return s.probeAt
}

// probeChunk is what a parked segment is tried with: a single key, which is no
// burden to Split, and another one each time. Deletes from a full segment are no
// probe.
func (s *segment) probeChunk() *chunk {
	b := &s.batch
	verb := b.nextVerb()
	switch {
	case verb == 0:
		return nil
	case s.full() && b.deletes.Len() > 0 && time.Now().Before(s.probeAt):
		return b.cut(audience.Delete)
	case s.full() && b.adds.Len() > 0:
		verb = audience.Add
	}
	return b.cutOne(verb, int(s.Random()*float64(b.count(verb))))
}

// setState keeps the segment's state; done, if any, is answered once it is durable.
func (s *segment) setState(state journal.SegmentState, done chan<- error) {
	s.state, s.stateSet = state, true
	s.Journal.SetSegmentState(s.name, state, through(done))
}

func refusal(o splitclient.Outcome, now time.Time) journal.Refusal {
	return journal.Refusal{Reason: string(o.Reason), Message: o.Message, At: now}
}
