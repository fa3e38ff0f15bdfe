package actors

import (
	"encoding/hex"
	"time"

	"audiences/audience"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// registry creates, finds and passivates tenants, and holds the shared budget
// of our one egress IP, which it hands out to the waiting tenants in turn.
type registry struct {
	*settings
	tenants roster[audience.TenantID]

	egress  limiter
	wants   map[audience.TenantID]int // slots a tenant waits for
	turns   []audience.TenantID       // the tenants that wait, next one first
	timer   *time.Timer               // wakes the registry when the egress may be used again
	sweeper *time.Timer

	drainDone chan<- struct{} // closed once every tenant is drained
	draining  int             // tenants that are not drained yet
}

// drainAll starts the drain; done is closed at its end.
type drainAll struct{ done chan<- struct{} }

func (r *registry) Receive(ctx actor.Context) {
	defer r.answerOnPanic(ctx.Message())
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.sweeper = wake(ctx, nil, r.IdleTimeout, &sweep{})
	case *actor.Stopping:
		stop(r.timer, r.sweeper)
	case *accept:
		r.tenants.tell(ctx, r.tenant(ctx, m.change.Tenant, true), m)
	case *activate:
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), m)
	case *wantSlot:
		if r.wants[m.tenant]++; r.wants[m.tenant] == 1 {
			r.turns = append(r.turns, m.tenant)
		}
		r.grant(ctx)
	case *slotEnded:
		r.egress.end()
		if m.outcome.Reason == splitclient.ThrottledIP {
			r.egress.block(r.resumeAt(m.outcome.DelayIP))
		}
		r.grant(ctx)
	case *tick:
		r.grant(ctx)
	case *sweep:
		r.tenants.sweep(ctx)
		r.sweeper = wake(ctx, r.sweeper, r.IdleTimeout, &sweep{})
	case *tenantIdle:
		if r.tenants.release(ctx, m.tenant, m.generation, m.seen) {
			r.metrics.tenants.Dec()
		}
	case *census:
		r.census(ctx, m)
	case *drainAll:
		r.drain(ctx, m)
	case *tenantDrained:
		r.draining--
		r.drainedIfNone()
	}
}

// tenant finds the tenant's actor or starts it. A tenant that comes with a
// change may be new to the journal; one that comes from it is not.
func (r *registry) tenant(ctx actor.Context, t audience.Tenant, store bool) *child {
	if c := r.tenants.find(t.ID); c != nil {
		return c
	}
	r.metrics.tenants.Inc()
	if store {
		r.Journal.PutTenant(t)
	}
	return r.tenants.adopt(ctx, t.ID, hex.EncodeToString(t.ID[:]), func(generation uint64) *actor.Props {
		registry := ctx.Self()
		return actor.PropsFromProducer(func() actor.Actor {
			return &tenant{settings: r.settings, tenant: t, registry: registry, generation: generation,
				pace: limiter{rate: r.MaxCallsPerSecondPerTenant}}
		}, actor.WithSupervisor(restartSegments))
	})
}

// grant hands out the slots that are free, one tenant after the other (I6).
func (r *registry) grant(ctx actor.Context) {
	for len(r.turns) > 0 {
		now := time.Now()
		if wait := r.egress.wait(now); wait > 0 {
			r.timer = wake(ctx, r.timer, wait, &tick{})
			return
		}
		next := r.turns[0]
		r.turns = r.turns[1:]
		if r.wants[next]--; r.wants[next] > 0 {
			r.turns = append(r.turns, next)
		} else {
			delete(r.wants, next)
		}
		r.egress.begin(now)
		r.tenants.tell(ctx, r.tenants.find(next), &slot{}) // a tenant that waits is not passivated
	}
}

func (r *registry) census(ctx actor.Context, m *census) {
	views := make(chan []SegmentView, len(r.tenants.children)) // room for all: no tenant ever blocks on it
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &muster{part: views})
	}
	m.reply <- parts{tenants: len(r.tenants.children), views: views}
}

func (r *registry) drain(ctx actor.Context, m *drainAll) {
	r.drainDone, r.draining = m.done, len(r.tenants.children)
	for _, c := range r.tenants.children {
		r.tenants.tell(ctx, c, &drain{})
	}
	r.drainedIfNone()
}

func (r *registry) drainedIfNone() {
	if r.draining == 0 && r.drainDone != nil {
		close(r.drainDone)
		r.drainDone = nil
	}
}
