package actors

import (
	"slices"
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
	tenants *roster[audience.TenantID]

	states   map[audience.TenantID]journal.TenantState // of the tenants that are paused
	egress   limiter
	turns    []audience.TenantID       // the tenants that wait for a slot, each once, next one first
	slots    map[audience.TenantID]int // that a tenant holds; never 0
	timer    *time.Timer               // wakes the registry when the egress may be used again
	sweeper  *time.Timer
	ending   bool   // what still comes in until the tenants have ended is passed on to none of them, and arms no timer
	farewell answer // to who had it end

	drains   *drainAll // answered once every tenant is drained; nil: none is
	draining int       // tenants that are not drained yet
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
		stop(r.timer, r.sweeper)
	case *actor.Stopped:
		r.ended = true
		r.farewell.give(nil)
	case *accept:
		r.tenants.tell(ctx, r.tenant(ctx, m.change.Tenant, true), m)
	case *activate:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *wantSlot:
		r.turns = append(r.turns, m.tenant)
		r.grant(ctx)
	case *slotEnded:
		r.slotEnded(m)
		r.grant(ctx)
		r.drainedIfDone()
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
		if !r.ending && r.tenants.release(ctx, m.tenant, m.generation, m.seen) {
			r.metrics.tenants.Dec()
		}
	case *actor.Terminated:
		if r.tenants.ended(ctx); r.ending {
			endIfAlone(ctx)
		}
	case *census:
		r.census(ctx, m)
	case *drainAll:
		r.drain(ctx, m)
	case *tenantDrained:
		r.draining--
		r.drainedIfDone()
	}
}

// tenant finds the tenant's actor or starts it. A tenant that comes with a
// change may be new to the journal; one that comes from it is not.
func (r *registry) tenant(ctx actor.Context, t audience.Tenant, store bool) *child {
	if c := r.tenants.find(t.ID); c != nil {
		return c
	}
	if store {
		r.Journal.PutTenant(t)
	}
	r.metrics.tenants.Inc()
	return r.tenants.adopt(ctx, t.ID, func(generation uint64) actor.Actor {
		return &tenant{settings: r.settings, tenant: t, registry: ctx.Self(), generation: generation,
			segments: newRoster[localName](actor.WithMailbox(actor.UnboundedLockfree())),
			state:    r.states[t.ID], pace: limiter{rate: r.MaxCallsPerSecondPerTenant}}
	})
}

// slotEnded learns from the outcome of a call what our address may do.
func (r *registry) slotEnded(m *slotEnded) {
	now := time.Now()
	r.egress.end()
	if r.slots[m.tenant]--; r.slots[m.tenant] == 0 {
		delete(r.slots, m.tenant)
	}
	switch o := m.outcome; {
	case o.Reason == splitclient.ThrottledIP:
		r.egress.throttled(now, now.Add(r.jittered(o.DelayIP)))
	case o.Kind == splitclient.Delivered:
		r.egress.allowed(now, o.Limits.RemainingIP, o.Limits.ResetIP)
	}
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

// grant hands out the slots that are free, one tenant after the other: a tenant
// that has called goes to the end of the line (I6).
func (r *registry) grant(ctx actor.Context) {
	for !r.ending {
		turn := slices.IndexFunc(r.turns, r.mayTake)
		if turn < 0 {
			return // the end of a call brings us back
		}
		now := time.Now()
		if wait := r.egress.wait(now); wait > 0 {
			r.timer = wake(ctx, r.timer, wait, &tick{})
			return
		}
		next := r.turns[turn]
		r.turns = slices.Delete(r.turns, turn, turn+1)
		r.egress.begin(now)
		r.slots[next]++
		r.tenants.tell(ctx, r.tenants.find(next), &slot{}) // a tenant that waits is not passivated
	}
}

// mayTake: a tenant holds no more slots than are free after it. However many
// slots a tenant's hanging or slow calls would fill, it gets half of them, two
// such tenants a third each, and so on: some are always left for the others (I6).
// A fixed share would either be all, with a few such tenants, or too little for
// one that is alone.
func (r *registry) mayTake(id audience.TenantID) bool {
	return r.slots[id] < r.egress.concurrent-r.egress.underway
}

func (r *registry) census(ctx actor.Context, m *census) {
	done := make(chan error, len(r.tenants.children)) // room for all: no tenant ever blocks on it
	views := make([][]SegmentView, len(r.tenants.children))
	left := views
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &muster{answer: answer{done}, views: &left[0]})
		left = left[1:]
	}
	*m.asked = mustering{views: views, done: done}
	m.give(nil)
}

func (r *registry) drain(ctx actor.Context, m *drainAll) {
	r.drains, r.draining = m, len(r.tenants.children)
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &drain{report: reportTo(ctx, &tenantDrained{})})
	}
	r.drainedIfDone()
}

// end has all tenants end, behind what was sent to them before.
func (r *registry) end(ctx actor.Context) {
	r.ending = true
	stop(r.timer, r.sweeper)
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &end{})
	}
	endIfAlone(ctx)
}

// drainedIfDone ends the drain when every tenant is drained, or when Split's limit
// of our address keeps all of them from calling and no call is under way.
func (r *registry) drainedIfDone() {
	barred := r.egress.underway == 0 && r.egress.blocked.After(time.Now())
	if r.drains != nil && (r.draining == 0 || barred) {
		r.drains.give(nil)
		r.drains = nil
	}
}
