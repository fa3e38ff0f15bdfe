package journal

import (
	"iter"
	"time"

	"audiences/audience"
)

// Keeper is the role of who delivers what was accepted. None of its methods waits but
// the five that list.
type Keeper interface {
	Load(Load)
	Count(Count)
	Parked(ParkedQuery)
	Find(Find)
	Settle(Settle)
	Park(Park)
	Unpark(Unpark)

	// SetSegmentState keeps the state of a segment. done may be nil; it is called once,
	// with nil once the state is durable, and must not wait.
	SetSegmentState(segment audience.Segment, state SegmentState, done func(error))
	// SetTenantState keeps the state of a tenant; done as in SetSegmentState.
	SetTenantState(tenant audience.TenantID, state TenantState, done func(error))
	// Forget removes the name of a segment, unless the journal has keys or a state of
	// it: somebody else may have appended some meanwhile.
	Forget(audience.Segment)
	// MoveTenant hands the keys of one tenant to another: a customer's new token takes
	// over what waits under the old one (I9: the operator decides, never the relay).
	// Pending and parked keys of every segment become pending, with a new version, for
	// the same segment of `to`, unless `to` has the key pending or parked, which is newer.
	// A segment that is paused stays so: with the first of its keys the segment of `to` is
	// paused, unless it is paused itself. The segments of `from` are then gone, with their
	// states; the tenant itself goes at the next start.
	//
	// done is called once with the segments of `to` that exist now and the number of
	// keys handed over; it must not wait. After an error, or a crash, part may be done:
	// moving again does the rest, no key is lost or doubled in between.
	MoveTenant(from, to audience.TenantID, done func(segments []audience.Segment, keys int, err error))
	// Prove keeps that Split took keys of a tenant: it is known not to be made up. It
	// becomes durable with the next durable write.
	Prove(audience.TenantID)

	// NoteEvent keeps an event until there are EventsKept newer ones; done as in
	// SetSegmentState.
	NoteEvent(event Event, done func(error))
	// Events lists the events that are kept, the oldest first. After an error there are
	// no more.
	Events() iter.Seq2[Event, error]

	// Since is when a version was given, to within a second; to within a minute for one that
	// is older than ten minutes, an hour for one that is older than a day. ok is false
	// where the journal does not know, as of one that is older than 60 days.
	Since(Version) (at time.Time, ok bool)

	// Proven lists the tenants of these slots that Prove was called for, also those whose
	// token was forgotten since. An item with an error stands for records that could not be
	// read; the others go on.
	Proven(audience.Slots) iter.Seq2[audience.TenantID, error]
	// Tenants lists all tenants of these slots with their tokens; errors as in Proven. One
	// with a Tenant.ID is that tenant's, without one more than a record is missing.
	Tenants(audience.Slots) iter.Seq2[KnownTenant, error]
	// Segments lists all described segments of these slots' tenants as they are at the call's
	// begin, in no order that means anything; errors as in Proven.
	Segments(audience.Slots) iter.Seq2[Listed, error]
	// SegmentsOf is Segments of one tenant.
	SegmentsOf(audience.TenantID) iter.Seq2[Listed, error]
}

// Selection names pending keys of one segment as somebody saw them. What is pending
// for a key with another version is newer, and stays as it is. Both sequences may be nil;
// they are read before the method that takes the Selection returns.
type Selection struct {
	audience.Hidden[Selection]

	// Keys are meant with any version that NotAfter covers: the node of NotAfter itself
	// accepted all of their changes, and knows of all up to NotAfter.
	Keys     iter.Seq[audience.Key]
	NotAfter Version
	// Drawn are meant with exactly these versions: they were read from the journal.
	Drawn iter.Seq2[audience.Key, Version]
}

// Settle removes keys whose change Split took. The journal repeats it until it is done:
// it fails only at the journal's end. A power loss may undo it, unless a durable change
// came after it; then the keys are delivered again.
type Settle struct {
	Segment audience.Segment
	Selection
	Receipt Receipt                               // kept for Find; the zero value: none
	Done    func(newer []audience.Key, err error) // called once, with the keys that are pending with another version; must not wait. May be nil
}

// Park moves keys that Split refused for good from pending to parked, in one step that
// a crash cannot halve (I3). A key that is not pending any more is parked as well, unless
// nodes share the journal: then another one has settled it, or taken it away. The journal
// repeats it until it is done, as a Settle.
type Park struct {
	audience.Hidden[Park]

	Segment audience.Segment
	Verb    audience.Verb
	Selection
	Refusal Refusal
	Done    func(newer []audience.Key, err error) // as in Settle; err is nil once the keys are parked durably. May be nil
}

// Unpark takes keys out of the parked list: to be tried again, or to be given up. After
// an error, or a crash, part of the keys may be done; asking again does the rest.
type Unpark struct {
	Segment audience.Segment
	Keys    iter.Seq[audience.Key] // nil: all parked keys; read before Unpark returns
	Discard bool                   // delete them; else they become pending again with their verb and a new version, unless something newer is pending
	Done    func(n int, err error) // called once with the number of parked records removed; must not wait. May be nil
}
