package journal

import (
	"time"

	"audiences/audience"
)

// Intake is the role of who accepts changes.
type Intake interface {
	// PutTenant keeps the tenant's token, encrypted (I7). It becomes durable with the
	// next durable write, at the latest: hand it in before the tenant's first Append.
	PutTenant(audience.Tenant)
	// Append takes changes in. It never waits, and returns the version that their keys
	// have from now on, which is newer than all that it returned before.
	Append(Append) Version
	// Newest is the newest version that Append has returned, or that of a change before
	// the start. It never waits.
	Newest() Version
}

// Append takes changes of one tenant in, in their order and all or nothing: each key
// becomes pending with the verb of its last change, in place of what was pending or
// parked for it before (I2).
type Append struct {
	audience.Hidden[Append]

	Tenant  audience.TenantID
	Changes []Change
	Hint    bool        // this node does not deliver for the tenant: the one that does is to be told that there are keys
	Came    time.Time   // when the changes came; a journal that nodes share refuses them where that is long ago (F1). Zero: now
	Done    func(error) // called once, with nil once all keys are durable; must not wait. May be nil
}

// Change is one verb for some keys of one segment.
type Change struct {
	audience.Hidden[Change]

	Segment  audience.Segment // of the Append's tenant
	Verb     audience.Verb
	Keys     audience.Keys // may be empty
	Describe bool          // also write the segment's name; needed once, before or with its first key, and after a Forget
}
