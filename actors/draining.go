package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// registryDrain is what the registry knows of a drain. Who never delivered anything
// and was tried is not waited for, nor called any more; nor are those of whom
// nothing was heard but failures (pace.Turns). Their keys are in the journal.
type registryDrain struct {
	all  *drainAll                      // answered once everything is drained; nil: it is, or there is no drain
	left map[audience.TenantID]struct{} // who is waited for
}

func (r *registry) drain(ctx actor.Context, m *drainAll) {
	r.phase = registryDraining
	r.turns.Drain()
	r.draining = registryDrain{all: m, left: map[audience.TenantID]struct{}{}}
	for id, c := range r.tenants.children.All() {
		if r.records[id].Class() == pace.Failing {
			r.turns.Cancel(id)
			continue
		}
		r.draining.left[id] = struct{}{}
		r.tenants.tell(ctx, c, &drain{report: reportTo(ctx, &tenantDrained{tenant: id})})
	}
	r.drainedIfDone()
}

// mayAsk: who is not waited for at a stop gets no slot any more.
func (r *registry) mayAsk(id audience.TenantID) bool {
	_, waited := r.draining.left[id]
	return waited || r.phase == registryRunning
}

// drainedIfDone ends the drain when every tenant is drained or not waited for, or
// when Split's limit of our address keeps all of them from calling and no call is
// under way.
func (r *registry) drainedIfDone() {
	d := &r.draining
	if d.all == nil {
		return
	}
	barred := r.egress.Underway() == 0 && r.egress.Blocked(time.Now())
	if len(d.left) > 0 && !barred && !r.allHopeless() {
		return
	}
	d.all.give(nil)
	d.all = nil
}

// allHopeless: those that are not drained yet may not call any more.
func (r *registry) allHopeless() bool {
	for id := range r.draining.left {
		if !r.turns.Hopeless(id, r.records[id].Class()) {
			return false
		}
	}
	return true
}
