package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"

	"github.com/asynkron/protoactor-go/actor"
)

// A pause that has an end is over by itself, and that is an event. A segment with an actor
// sees the end coming (segment.step). For all others there is a reminder: it wakes who is
// paused, which looks, says so and takes the pause off its record. Since the record stays
// until then, the end of a pause is told once, also where the relay was away at the time.

// remind has somebody look when a pause is over: a segment, or with the zero one the
// tenant. Where there is no such pause then, nothing comes of it.
func (r *Relay) remind(tenant audience.Tenant, segment audience.Segment, until time.Time) {
	if until.IsZero() {
		return
	}
	time.AfterFunc(time.Until(until), func() {
		switch {
		case r.ctx.Err() != nil: // the next start reminds
		case time.Now().Before(until): // the clock was set back
			r.remind(tenant, segment, until)
		default:
			r.system.Root.Send(r.registry, &pauseEnds{tenant: tenant, segment: segment})
		}
	})
}

// remindOf has all whom a plan pauses looked at.
func (r *Relay) remindOf(p *plan) {
	if p.onTenant() {
		r.remind(p.tenant.Tenant, audience.Segment{}, p.wish.Until)
		return
	}
	for i := range p.subjects {
		r.remind(p.tenant.Tenant, p.subjects[i].segment, p.wish.Until)
	}
}

// pauseEnds ends the pause of a tenant that is over, or wakes the segment.
func (r *registry) pauseEnds(ctx actor.Context, m *pauseEnds) {
	id := m.tenant.ID
	switch state := r.states[id]; {
	case r.phase != registryRunning: // the next start reminds
	case m.segment != (audience.Segment{}):
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case state.Paused && !state.PausedAt(time.Now()):
		delete(r.states, id)
		r.tell(news{kind: pauseOver, segment: audience.Segment{Tenant: id}})
		r.Journal.SetTenantState(id, journal.TenantState{}, func(error) {}) // else the next start tells it again
	}
}
