package status

import "time"

// What a segment alone knows is not the whole story: one that is due may wait for its
// tenant or for the address. Resolve puts the three together.

// Phase is what a segment knows of itself.
type Phase struct {
	Condition           // Gathering, Waiting (for its interval), Calling, Repeating, Parked, Paused, Reading or Idle
	Asked     bool      // it has asked its tenant for a call, and waits
	Parked    int       // keys that Split refused for good; an upper bound
	Oldest    time.Time // no pending key in memory was accepted before; zero: not known, or none is
}

// TenantGate is what keeps all segments of a tenant from calling.
type TenantGate struct {
	Off         bool // delivery is switched off in the configuration
	Paused      bool
	PausedUntil time.Time // zero: until somebody resumes it
	PausedSince time.Time
	PausedBy    string
	Refused     bool      // Split refuses the token: unauthorized
	RefusedAt   time.Time // the first time in a row
	RefusedTry  time.Time // when it is tried again
	Blocked     time.Time // no call before, for the organisation's limit; zero: now
	ByAddress   bool      // it was the limit of the address that the tenant was told
	Waiting     int       // segments that have asked for a call
}

// AddressGate is what keeps all tenants from calling.
type AddressGate struct {
	Blocked time.Time // no call before, for the limit of the address; zero: now
	Waiting int       // tenants that have asked for a call
}

// Resolve is the condition of a segment.
func Resolve(p Phase, t TenantGate, a AddressGate, pending int, now time.Time) Condition {
	c := p.Condition
	switch {
	case c.Also != "", c.State == Calling, c.State == Reading:
		return c
	case c.State == Parked && t.Paused:
		return c.Besides(t.paused())
	case c.State == Parked && t.Off:
		return c.Besides(Condition{State: Held})
	case c.State == Parked, c.State == Paused:
		return c.Besides(t.refused(pending))
	case t.Paused:
		return t.paused().Besides(t.refused(pending))
	case pending == 0:
		return c
	case t.Off:
		return Condition{State: Held}
	case t.Refused:
		return t.refused(pending)
	case !p.Asked:
		return c
	case t.Blocked.After(now) && t.ByAddress:
		return waits(c, ForAddressLimit, t.Blocked)
	case t.Blocked.After(now):
		return waits(c, ForTenantLimit, t.Blocked)
	case a.Blocked.After(now):
		return waits(c, ForAddressLimit, a.Blocked)
	}
	c = waits(c, ForTurn, time.Time{})
	if c.State == Waiting {
		c.Behind = behind(t.Waiting, a.Waiting)
	}
	return c
}

func (t TenantGate) paused() Condition {
	return Condition{State: Paused, Since: t.PausedSince, Until: t.PausedUntil, By: t.PausedBy}
}

// refused is Idle where the token is not refused, or nothing is pending that it is for.
func (t TenantGate) refused(pending int) Condition {
	if !t.Refused || pending == 0 {
		return Condition{State: Idle}
	}
	return Condition{State: TokenRefused, Since: t.RefusedAt, Until: t.RefusedTry, Reason: "unauthorized"}
}

// behind is how many others may be first: of the same tenant, or else other tenants.
func behind(segments, tenants int) int {
	if segments > 1 {
		return segments - 1
	}
	return max(0, tenants-1)
}

// waits is a segment that has asked for a call. One whose last call failed goes on to
// say that: it is what an operator has to know.
func waits(c Condition, what Wait, until time.Time) Condition {
	if c.State == Repeating {
		c.Until = until
		return c
	}
	return Condition{State: Waiting, WaitsFor: what, Since: c.Since, Until: until}
}
