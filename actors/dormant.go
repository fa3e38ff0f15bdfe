package actors

import (
	"slices"
	"time"

	"audiences/actors/batch"
	"audiences/actors/pace"
	"audiences/audience"
	"audiences/splitclient"
	"audiences/status"
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
}

func (d *dormantTenant) has(name localName) bool {
	return slices.ContainsFunc(d.segments, func(s dormantSegment) bool { return s.name == name })
}

// only is the segment that is named, or without a name all of them.
func (d *dormantTenant) only(of audience.Segment) []dormantSegment {
	if of.Name == "" {
		return d.segments
	}
	name := localNameOf(of)
	if i := slices.IndexFunc(d.segments, func(s dormantSegment) bool { return s.name == name }); i >= 0 {
		return d.segments[i : i+1]
	}
	return nil
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
	repeat       *batch.Remains // nil: nothing
	stored       int            // keys in the journal but for those of repeat
	more         bool           // there may be more of them
	described    bool           // the journal knows its name
	last         splitclient.Reason
	failing      bool              // the log says that its calls fail
	says         *status.Condition // while it is paused or parked; nil: it is neither
}

func (d *dormantSegment) view(tenant audience.TenantID) SegmentView {
	adds, deletes := d.repeat.Counts()
	return SegmentView{Segment: d.name.of(tenant), Adds: adds, Deletes: deletes, Stored: d.stored, Uncounted: d.more, Phase: d.phase()}
}
