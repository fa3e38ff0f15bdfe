package actors

import (
	"slices"
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/splitclient"
)

// dormant is a tenant that has keys to deliver and no actor, as the registry keeps
// it in its queue. While it is there it does not change, so that others may read it.
type dormant = pace.Dormant[dormantTenant]

// dormantTenant is everything that the tenant's actors knew and the journal does
// not, so that they can be made again when the tenant's turn comes.
type dormantTenant struct {
	hidden[dormantTenant]
	token    audience.Token
	segments []dormantSegment
	calls    pace.Kept
	failing  bool // whether the log says that calls fail
}

func (d *dormantTenant) has(name localName) bool {
	return slices.ContainsFunc(d.segments, func(s dormantSegment) bool { return s.name == name })
}

// dormantSegment is what is kept of a segment with keys and no actor. The keys are
// in the journal, but for those whose call has no outcome yet: that very call is
// repeated before anything newer for its keys (I4).
type dormantSegment struct {
	hidden[dormantSegment]
	name         localName
	due          time.Time // when it wants to call; zero: not by itself
	probeAt      time.Time // when it is tried again, if it is parked; zero: it is not, or one interval after the start
	missingSince time.Time // the first of the 404s in a row
	lastVerb     audience.Verb
	repeat       *repeat // nil: nothing
	stored       int     // keys in the journal but for those of repeat
	more         bool    // there may be more of them
	last         splitclient.Reason
}

// repeat is a call that is to be repeated, and what is held of the keys that
// changed after it: in the journal the newer change has taken the older one's place.
// The segment that wakes takes the sets over and changes them. Who was given the
// dormant one may be reading it still, hence the numbers beside them.
type repeat struct {
	hidden[repeat]
	flight          *chunk
	adds, deletes   audience.KeySet
	toAdd, toDelete int // of both, when it fell asleep
}

// newRepeat is the flight, and those of the keys to add and to delete that it has too.
func newRepeat(flight *chunk, adds, deletes *audience.KeySet) *repeat {
	r := &repeat{flight: flight}
	for key := range flight.keys.All() {
		if adds.Has(key) {
			r.adds.Add(key)
		} else if deletes.Has(key) {
			r.deletes.Add(key)
		}
	}
	r.toAdd, r.toDelete = r.adds.Len(), r.deletes.Len()
	if flight.verb == audience.Delete {
		r.toDelete += flight.len()
	} else {
		r.toAdd += flight.len()
	}
	return r
}

// counts is how many keys are to be added and to be deleted.
func (r *repeat) counts() (adds, deletes int) {
	if r == nil {
		return 0, 0
	}
	return r.toAdd, r.toDelete
}

// weight is that of the batch (settings.inMemory).
func (r *repeat) weight() int {
	if r == nil {
		return 0
	}
	return r.adds.Weight() + r.deletes.Weight() + r.flight.keys.Weight()
}

func (d *dormantSegment) view(tenant audience.TenantID) SegmentView {
	adds, deletes := d.repeat.counts()
	return SegmentView{Segment: d.name.of(tenant), Adds: adds, Deletes: deletes, Stored: d.stored, Uncounted: d.more}
}
