package actors

import (
	"time"

	"audiences/audience"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// draining is what the registry knows of a drain under way. Who never delivered
// anything and was tried is not waited for, nor called any more; nor are those of
// whom nothing was heard but failures, see silence. Their keys are in the journal.
type draining struct {
	all    *drainAll                      // answered once everything is drained; nil: there is no drain
	left   map[audience.TenantID]struct{} // who is waited for; nil: there was none
	proven silence                        // of the proven tenants
	others silence                        // of those that are not
}

func (r *registry) drain(ctx actor.Context, m *drainAll) {
	r.draining = draining{all: m, left: map[audience.TenantID]struct{}{}}
	for id, c := range r.tenants.children {
		if r.standings[id].class() == classFailing {
			r.turns.cancel(id)
			continue
		}
		r.draining.left[id] = struct{}{}
		r.tenants.tell(ctx, c, &drain{report: reportTo(ctx, &tenantDrained{tenant: id})})
	}
	r.drainedIfDone()
}

// stopping: nobody is called any more, and nobody sent to sleep.
func (r *registry) stopping() bool { return r.ending || r.draining.left != nil }

// mayAsk: who is not waited for at a stop gets no slot any more.
func (r *registry) mayAsk(id audience.TenantID) bool {
	_, waited := r.draining.left[id]
	return waited || r.draining.left == nil
}

// hear takes in during a drain what became of a call, by the class that the tenant
// had. When proven tenants get no answer, the others need not try; an answer to
// those says nothing of the others.
func (r *registry) hear(c class, o splitclient.Outcome) {
	d := &r.draining
	if d.all == nil {
		return
	}
	if c == classProven {
		d.proven.hear(o)
	}
	if c != classProven || o.Kind == splitclient.Transient {
		d.others.hear(o)
	}
	r.turns.heldBackProven = r.turns.slots - d.proven.most(r.turns.slots)
	r.turns.heldBackOthers = r.turns.slots - d.others.most(r.turns.slots)
}

// drainedIfDone ends the drain when every tenant is drained or not waited for, or
// when Split's limit of our address keeps all of them from calling and no call is
// under way.
func (r *registry) drainedIfDone() {
	d := &r.draining
	if d.all == nil {
		return
	}
	barred := r.egress.underway == 0 && r.egress.blocked.After(time.Now())
	if len(d.left) > 0 && !barred && !r.allSilent() {
		return
	}
	d.all.give(nil)
	d.all = nil
}

// allSilent: those that are not drained yet may not call any more.
func (r *registry) allSilent() bool {
	t := &r.turns
	for id := range r.draining.left {
		heldBack := t.heldBackOthers
		if r.standings[id].class() == classProven {
			heldBack = t.heldBackProven
		}
		if heldBack < t.slots || t.held(id) > 0 {
			return false
		}
	}
	return true
}
