package journal

import "audiences/audience"

// Intake is the role of who accepts changes.
type Intake interface {
	// PutTenant keeps the tenant's token, encrypted (I7). It becomes durable with the
	// next durable write, at the latest: hand it in before the tenant's first Append.
	PutTenant(audience.Tenant)
	// Append takes changes in.
	Append(Append)
}

// Append takes keys of one segment in: each becomes pending with Verb, in place
// of what was pending for it before (I2).
type Append struct {
	audience.Hidden[Append]

	Segment  audience.Segment
	Verb     audience.Verb
	Keys     audience.Keys
	Describe bool         // also write the segment's descriptor; needed once, before or with its first key
	Unpark   bool         // also delete the parked records of these keys: the newer change supersedes them
	Done     chan<- error // gets nil once the keys are durable; may be nil, else must have room
}
