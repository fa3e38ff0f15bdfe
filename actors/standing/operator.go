package standing

import (
	"time"

	"audiences/audience"
	"audiences/journal"
)

// Pause keeps the segment from calling until the given time; zero: until Resume. By is
// the operator, and since is now. The Record is to be written.
func (s *Standing) Pause(until, since time.Time, by string) {
	s.happen(operatorPaused)
	s.happen(stateWritten)
	s.pause = pause{until: until, since: since, by: by}
}

// Resume ends a pause. The Record is to be written.
func (s *Standing) Resume() {
	s.happen(operatorResumed)
	s.happen(stateWritten)
	s.pause = pause{}
}

// EndPause ends a pause whose time is over, and reports whether there was one: then the
// Record is to be written.
func (s *Standing) EndPause(now time.Time) (write bool) {
	if !s.in(paused) || s.pause.until.IsZero() || now.Before(s.pause.until) {
		return false
	}
	s.happen(pauseOver)
	s.happen(stateWritten)
	s.pause = pause{}
	return true
}

// Flush has a parked segment tried now.
func (s *Standing) Flush(now time.Time) { s.probeAt = now }

// Retry ends the parking of the segment. It reports whether it was parked: then the
// Record is to be written, and all keys are due.
func (s *Standing) Retry() (write bool) { return s.unpark(retried) }

// Discard has what is pending of a parked segment and was accepted by notAfter deleted, until
// the batch has completed lastPass passes of its backlog. A segment that is not parked keeps
// all.
func (s *Standing) Discard(lastPass int, notAfter journal.Version) {
	if s.ParkedSegment() && !s.in(discarding) {
		s.lastPass, s.notAfter = lastPass, notAfter
		s.happen(discardBegun)
	}
}

// Discarding reports whether pending keys are being deleted.
func (s *Standing) Discarding() bool { return s.in(discarding) }

// LastPass is the pass of the backlog with which a discard ends.
func (s *Standing) LastPass() int { return s.lastPass }

// NotAfter is the version of the newest change that a discard covers.
func (s *Standing) NotAfter() journal.Version { return s.notAfter }

// Spare keeps keys from being discarded that were accepted after the discard began.
func (s *Standing) Spare(keys audience.Keys) {
	for key := range keys.All() {
		s.spared.Add(key)
	}
}

// Spared is these keys.
func (s *Standing) Spared() *audience.KeySet { return &s.spared }

// Discarded ends the discard, and with it the parking of the segment. The Record is to
// be written.
func (s *Standing) Discarded() {
	s.happen(discardDone)
	s.happen(stateWritten)
	s.spared = audience.KeySet{}
}

// Unpark notes that the journal takes all parked keys back, or deletes them, and
// returns how many there were. Those that are parked later come after it in the journal.
func (s *Standing) Unpark() (parked int) {
	parked, s.parkedKeys = s.parkedKeys, 0
	s.unparking++
	return parked
}

// Unparked notes the answer to Unpark: after an error all of them may still be parked.
func (s *Standing) Unparked(parked int, err error) {
	s.unparking--
	if err != nil {
		s.parkedKeys += parked
	}
}
