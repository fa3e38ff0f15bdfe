package journal

import (
	"iter"

	"audiences/audience"
)

// Keeper is the role of who delivers what was accepted.
type Keeper interface {
	Load(Load)
	Count(Count)
	Parked(ParkedQuery)
	Settle(Settle)
	Park(Park)
	Unpark(Unpark)

	// SetSegmentState keeps the state of a segment; done gets nil once it is durable.
	SetSegmentState(segment audience.Segment, state SegmentState, done chan<- error)
	// SetTenantState keeps the state of a tenant; done as in SetSegmentState.
	SetTenantState(tenant audience.TenantID, state TenantState, done chan<- error)
	// Forget removes the name of a segment that has neither keys nor state left.
	Forget(audience.Segment)
	// MoveTenant hands the keys of one tenant to another.
	MoveTenant(from, to audience.TenantID, done func(segments []audience.Segment, keys int, err error))
	// Prove keeps that Split took keys of a tenant: it is known not to be made up.
	Prove(audience.TenantID)

	// Proven lists the tenants that Prove was called for; it waits for the disk.
	Proven() iter.Seq2[audience.TenantID, error]
	// Tenants lists all tenants with their tokens; it waits for the disk.
	Tenants() iter.Seq2[KnownTenant, error]
	// Segments lists all described segments; it waits for the disk.
	Segments() iter.Seq2[Listed, error]
}

// Settle removes keys whose change Split took. Keys are yielded in the
// committer's goroutine and must stay readable until Done is answered. The
// caller settles only keys that nothing newer was appended for.
type Settle struct {
	Segment audience.Segment
	Keys    iter.Seq[audience.Key]
	Done    chan<- error // may be nil, else must have room; nil is not a promise of durability, see the package comment
}

// Park moves keys that Split refused for good from pending to parked, in one
// step that a crash cannot halve (I3). Keys as in Settle.
type Park struct {
	audience.Hidden[Park]

	Segment audience.Segment
	Verb    audience.Verb
	Keys    iter.Seq[audience.Key] // each once
	Refusal Refusal
	Done    chan<- error // gets nil once durable; may be nil, else must have room
}

// Unpark takes keys out of the parked list: to be tried again, or to be given up.
type Unpark struct {
	Segment audience.Segment
	Keys    iter.Seq[audience.Key] // nil: all parked keys; read before Unpark returns
	Discard bool                   // delete them; else they become pending again with their verb, unless something newer is pending
	Done    func(n int, err error) // called once with the number of parked records removed; must not wait. May be nil
}
