package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// registry creates, finds and passivates tenants, and holds the shared budget
// of our one egress IP, which it hands out to the waiting tenants in turn.
type registry struct {
	*settings
	*doorstep
	tenants   *roster[audience.TenantID]
	standings map[audience.TenantID]*standing // of those on the roster
	proven    map[audience.TenantID]struct{}  // all that ever were

	states   map[audience.TenantID]journal.TenantState // of the tenants that are paused
	egress   limiter
	turns    turns
	timer    *time.Timer // wakes the registry when the egress may be used again
	sweeper  *time.Timer
	ending   bool   // what still comes in until the tenants have ended is passed on to none of them, and arms no timer
	farewell answer // to who had it end

	// The tenants that are not proven, with an actor and without.
	lobby     *lobby
	dormitory *dormitory
	ushers    *time.Timer
	usherAt   time.Time // when it fires; zero: not armed

	draining draining
}

func newRegistry(s *settings, states map[audience.TenantID]journal.TenantState, proven map[audience.TenantID]struct{}) *registry {
	return &registry{settings: s, doorstep: &doorstep{}, states: states, proven: proven,
		tenants:   newRoster[audience.TenantID](actor.WithSupervisor(goOn)),
		standings: make(map[audience.TenantID]*standing),
		egress:    limiter{rate: s.MaxCallsPerSecond, concurrent: s.MaxConcurrentCalls},
		turns:     turns{slots: s.MaxConcurrentCalls},
		lobby:     newLobby(), dormitory: newDormitory()}
}

func (r *registry) Receive(ctx actor.Context) {
	defer r.answerOnPanic(ctx.Message())
	if m, ok := ctx.Message().(answerable); ok && r.ending {
		m.fail(errDraining)
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.sweeper = wake(ctx, nil, r.IdleTimeout, &sweep{})
	case *end:
		r.farewell, m.answer = m.answer, answer{}
		r.end(ctx)
	case *actor.Stopping:
		r.ending = true
		stop(r.timer, r.sweeper, r.ushers)
	case *actor.Stopped:
		r.ended = true
		r.farewell.give(nil)
	case *accept:
		r.tenants.tell(ctx, r.tenant(ctx, m.change.Tenant, true), m)
	case *activate:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *lodge:
		r.lodge(ctx, m)
	case *wantSlot:
		r.wantSlot(ctx, m.tenant)
	case *slotEnded:
		proven := r.slotEnded(m)
		r.grant(ctx)
		r.usher(ctx)
		r.drainedIfDone()
		if proven {
			r.Journal.Prove(m.tenant) // last: whatever comes of it, the slot is given back
		}
	case *usher:
		r.look(ctx)
	case *operate:
		r.operate(ctx, m)
	case *inspect:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *regain:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *surrender:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *tick:
		r.grant(ctx)
	case *sweep:
		if !r.ending {
			r.tenants.sweep(ctx)
			r.sweeper = wake(ctx, r.sweeper, r.IdleTimeout, &sweep{})
		}
	case *tenantIdle:
		r.tenantIdle(ctx, m)
	case *actor.Terminated:
		if r.tenants.ended(ctx); r.ending {
			endIfAlone(ctx)
		}
	case *census:
		r.census(ctx, m)
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
	if d := r.dormitory.remove(t.ID); d != nil {
		return r.rouse(ctx, d, time.Time{})
	}
	if store {
		r.Journal.PutTenant(t)
	}
	_, proven := r.proven[t.ID]
	return r.adopt(ctx, &tenant{tenant: t}, standing{proven: proven}, time.Time{})
}

// adopt starts the actor of a tenant; called is as in rouse.
func (r *registry) adopt(ctx actor.Context, t *tenant, s standing, called time.Time) *child {
	id := t.tenant.ID
	r.metrics.tenants.Inc()
	t.settings, t.registry, t.state = r.settings, ctx.Self(), r.states[id]
	t.segments = newRoster[localName](actor.WithMailbox(actor.UnboundedLockfree()))
	t.pace.rate = r.MaxCallsPerSecondPerTenant
	c := r.tenants.adopt(ctx, id, func(generation uint64) actor.Actor {
		t.generation = generation
		return t
	})
	r.standings[id] = &s
	if !s.proven {
		r.newcomer(ctx, id, called)
	}
	return c
}

// tenantIdle lets a tenant go that has nothing to do, or dozes.
func (r *registry) tenantIdle(ctx actor.Context, m *tenantIdle) {
	if r.ending || !r.tenants.release(ctx, m.tenant, m.generation, m.seen) {
		return
	}
	r.metrics.tenants.Dec()
	r.turns.cancel(m.tenant)
	r.lobby.remove(m.tenant)
	if m.keep != nil {
		r.bed(m.keep, *r.standings[m.tenant])
	}
	delete(r.standings, m.tenant)
	delete(r.draining.left, m.tenant)
	r.usher(ctx)
	r.drainedIfDone()
}

// wantSlot lines a tenant up, unless it was let go meanwhile.
func (r *registry) wantSlot(ctx actor.Context, id audience.TenantID) {
	if s := r.standings[id]; s != nil && r.mayAsk(id) {
		r.turns.ask(id, s.class())
		r.grant(ctx)
	}
}

// slotEnded learns from the outcome of a call what our address may do, and what
// the tenant is like: whether it is proven by that.
func (r *registry) slotEnded(m *slotEnded) (proven bool) {
	now := time.Now()
	r.egress.end()
	r.turns.end(m.tenant)
	switch o := m.outcome; {
	case o.Reason == splitclient.ThrottledIP:
		r.egress.throttled(now, now.Add(r.jittered(r.egress.grown(now, o.DelayIP, o.DoubtfulIP, r.MaxBackoff))))
	case o.Kind == splitclient.Delivered:
		r.egress.allowed(now, o.Limits.RemainingIP, o.Limits.ResetIP)
	}
	s := r.standings[m.tenant]
	r.hear(s.class(), m.outcome)
	if s.class() != classProven && m.outcome.Kind != 0 {
		r.turns.trust(m.outcome.Kind == splitclient.Delivered)
	}
	if proven = s.learn(m.outcome) && !r.distrust; proven {
		r.proven[m.tenant] = struct{}{}
		r.lobby.remove(m.tenant)
	}
	s.proven = s.proven && !r.distrust
	r.turns.file(m.tenant, s.class())
	r.lobby.served(m.tenant)
	return proven
}

// operate passes an operator's wish on. A tenant's pause outlives its actor.
func (r *registry) operate(ctx actor.Context, m *operate) {
	c := r.tenant(ctx, m.tenant, false)
	if m.segment == (audience.Segment{}) {
		switch m.op {
		case Pause:
			r.states[m.tenant.ID] = journal.TenantState{Paused: true, PausedUntil: m.until}
		case Resume:
			delete(r.states, m.tenant.ID)
		}
	}
	r.tenants.tell(ctx, c, m)
}

// grant hands out the slots that are free (I6), one at a time: what a call teaches
// about its tenant and our address counts for the next.
func (r *registry) grant(ctx actor.Context) {
	for !r.ending {
		next, ok := r.turns.next()
		if !ok {
			return // the end of a call brings us back
		}
		now := time.Now()
		if wait := r.egress.wait(now); wait > 0 {
			r.timer = wake(ctx, r.timer, wait, &tick{})
			return
		}
		r.turns.take(next)
		r.egress.begin(now)
		r.tenants.tell(ctx, r.tenants.find(next), &slot{}) // a tenant that waits is taken out of the line when it is let go
	}
}

func (r *registry) census(ctx actor.Context, m *census) {
	done := make(chan error, len(r.tenants.children)) // room for all: no tenant ever blocks on it
	views := make([][]SegmentView, len(r.tenants.children))
	left := views
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &muster{answer: answer{done}, views: &left[0]})
		left = left[1:]
	}
	*m.asked = mustering{views: views, done: done, dormant: r.dormants()}
	m.give(nil)
}

// end has all tenants end, behind what was sent to them before.
func (r *registry) end(ctx actor.Context) {
	r.ending = true
	stop(r.timer, r.sweeper, r.ushers)
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &end{})
	}
	endIfAlone(ctx)
}
