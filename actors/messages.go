package actors

import (
	"time"

	"audiences/actors/batch"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"
)

// Messages that travel down, from the door to the registry, a tenant, a segment.
// Those with an answer get it exactly once (see answerable).
type (
	// accept carries changes of one tenant to its actor; answered by the journal once
	// all of them are durable (I1).
	accept struct {
		hidden[accept]
		down
		answer
		changes []audience.Change // at least one
		came    time.Time         // when the first of them did
		hint    bool              // they are for another node, which is to be told that there are keys
	}
	// accepted tells a segment of a change that its tenant handed to the journal.
	accepted struct {
		hidden[accepted]
		down
		verb    audience.Verb
		keys    audience.Keys
		version journal.Version
	}
	// activate brings back a segment that has keys in the journal; answered once its
	// first keys are in memory.
	activate struct {
		hidden[activate]
		down
		answer
		tenant  audience.Tenant
		segment audience.Segment
		why     because
	}
	// operate is an operator's wish for a segment or a tenant; answered when it is
	// durable.
	operate struct {
		hidden[operate]
		down
		answer
		task
		recalls *recalls // of a Pause of a tenant; is put here
		stage   stage    // how far the segment is with it
	}
	// recall has a segment give back a permit that it has not used: its tenant is paused.
	// Answered when that is done.
	recall struct {
		down
		answer
	}
	// inspect asks one segment what it is doing.
	inspect struct {
		hidden[inspect]
		down
		answer
		tenant  audience.Tenant
		segment audience.Segment
		detail  *SegmentDetail // is put here
	}
	// seek asks whether a key is in flight, of a segment that has an actor; answered with
	// nothing of one that has none.
	seek struct {
		hidden[seek]
		down
		answer
		segment audience.Segment
		key     audience.Key
		found   *keyInFlight // is put here
	}
	// surrender has the segments of a tenant give up their keys, to be moved to
	// another tenant, or some of them, which take over what is moved; answered when all of
	// them have been told.
	surrender struct {
		hidden[surrender]
		down
		answer
		tenant audience.Tenant
		only   []audience.Segment // nil: all of them
		told   *surrendering      // is put here
	}
	// surrenderSegment is surrender to one segment; answered when it holds no key any
	// more.
	surrenderSegment struct {
		down
		answer
	}
	// regain ends a surrender: the move is done, or it does not come about. To a
	// tenant it is answered when the segments have been told.
	regain struct {
		hidden[regain]
		down
		answer
		tenant audience.Tenant
	}
	// pauseEnds has somebody look whether a pause is over: a segment, or with the zero one
	// the tenant.
	pauseEnds struct {
		hidden[pauseEnds]
		down
		tenant  audience.Tenant
		segment audience.Segment
	}
	// list asks what every segment holds; answered when all tenants have been asked.
	list struct {
		answer
		of    audience.Segment // only this one; with a Tenant alone: all of that tenant; zero: everything
		gates bool             // only what keeps tenants with an actor from calling, and no segment
		asked *listing         // is put here
	}
	// listTenant is list to one tenant.
	listTenant struct {
		down
		answer
		of     audience.Segment // only this one; without a name: all of them
		gates  bool             // none
		listed *listedTenant    // is put here
	}
	// found tells the registry, at the start, that the journal has keys of a segment
	// whose tenant has never delivered anything. Where there are many of these it gets
	// no actor before its turn comes. Answered when it is known, or as activate.
	found struct {
		hidden[found]
		answer
		tenant  audience.Tenant
		segment dormantSegment
		again   bool // it may be known already
	}
	// rested tells of a segment that the journal has nothing pending of what is to be kept
	// in sight: after the start, and when the segment was let go.
	rested struct {
		down
		segment audience.Segment
		phase   status.Phase
		counted bool // its parked keys were counted: nothing else is new
	}
	// foundResting is rested at the start: the parked keys have to be counted, which it is
	// answered after.
	foundResting struct {
		answer
		segment audience.Segment
		phase   status.Phase
	}
	// drainAll asks for everything to be flushed now; answered when what can be
	// flushed is.
	drainAll struct{ answer }
	// drain is drainAll to a tenant or a segment; answered to its parent.
	drain struct {
		down
		report
	}
	// slot lets a tenant make one call through the shared egress.
	slot struct {
		down
		limited time.Time // when the limit of the address last kept somebody waiting
	}
	// permit lets a segment make one call.
	permit struct{ down }
	// rest asks a child that got no message for a while whether it may be let go.
	rest struct{ down }
	// doze asks a tenant or a segment to be let go even if keys are pending.
	doze struct{ down }
	// end has an actor end when its children have: they are told by messages, behind
	// all that was sent to them before, which is lost otherwise.
	end struct {
		down
		answer // of the registry: it has ended
	}
)

// because is why a segment is activated.
type because uint8

const (
	moved    because = iota // an operator brought it keys: it looks again
	replayed                // the process started: an actor that knows its keys already need not look again
	takeover                // as replayed, of a tenant that another node owned: its keys are due at once
	hint                    // another node has accepted keys: an actor that knows of any finds these with them
)

// task is what an operator wants done.
type task struct {
	hidden[task]
	tenant   audience.Tenant
	segment  audience.Segment // zero: the tenant itself
	remedy   status.Remedy
	pause    journal.TenantState // of Pause
	notAfter journal.Version     // of Discard: what was accepted later stays
}

// recalls is what a pause of a tenant leads to: how many segments answer that they hold no
// permit any more, or have used it, and where.
type recalls struct {
	segments int
	done     <-chan error
}

// surrendering is what a tenant's surrender leads to: how many answers there are, and where.
// A segment answers that it has given up, and the tenant that a call has ended.
type surrendering struct {
	answers int
	done    <-chan error
}

// listing is what a list leads to: who answers with a tenant's segments, and where.
// Each tenant has put in its part when as many answers are.
type listing struct {
	hidden[listing]
	tenants []listedTenant
	done    <-chan error
	dormant []dormantSegments
	resting []restingTenant
	address status.AddressGate
}

// listedTenant is what one tenant lists.
type listedTenant struct {
	hidden[listedTenant]
	id    audience.TenantID
	gate  status.TenantGate
	views []SegmentView
}

// dormantSegments is the segments of a dormant tenant. The registry adds to the
// list, but changes nothing in it: others may read what they were given.
type dormantSegments struct {
	hidden[dormantSegments]
	tenant   audience.TenantID
	gate     status.TenantGate
	segments []dormantSegment
}

// Messages that travel up, from a segment to its tenant, from a tenant to the
// registry.
type (
	// wantPermit asks for leave to call; since is when the oldest key was due.
	wantPermit struct {
		segment audience.Segment
		since   time.Time
	}
	// wantNoPermit takes that back: there is nothing left to call for.
	wantNoPermit struct{ segment audience.Segment }
	// callEnded gives a permit back, used or not.
	callEnded struct {
		hidden[callEnded]
		segment audience.Segment
		outcome splitclient.Outcome // zero when no call was made
	}
	// segmentIdle says that a segment has nothing to do and has seen so many
	// messages; forget: nor has it anything on disk. With keep it has keys, which are
	// on disk, and dozes.
	segmentIdle struct {
		segment          audience.Segment
		generation, seen uint64
		forget           bool
		keep             *dormantSegment
	}
	// segmentDrained says that a segment has flushed what it could.
	segmentDrained struct{}
	// wantSlot asks the registry for leave to make one call.
	wantSlot struct{ tenant audience.TenantID }
	// slotEnded gives a slot back, used or not.
	slotEnded struct {
		hidden[slotEnded]
		tenant  audience.TenantID
		outcome splitclient.Outcome // zero when no call was made
	}
	// tenantIdle is segmentIdle of a whole tenant.
	tenantIdle struct {
		hidden[tenantIdle]
		tenant           audience.TenantID
		generation, seen uint64
		keep             *dormant // what is to be kept of a tenant that dozes; nil: nothing
		resting          resting  // what is to be kept of its segments in any case
	}
	// tenantDrained says that all segments of a tenant are drained.
	tenantDrained struct{ tenant audience.TenantID }
)

// Messages that an actor's own timers and goroutines send to it.
type (
	// tick: a timer fired; the actor looks what is due.
	tick struct{}
	// sweep: time to look for idle children.
	sweep struct{}
	// admit: time to look which unproven tenants get their turn, and which are to doze.
	admit struct{}
	// flushed brings the outcome of a call back to its segment.
	flushed struct {
		hidden[flushed]
		chunk   *batch.Chunk
		outcome splitclient.Outcome
	}
	// drawn brings a page of the journal to the incarnation that asked for it. To
	// the next one, after a crash, it is too old: changes came since.
	drawn struct {
		hidden[drawn]
		by   *segment
		page journal.Page
	}
	// counted is the journal's answer to a count.
	counted struct {
		of     *counting
		counts journal.Counts
	}
	// settled is the journal's answer to a settle or a park.
	settled struct {
		hidden[settled]
		by     *segment
		parked bool
		newer  int // keys that are pending still, with a change of somebody else
	}
	// unparked is the journal's answer to a retry or a discard.
	unparked struct {
		hidden[unparked]
		by      *segment
		wish    *operate // nil: it was no operator, see segment.releaseKeys
		retried bool
		parked  int // before
		keys    int // that are not any more
		err     error
	}
)
