package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// registry creates, finds and passivates tenants, and holds the shared budget
// of our one egress IP, which it hands out to the waiting tenants in turn.
type registry struct {
	*settings
	*lateRefusal
	phase    registryPhase
	owned    audience.Slots // whose tenants this node delivers for
	tenants  *roster[audience.TenantID]
	records  map[audience.TenantID]*pace.Record        // of those on the roster
	proven   map[audience.TenantID]struct{}            // all that ever were
	states   map[audience.TenantID]journal.TenantState // of the tenants that are paused
	resting  map[audience.TenantID]resting             // of the tenants without an actor
	unproven unproven                                  // all others, with an actor and without

	egress  pace.Limiter
	limited time.Time // when it last kept somebody waiting
	turns   *pace.Turns
	timer   *time.Timer // fires when the egress may be used again
	sweeper *time.Timer

	draining registryDrain
	farewell answer // to who had the registry end
}

// registryPhase is how far the registry is with its life. It goes on in this order,
// and may leave the second one out.
type registryPhase uint8

const (
	registryRunning  registryPhase = iota
	registryDraining               // no tenant is woken for its turn any more, or sent to doze
	registryEnding                 // what still comes in until the tenants have ended is passed on to none of them, and arms no timer
)

func newRegistry(s *settings, states map[audience.TenantID]journal.TenantState, proven map[audience.TenantID]struct{}) *registry {
	owned := audience.AllSlots()
	if s.Sharing != nil {
		owned = audience.Slots{}
	}
	return &registry{settings: s, owned: owned, lateRefusal: &lateRefusal{}, states: states, proven: proven, resting: map[audience.TenantID]resting{},
		tenants:  newRoster[audience.TenantID](actor.WithSupervisor(goOn)),
		records:  make(map[audience.TenantID]*pace.Record),
		unproven: unproven{dormant: pace.NewDormantQueue[dormantTenant]()},
		egress:   pace.Limiter{Rate: s.tuning().MaxCallsPerSecond, Concurrent: s.tuning().MaxConcurrentCalls},
		turns:    pace.NewTurns(s.tuning().MaxConcurrentCalls)}
}

func (r *registry) Receive(ctx actor.Context) {
	defer r.answerOnPanic(ctx.Message())
	if m, ok := ctx.Message().(answerable); ok && r.phase == registryEnding {
		m.fail(errDraining)
		return
	}
	if r.elsewhere(ctx, ctx.Message()) {
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.sweeper = wake(ctx, nil, r.IdleTimeout, &sweep{})
	case *end:
		r.farewell, m.answer = m.answer, answer{}
		r.end(ctx)
	case *actor.Stopping:
		r.enterEnd()
	case *actor.Stopped:
		r.ended = true
		r.farewell.give(nil)
	case *accept:
		r.tenants.tell(ctx, r.tenant(ctx, m.changes[0].Tenant(), true), m)
	case *activate:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *found:
		r.found(ctx, m)
	case *foundResting:
		r.foundResting(ctx, m)
	case *rested:
		r.rested(ctx, m)
	case *wantSlot:
		r.wantSlot(ctx, m.tenant)
	case *slotEnded:
		proven := r.slotEnded(m)
		r.grant(ctx)
		r.wakeDormant(ctx)
		r.drainedIfDone()
		if proven {
			r.Journal.Prove(m.tenant) // last: whatever comes of it, the slot is given back
		}
	case *admit:
		r.admit(ctx)
	case *operate:
		r.operate(ctx, m)
	case *seek:
		if c := r.tenants.find(m.segment.Tenant); c != nil {
			r.tenants.tell(ctx, c, m)
		} else {
			m.give(nil)
		}
	case *inspect:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *regain:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *pauseEnds:
		r.pauseEnds(ctx, m)
	case *surrender:
		r.surrender(ctx, m)
	case *own:
		r.own(m)
	case *disown:
		r.disown(m)
	case *letGo:
		r.letGo(ctx, m)
	case *hinted:
		r.hinted(ctx, m)
	case *egressOf:
		r.egressOf(ctx, m)
	case *tuned:
		r.tuned(ctx)
	case *tick:
		r.grant(ctx)
	case *sweep:
		if r.phase != registryEnding {
			r.tenants.sweep(ctx)
			r.sweeper = wake(ctx, r.sweeper, r.IdleTimeout, &sweep{})
		}
	case *tenantIdle:
		r.tenantIdle(ctx, m)
	case *actor.Terminated:
		if r.tenants.ended(ctx); r.phase == registryEnding {
			endIfAlone(ctx)
		}
	case *list:
		r.list(ctx, m)
	case *drainAll:
		r.drain(ctx, m)
	case *tenantDrained:
		delete(r.draining.left, m.tenant)
		r.drainedIfDone()
	}
}

// tenant finds the tenant's actor or starts it. A tenant that comes with a
// change may be new to the journal; one that comes from it is not.
func (r *registry) tenant(ctx actor.Context, t audience.Tenant, store bool) *child {
	if c := r.tenants.find(t.ID); c != nil {
		return c
	}
	if d := r.unproven.dormant.Remove(t.ID); d != nil {
		return r.wakeTenant(ctx, d, time.Time{})
	}
	if store {
		r.Journal.PutTenant(t)
	}
	_, proven := r.proven[t.ID]
	return r.adopt(ctx, t, dormantTenant{}, pace.Record{Proven: proven}, time.Time{})
}

// adopt starts the actor of a tenant with what is known of it; woken is as in
// wakeTenant.
func (r *registry) adopt(ctx actor.Context, t audience.Tenant, known dormantTenant, record pace.Record, woken time.Time) *child {
	r.metrics.tenants.Inc()
	born := newTenant(r.settings, t, ctx.Self(), known)
	born.resting = r.takeResting(t.ID)
	if state := r.states[t.ID]; state.Paused {
		born.calls.Pause(state.PausedUntil, state.PausedSince, state.PausedBy)
	}
	c := r.tenants.adopt(ctx, t.ID, func(generation uint64) actor.Actor {
		born.generation = generation
		return born
	})
	r.records[t.ID] = &record
	if !record.Proven {
		r.admitNew(ctx, t.ID, woken)
	}
	return c
}

// surrender is passed on, unless the tenant belongs to another node and has no actor here.
func (r *registry) surrender(ctx actor.Context, m *surrender) {
	if c := r.tenants.find(m.tenant.ID); c == nil && !r.owned.Has(m.tenant.ID.Slot()) {
		m.fail(ErrElsewhere)
		return
	}
	r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
}

// tenantIdle lets a tenant go that has nothing to do, or dozes.
func (r *registry) tenantIdle(ctx actor.Context, m *tenantIdle) {
	if r.phase == registryEnding || !r.tenants.release(ctx, m.tenant, m.generation, m.seen) {
		return
	}
	r.metrics.tenants.Dec()
	r.turns.Cancel(m.tenant)
	r.unproven.active.Remove(m.tenant)
	if len(m.resting) > 0 {
		r.resting[m.tenant] = m.resting
	}
	if m.keep != nil {
		m.keep.Record = *r.records[m.tenant]
		r.metrics.dormant.Inc()
		r.unproven.dormant.Add(m.keep)
	}
	delete(r.records, m.tenant)
	delete(r.draining.left, m.tenant)
	r.wakeDormant(ctx)
	r.drainedIfDone()
}

// wantSlot lines a tenant up, unless it was let go meanwhile.
func (r *registry) wantSlot(ctx actor.Context, id audience.TenantID) {
	if record := r.records[id]; record != nil && r.mayAsk(id) && r.owned.Has(id.Slot()) {
		r.turns.Ask(id, record.Class())
		r.grant(ctx)
	}
}

// slotEnded learns from the outcome of a call what our address may do, and what
// the tenant is like: whether it is proven by that.
func (r *registry) slotEnded(m *slotEnded) (proven bool) {
	now := time.Now()
	r.egress.End()
	r.turns.End(m.tenant)
	switch o := m.outcome; {
	case o.Reason == splitclient.ThrottledIP:
		r.egress.Throttled(now, o.DelayIP, o.DoubtfulIP, r.MaxBackoff, r.Random)
		r.tell(newsOf(addressLimited, audience.Segment{}, o, r.egress.BlockedUntil()))
	case o.Kind == splitclient.Delivered:
		r.egress.Allowed(now, o.Limits.RemainingIP, o.Limits.ResetIP)
	}
	record := r.records[m.tenant]
	if record == nil {
		return false // its actor was let go for another node
	}
	r.turns.Note(record.Class(), m.outcome)
	if proven = record.Note(m.outcome) && !r.distrust; proven {
		r.proven[m.tenant] = struct{}{}
		r.unproven.active.Remove(m.tenant)
	}
	record.Proven = record.Proven && !r.distrust
	r.turns.SetClass(m.tenant, record.Class())
	r.unproven.active.EndTurn(m.tenant)
	return proven
}

// operate passes an operator's wish on. A tenant's pause outlives its actor.
func (r *registry) operate(ctx actor.Context, m *operate) {
	c := r.tenant(ctx, m.tenant, false)
	if m.segment == (audience.Segment{}) {
		switch m.remedy {
		case status.Pause:
			r.states[m.tenant.ID] = m.pause
		case status.Resume:
			delete(r.states, m.tenant.ID)
		}
	}
	r.tenants.tell(ctx, c, m)
}

// grant hands out the slots that are free (I6), one at a time: what a call teaches
// about its tenant and our address counts for the next.
func (r *registry) grant(ctx actor.Context) {
	if r.Sharing != nil {
		defer r.demand.note(&r.egress, r.turns)
	}
	for r.phase != registryEnding {
		next, ok := r.turns.Next()
		if !ok {
			return // the end of a call brings us back
		}
		now := time.Now()
		if wait := r.egress.Wait(now); wait > 0 {
			r.timer = wake(ctx, r.timer, wait, &tick{})
			r.limited = now
			return
		}
		r.turns.Take(next)
		r.egress.Begin(now)
		r.demand.begun.Add(1)
		r.tenants.tell(ctx, r.tenants.find(next), &slot{limited: r.limited}) // a tenant that waits is taken out of the line when it is let go
	}
}

// list has tenants list their segments, and lists those of the dormant ones.
func (r *registry) list(ctx actor.Context, m *list) {
	asked := r.children(m.of.Tenant)
	done := make(chan error, len(asked)) // room for all: no tenant ever blocks on it
	tenants := make([]listedTenant, len(asked))
	for i, c := range asked {
		r.tenants.tell(ctx, c, &listTenant{answer: answer{done}, of: m.of, gates: m.gates, listed: &tenants[i]})
	}
	*m.asked = listing{tenants: tenants, done: done,
		address: status.AddressGate{Blocked: r.egress.BlockedUntil(), Waiting: r.turns.Waiting()}}
	if now := time.Now(); !m.gates {
		m.asked.dormant, m.asked.resting = r.withoutActor(m.of, now), r.listResting(m.of, now)
	}
	m.give(nil)
}

// children are the actors of all tenants, or that of one.
func (r *registry) children(of audience.TenantID) (all []*child) {
	if of != (audience.TenantID{}) {
		if c := r.tenants.find(of); c != nil {
			all = append(all, c)
		}
		return all
	}
	for _, c := range r.tenants.children.All() {
		all = append(all, c)
	}
	return all
}

// withoutActor lists the dormant tenants, and those of which nothing is known but that
// they once delivered something, or that they are paused.
func (r *registry) withoutActor(of audience.Segment, now time.Time) (all []dormantSegments) {
	meant := func(id audience.TenantID) bool { return of.Tenant == id || of.Tenant == (audience.TenantID{}) }
	for id, d := range r.unproven.dormant.All() {
		if meant(id) {
			all = append(all, dormantSegments{tenant: id, gate: r.gateOf(r.states[id], now), segments: d.What.only(of)})
		}
	}
	absent := func(id audience.TenantID) bool {
		return meant(id) && r.tenants.find(id) == nil && !r.unproven.dormant.Has(id)
	}
	for id := range r.proven {
		if absent(id) {
			all = append(all, dormantSegments{tenant: id, gate: r.gateOf(r.states[id], now)})
		}
	}
	for id, state := range r.states {
		if _, listed := r.proven[id]; !listed && absent(id) && state.PausedAt(now) {
			all = append(all, dormantSegments{tenant: id, gate: r.gateOf(state, now)})
		}
	}
	return all
}
