package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"

	"github.com/asynkron/protoactor-go/actor"
)

// This is what the registry and the tenants have to do where several nodes share a journal
// (package placement). Every node accepts changes of all tenants. A tenant's actors are on the node
// alone that owns its slot; for the others the registry hands changes to the journal
// itself, and leaves a hint for the owner.

// Messages of this file.
type (
	// own gives the registry slots, with what the journal keeps of their tenants; answered
	// when changes of them go to their actors.
	own struct {
		answer
		slots  audience.Slots
		states map[audience.TenantID]journal.TenantState
		proven map[audience.TenantID]struct{}
	}
	// disown takes slots from the registry; answered when it has listed the tenants of them
	// that have an actor. From then on no call of theirs begins.
	disown struct {
		answer
		slots   audience.Slots
		tenants *[]audience.TenantID // are put here
	}
	// letGo ends the actors of tenants that hold no keys any more.
	letGo struct {
		answer
		tenants []audience.TenantID
	}
	// leave has a tenant end once no call is under way.
	leave struct{ down }
	// hinted tells the registry of a segment that has keys which this node did not accept.
	hinted struct {
		hidden[hinted]
		tenant  audience.Tenant
		segment audience.Segment
	}
	// egressOf tells the registry what part of the address's budget is this node's, and until
	// when Split bars the address as other nodes know.
	egressOf struct {
		share   float64
		blocked time.Time
	}
)

// ofTenant are the messages that concern one tenant and are for the node that owns it.
type ofTenant interface{ concerns() audience.TenantID }

func (m *accept) concerns() audience.TenantID       { return m.changes[0].Segment.Tenant }
func (m *activate) concerns() audience.TenantID     { return m.tenant.ID }
func (m *found) concerns() audience.TenantID        { return m.tenant.ID }
func (m *hinted) concerns() audience.TenantID       { return m.tenant.ID }
func (m *operate) concerns() audience.TenantID      { return m.tenant.ID }
func (m *inspect) concerns() audience.TenantID      { return m.tenant.ID }
func (m *regain) concerns() audience.TenantID       { return m.tenant.ID }
func (m *pauseEnds) concerns() audience.TenantID    { return m.tenant.ID }
func (m *seek) concerns() audience.TenantID         { return m.segment.Tenant }
func (m *rested) concerns() audience.TenantID       { return m.segment.Tenant }
func (m *foundResting) concerns() audience.TenantID { return m.segment.Tenant }

// elsewhere takes a message that concerns a tenant of another node. surrender is not among
// them: it is also how the actors of a slot that goes to another node give up their keys.
func (r *registry) elsewhere(ctx actor.Context, message any) (taken bool) {
	m, ok := message.(ofTenant)
	if !ok || r.owned.Has(m.concerns().Slot()) {
		return false
	}
	if m, ok := message.(*accept); ok {
		r.acceptElsewhere(ctx, m)
	} else {
		refuse(message, ErrElsewhere)
	}
	return true
}

// acceptElsewhere accepts changes for the node that owns the tenant. While its actors are
// here still, they hear of them: a call may be under way that carries one of the keys, and
// its settle is not to take the newer change along, which the journal may have given the
// same version as one that the segment knows of.
func (r *registry) acceptElsewhere(ctx actor.Context, m *accept) {
	if c := r.tenants.find(m.concerns()); c != nil {
		m.hint = true
		r.tenants.tell(ctx, c, m)
		return
	}
	r.acceptFor(m)
}

// acceptFor hands changes to the journal for the node that owns the tenant.
func (r *registry) acceptFor(m *accept) {
	changes := make([]journal.Change, len(m.changes))
	for i, c := range m.changes {
		changes[i] = journal.Change{Segment: c.Segment, Verb: c.Verb, Keys: c.Keys, Describe: true}
	}
	r.Journal.PutTenant(m.changes[0].Tenant())
	r.Journal.Append(journal.Append{Tenant: m.changes[0].Segment.Tenant, Changes: changes, Came: m.came, Hint: true, Done: through(m.to)})
	m.handed()
}

// own takes slots over.
func (r *registry) own(m *own) {
	for id, state := range m.states {
		r.states[id] = state
	}
	for id := range m.proven {
		r.proven[id] = struct{}{}
	}
	r.owned = r.owned.Or(m.slots)
	m.give(nil)
}

// disown forgets the tenants of slots, but for those that have an actor.
func (r *registry) disown(m *disown) {
	r.owned = r.owned.Without(m.slots)
	for id := range r.tenants.children.All() {
		if m.slots.Has(id.Slot()) {
			r.turns.Cancel(id)
			*m.tenants = append(*m.tenants, id)
		}
	}
	for id := range r.states {
		if m.slots.Has(id.Slot()) {
			delete(r.states, id)
		}
	}
	for id := range r.proven {
		if m.slots.Has(id.Slot()) {
			delete(r.proven, id)
		}
	}
	for id := range r.resting {
		if m.slots.Has(id.Slot()) {
			delete(r.resting, id)
		}
	}
	r.disownDormant(m.slots)
	m.give(nil)
}

// disownDormant forgets the tenants of slots that have no actor, but keys.
func (r *registry) disownDormant(slots audience.Slots) {
	var gone []*dormant
	for id, d := range r.unproven.dormant.All() {
		if slots.Has(id.Slot()) {
			gone = append(gone, d)
		}
	}
	for _, d := range gone {
		r.unproven.dormant.Remove(d.ID)
		r.metrics.dormant.Dec()
		for _, s := range d.What.segments {
			view := s.view(d.ID)
			r.metrics.pending.Sub(float64(view.Adds + view.Deletes + view.Stored))
			r.inMemory.Add(-int64(s.repeat.Weight()))
		}
	}
}

// letGo ends the actors of tenants, behind all that was sent to them.
func (r *registry) letGo(ctx actor.Context, m *letGo) {
	for _, id := range m.tenants {
		c := r.tenants.find(id)
		if c == nil {
			continue // it had nothing to do, and was let go before
		}
		r.tenants.tell(ctx, c, &leave{})
		r.tenants.children.Delete(id)
		r.metrics.tenants.Dec()
		r.turns.Cancel(id)
		r.unproven.active.Remove(id)
		delete(r.records, id)
		delete(r.draining.left, id)
	}
	r.drainedIfDone()
	m.give(nil)
}

// hinted has a segment look at the journal.
func (r *registry) hinted(ctx actor.Context, m *hinted) {
	_, proven := r.proven[m.tenant.ID]
	if c := r.tenants.find(m.tenant.ID); c != nil || proven {
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), &activate{tenant: m.tenant, segment: m.segment, why: hint})
		return
	}
	r.found(ctx, &found{tenant: m.tenant, segment: dormantSegment{name: localNameOf(m.segment), due: time.Now().Add(r.tuning().FlushInterval), more: true, described: true}, again: true})
}

// egressOf takes over what other nodes of the address leave and know.
func (r *registry) egressOf(ctx actor.Context, m *egressOf) {
	r.egress.Share(time.Now(), m.share)
	r.egress.Bar(m.blocked)
	r.grant(ctx)
}

// leave ends the tenant's actor when no call is under way: their slots are given back.
func (t *tenant) leave(ctx actor.Context) {
	if t.leaving = true; t.calls.Underway() == 0 {
		t.end(ctx)
	}
}
