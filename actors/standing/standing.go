// Package standing is what a segment is allowed to do, and why: what it does now,
// what it knows of the journal, what an operator, Split and the relay's stop say. It
// is pure: times come in, and what follows comes out, as a [Leave], a [Concern] or a
// record to be written to the journal.
//
// Each of these has states with names, and all changes of them stand in one table
// (transitions.go). The methods of [Standing] are the events: each applies one, and
// keeps what belongs to the new state. docs/segment-states.md draws the table.
package standing

import (
	"time"

	"audiences/audience"
	"audiences/journal"
)

// Limits are how long a segment waits.
type Limits struct {
	NotFoundGrace time.Duration // how long a 404 may mean "not yet"
	ProbeInterval time.Duration // between two attempts with a parked segment
}

// Standing is that of one segment. New makes one. It belongs to one goroutine at a time.
type Standing struct {
	audience.Hidden[Standing]
	limits Limits
	now    state // one of each part

	pause        pause            // paused: who did it, since when, until when
	refusal      *journal.Refusal // parked, full: why
	probeAt      time.Time        // parked, full: when one key is tried next
	missingSince time.Time        // missing: the first of the 404s in a row

	lastPass int             // discarding: ends when the batch has completed this many passes of its backlog
	notAfter journal.Version // discarding: of the newest change that it covers
	spared   audience.KeySet // discarding: keys that were accepted meanwhile; nobody meant them

	parkedKeys int // in the journal; an upper bound once they are counted
	unparking  int // retries and discards that the journal has not answered
	settling   int // settles and parks that it has not answered
}

// pause is what is known of one.
type pause struct {
	until time.Time // when it ends by itself; zero: with Resume
	since time.Time // zero: not known
	by    string    // the operator; "": not known
}

// New makes the standing of a segment of which nothing is known.
func New(l Limits) Standing { return Standing{limits: l, now: initial} }

// Leave is what a segment may do with a permit.
type Leave uint8

// The leaves, from the least to the most.
const (
	Nothing       Leave = iota // neither call nor read keys for a call
	Reading                    // read keys for a call, but make none before the record is known
	Probes                     // try one key at ProbeAt
	DeletesProbes              // send deletes, and try one add at ProbeAt
	Calls                      // send all keys
)

// Leave is what the segment may do now.
func (s *Standing) Leave() Leave {
	switch {
	case s.in(paused | discarding | yielded):
		return Nothing
	case s.in(unread):
		return Reading
	case s.in(parked):
		return Probes
	case s.in(full):
		return DeletesProbes
	}
	return Calls
}

// Record is the part of the standing that outlives a restart; the journal keeps it.
func (s *Standing) Record() journal.SegmentState {
	r := journal.SegmentState{Paused: s.in(paused), PausedUntil: s.pause.until, PausedBy: s.pause.by, PausedSince: s.pause.since}
	if s.ParkedSegment() {
		r.Parked = s.refusal
	}
	return r
}

// Known reports whether it is known whether the segment may call, or never will be in
// time: the journal cannot be read.
func (s *Standing) Known() bool { return !s.in(unread) }

// FirstPageIn reports whether a page has told what the journal has of this segment.
func (s *Standing) FirstPageIn() bool { return s.in(read | counted | yielded) }

// AllCounted reports whether the stored and the parked keys are counted.
func (s *Standing) AllCounted() bool { return s.in(counted | yielded) }

// WantsCount reports whether the journal should count the keys. While parked keys are
// being taken back it is not known which of them a count would still see.
func (s *Standing) WantsCount() bool { return s.in(read) && s.unparking == 0 }

// Yielded reports whether all keys are being moved to another tenant.
func (s *Standing) Yielded() bool { return s.in(yielded) }

// Paused reports whether an operator keeps the segment from calling.
func (s *Standing) Paused() bool { return s.in(paused) }

// PausedUntil is when a pause ends by itself; zero: it does not, or there is none.
func (s *Standing) PausedUntil() time.Time { return s.pause.until }

// ParkedSegment reports whether Split refuses the whole segment, for whatever reason.
func (s *Standing) ParkedSegment() bool { return s.in(parked | full) }

// DeletesOnly reports whether adds have to wait because the segment has all the
// members that it may have, which is no reason not to take some away.
func (s *Standing) DeletesOnly() bool { return s.in(full) && !s.in(discarding) }

// ProbeAt is when a parked segment is tried with one key; zero: it is not parked.
func (s *Standing) ProbeAt() time.Time {
	if !s.ParkedSegment() {
		return time.Time{}
	}
	return s.probeAt
}

// MissingSince is the first of the 404s in a row that may mean "not yet"; zero: there is none.
func (s *Standing) MissingSince() time.Time { return s.missingSince }

// ParkedKeys is the number of parked keys; an upper bound once AllCounted.
func (s *Standing) ParkedKeys() int { return s.parkedKeys }

// AtRest reports whether all is known that there is to know, and nothing is under way
// but perhaps a call. A move needs the segment's name in the journal.
func (s *Standing) AtRest() bool {
	return s.in(counted) && s.in(keeping) && s.unparking == 0 && s.settling == 0
}

// Stateless reports whether the journal has nothing of the segment but its pending keys
// and its name, as far as is known.
func (s *Standing) Stateless() bool {
	return s.parkedKeys == 0 && s.Record() == journal.SegmentState{}
}
