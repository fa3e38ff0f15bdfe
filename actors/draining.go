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

// end has all tenants end, behind what was sent to them before.
func (r *registry) end(ctx actor.Context) {
	r.enterEnd()
	for _, c := range r.tenants.children.All() {
		r.tenants.tell(ctx, c, &end{})
	}
	endIfAlone(ctx)
}

func (r *registry) enterEnd() {
	r.phase = registryEnding
	stop(r.timer, r.sweeper, r.unproven.look.timer)
}

// tenantDrain is a drain under way.
type tenantDrain struct {
	message *drain // answered once every segment is drained; nil: it is, or there is no drain
	left    int    // segments that are not drained yet
}

// drain has all segments flush what they can.
func (t *tenant) drain(ctx actor.Context, m *drain) {
	t.wakeAll(ctx)
	t.phase, t.draining = tenantDraining, tenantDrain{message: m, left: t.segments.len()}
	for _, c := range t.segments.children.All() {
		t.segments.tell(ctx, c, &drain{report: reportTo(ctx, &segmentDrained{})})
	}
	t.drainedIfDone()
}

// drainedIfDone ends the drain when nothing is left to send, or when nothing may
// be sent and no call is under way: the stop does not wait for what cannot go.
func (t *tenant) drainedIfDone() {
	d := &t.draining
	if d.message != nil && (d.left == 0 || t.calls.Underway() == 0 && t.calls.Barred(time.Now())) {
		d.message.give()
		d.message = nil
	}
}

// end has all segments end, behind what was sent to them before.
func (t *tenant) end(ctx actor.Context) {
	t.enterEnd()
	for _, c := range t.segments.children.All() {
		ctx.Poison(c.pid)
	}
	endIfAlone(ctx)
}

func (t *tenant) enterEnd() {
	t.phase = tenantEnding
	for segment := range t.outcomes {
		t.tellOutcome(segment, errDraining)
	}
	stop(t.timer, t.wakeup, t.sweeper)
}
