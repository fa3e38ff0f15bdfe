package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// This is how the registry bounds what tenants cost that have never delivered
// anything (ADR 12): so many of them have an actor, others doze, and are woken some
// ahead of their turns. How one dozes stands in doze.go and tenant_doze.go.

// unproven is the tenants that have never delivered anything.
type unproven struct {
	active  pace.Candidates
	dormant *pace.DormantQueue[dormantTenant]
	look    alarm // for admit
}

// admitNew counts an unproven tenant whose actor was made, and makes room for it.
func (r *registry) admitNew(ctx actor.Context, id audience.TenantID, woken time.Time) {
	r.unproven.active.Add(id, woken, time.Now())
	const looks = 4 // for each that comes: so their number falls, and no message takes long
	r.doze(ctx, looks)
	r.schedule(ctx)
}

// admit looks again which dormant tenants are woken, and which others are to doze.
func (r *registry) admit(ctx actor.Context) {
	r.unproven.look.fired()
	r.unproven.active.EndTurns(time.Now(), r.turns)
	r.doze(ctx, r.unproven.active.Len())
	r.wakeDormant(ctx)
}

// doze has unproven tenants doze, if too many have an actor; it looks at so many.
func (r *registry) doze(ctx actor.Context, looks int) {
	if r.phase != registryRunning {
		return
	}
	for _, id := range r.unproven.active.Excess(time.Now(), r.mostUnproven(), looks, r.turns) {
		r.tenants.tell(ctx, r.tenants.find(id), &doze{})
	}
}

// wakeDormant wakes dormant tenants while few of those that were woken wait for a
// slot, so that they find one soon.
func (r *registry) wakeDormant(ctx actor.Context) {
	now := time.Now()
	for r.unproven.active.Woken() < r.mostWoken() && r.phase == registryRunning {
		d := r.unproven.dormant.Next(now)
		if d == nil {
			break
		}
		r.wakeTenant(ctx, d, now)
	}
	r.schedule(ctx)
}

// mostWoken is how many dormant tenants are woken ahead of their turns.
func (r *registry) mostWoken() int { return max(1, r.turns.MostUnproven()/4) }

// wakeTenant makes the actor of a dormant tenant; woken is zero when that is not
// because its turn has come.
func (r *registry) wakeTenant(ctx actor.Context, d *dormant, woken time.Time) *child {
	r.metrics.dormant.Dec()
	return r.adopt(ctx, audience.Tenant{ID: d.ID, Token: d.What.token}, d.What, d.Record, woken)
}

// schedule sets the alarm for when there is more to do: somebody is due, or has had
// its time to ask for a slot or to doze.
func (r *registry) schedule(ctx actor.Context) {
	r.unproven.look.set(ctx, r.nextLook(time.Now()), &admit{})
}

func (r *registry) nextLook(now time.Time) (next time.Time) {
	u := &r.unproven
	if r.phase != registryRunning {
		return next
	}
	if u.active.Woken() < r.mostWoken() {
		next = u.dormant.NextDue()
	}
	if u.active.Woken() > 0 && u.dormant.Len() > 0 || u.active.Len() > r.mostUnproven() {
		if soon := now.Add(pace.DozeTime); next.IsZero() || soon.Before(next) {
			next = earlier(u.look.at, soon) // what was set before comes first
		}
	}
	return next
}

// found notes that a tenant has keys. The first get their actors at once, up to
// half of those that there may be: somebody has to come in, too.
func (r *registry) found(ctx actor.Context, m *found) {
	id := m.tenant.ID
	d := r.unproven.dormant.Remove(id)
	if d == nil && (r.tenants.find(id) != nil || r.unproven.active.Len() < r.mostUnproven()/2) {
		c := r.tenant(ctx, m.tenant, false)
		r.tenants.tell(ctx, c, &activate{tenant: m.tenant, segment: m.segment.name.of(id), why: replayed, answer: m.answer})
		m.handed()
		return
	}
	m.give(nil)
	if d == nil {
		d = &dormant{ID: id, What: dormantTenant{token: m.tenant.Token}}
		r.metrics.dormant.Inc()
	}
	if !m.again || !d.What.has(m.segment.name) {
		r.keepFound(d, m.segment)
	}
	r.unproven.dormant.Add(d)
	r.wakeDormant(ctx)
}

// keepFound adds a segment to a dormant tenant that is not in the queue.
func (r *registry) keepFound(d *dormant, segment dormantSegment) {
	r.metrics.pending.Add(float64(segment.stored))
	d.What.segments = append(d.What.segments, segment)
	state := r.states[d.ID]
	if forGood := state.Paused && state.PausedUntil.IsZero(); !forGood && !segment.due.IsZero() {
		d.Due = earlier(d.Due, later(segment.due, state.PausedUntil))
	}
}
