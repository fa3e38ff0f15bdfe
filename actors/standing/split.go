package standing

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

// Concern is what a permanent refusal is about.
type Concern uint8

// The concerns.
const (
	OfTenant  Concern = iota + 1 // its token: the tenant decides when it is tried again
	NotYet                       // a segment that may have been created just now: to be repeated after a backoff
	OfKeys                       // some keys of the call: they are looked for
	OfSegment                    // all of its keys: Park
)

// Outcome notes that a call has ended, for whatever reason.
func (s *Standing) Outcome(reason splitclient.Reason) {
	s.happen(outcomeIn)
	if reason != splitclient.NotFound {
		s.happen(otherOutcome)
		s.missingSince = time.Time{}
	}
}

// Judge says what the permanent refusal of a call with that verb is about. A 404 opens
// the grace, or goes on with it.
func (s *Standing) Judge(o splitclient.Outcome, verb audience.Verb, now time.Time) Concern {
	switch {
	case o.Scope == splitclient.ScopeTenant:
		return OfTenant
	case o.Reason == splitclient.NotFound && s.notYet(now):
		return NotYet
	case o.Scope == splitclient.ScopeKeys && (!s.ParkedSegment() || s.in(full) && verb == audience.Delete):
		return OfKeys
	}
	return OfSegment
}

// notYet: a segment that was just created or activated is unknown for some
// seconds (Split's activation is eventually consistent; its clients poll for 4 s).
// A parked one had its time.
func (s *Standing) notYet(now time.Time) bool {
	since := now
	if s.in(missing) {
		since = s.missingSince
	}
	if s.ParkedSegment() || now.Sub(since) >= s.limits.NotFoundGrace {
		return false
	}
	s.happen(notFound)
	s.missingSince = since
	return true
}

// Park has the segment keep all its keys, and take new ones, but try only a single
// one at long intervals, until Split takes it or an operator has it tried again. It
// reports whether that is news: then the Record is to be written. A full segment of
// which even deletes are refused is parked for that reason.
func (s *Standing) Park(why journal.Refusal, now time.Time) (write bool) {
	s.probeAt = now.Add(s.limits.ProbeInterval)
	if s.in(parked) || s.in(full) && AsFull(why) {
		return false
	}
	s.refusal, s.missingSince = &why, time.Time{}
	if AsFull(why) {
		s.happen(refusedAsFull)
	} else {
		s.happen(refused)
	}
	s.happen(stateWritten)
	return true
}

// AsFull reports whether a segment is refused because it has all the members that it may
// have: its deletes go on.
func AsFull(why journal.Refusal) bool { return why.Reason == string(splitclient.SegmentFull) }

// Delivered notes that Split took keys with that verb. It reports whether that ends the
// parking of the segment: then the Record is to be written, and all keys are due. From
// a full segment a delete only makes room, so that an add may be tried.
func (s *Standing) Delivered(verb audience.Verb, now time.Time) (unparked bool) {
	if s.in(full) && verb == audience.Delete {
		s.probeAt = now
		return false
	}
	return s.unpark(keysTaken)
}

// unpark ends the parking of the segment, and reports whether there was one.
func (s *Standing) unpark(by event) (write bool) {
	if !s.ParkedSegment() {
		return false
	}
	s.happen(by)
	s.happen(stateWritten)
	return true
}

// KeysParked notes that so many keys are being parked.
func (s *Standing) KeysParked(n int) { s.parkedKeys = max(0, s.parkedKeys+n) }

// Release notes that the journal makes keys pending again that were parked by mistake.
func (s *Standing) Release() { s.unparking++ }

// Released notes that it did so with n keys.
func (s *Standing) Released(n int) {
	s.unparking--
	s.parkedKeys = max(0, s.parkedKeys-n)
}
