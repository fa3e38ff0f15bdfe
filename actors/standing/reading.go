package standing

import (
	"time"

	"audiences/journal"
)

// Empty notes that the journal has nothing of the segment but perhaps its name.
func (s *Standing) Empty() { s.happen(nothingStored) }

// Restore is for a segment that dozed: what it knew then and the journal does not.
// Zero times: that it was neither missing nor parked.
func (s *Standing) Restore(missingSince, probeAt time.Time) {
	s.missingSince, s.probeAt = missingSince, probeAt
	if !missingSince.IsZero() {
		s.happen(notFound)
	}
}

// FirstPage notes the journal's record. It is older than what was decided here, if
// the journal could not be read at first.
func (s *Standing) FirstPage(record journal.SegmentState, now time.Time) {
	outdated := s.in(overruled)
	if s.happen(pageRead); outdated {
		return
	}
	if s.pause = (pause{until: record.PausedUntil, since: record.PausedSince, by: record.PausedBy}); record.Paused {
		s.happen(foundPaused)
	} else {
		s.happen(foundRunning)
	}
	if s.refusal = record.Parked; s.refusal == nil {
		return
	}
	if AsFull(*s.refusal) {
		s.happen(foundFull)
	} else {
		s.happen(foundParked)
	}
	s.missingSince = time.Time{}
	if s.probeAt.IsZero() {
		s.probeAt = now.Add(s.limits.ProbeInterval)
	}
}

// ReadFailed notes that a page could not be read. What is accepted from now on can be
// served, though the record is not known.
func (s *Standing) ReadFailed() { s.happen(pageFailed) }

// Counted notes that nothing is left to be counted.
func (s *Standing) Counted() { s.happen(keysCounted) }

// CountedParked notes how many parked keys the journal had when so many were known.
// After an error there are more than that, if any: one at least is assumed, so that the
// journal does not forget the segment.
func (s *Standing) CountedParked(inJournal, known int, err error) {
	s.happen(keysCounted)
	s.parkedKeys = max(0, s.parkedKeys+inJournal-known)
	if err != nil {
		s.parkedKeys = max(1, s.parkedKeys)
	}
}

// Yield gives all keys up, because the journal is about to move them to another
// tenant: pending and parked ones, and the record. A pause is not over by that: the
// journal hands it on with the keys. Until MoveOver the segment calls nobody, and what is
// accepted stays in the journal alone: what comes before the move is moved, what comes
// after it is this tenant's, and nobody knows which is which. The segment that takes the
// keys of a paused one yields as well, and finds the pause at the end. A discard must be
// over.
func (s *Standing) Yield() {
	s.happen(keysYielded)
	s.pause, s.refusal, s.parkedKeys = pause{}, nil, 0
}

// MoveOver ends what Yield began: nothing is known then of what the journal has. It
// reports whether the keys had been given up.
func (s *Standing) MoveOver() (yielded bool) {
	yielded = s.Yielded()
	s.happen(moveOver)
	return yielded
}

// Settle notes that keys are settled or parked: until the journal's answer they may turn
// out to be pending still.
func (s *Standing) Settle() { s.settling++ }

// Settled notes the journal's answer to that.
func (s *Standing) Settled() { s.settling-- }
