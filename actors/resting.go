package actors

import (
	"context"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// A segment that has nothing to do is let go, and its tenant after it. What an operator
// must not lose sight of stays on a list: parked keys, a pause, and that Split refuses
// the segment. The list is with the tenant, or with the registry where the tenant has no
// actor. After a start it is read from the journal.

// resting is what is shown of segments without an actor and without pending keys.
type resting map[localName]status.Phase

// restingTenant is what the registry shows of a tenant without an actor.
type restingTenant struct {
	hidden[restingTenant]
	id    audience.TenantID
	gate  status.TenantGate
	views []SegmentView
}

// views lists the segments: all of them, or the one that is named.
func (r resting) views(of audience.Segment, tenant audience.TenantID, now time.Time) []SegmentView {
	views := make([]SegmentView, 0, len(r))
	for name, phase := range r {
		if of.Name != "" && name != localNameOf(of) {
			continue
		}
		phase.Condition = phase.PauseOver(now) // its actor would have ended the pause
		views = append(views, SegmentView{Segment: name.of(tenant), Phase: phase})
	}
	return views
}

// put puts a segment on the list, or takes it off where nothing is to be kept in sight.
func (r resting) put(name localName, phase status.Phase) {
	if phase.State == status.Idle && phase.Parked == 0 {
		delete(r, name)
	} else {
		r[name] = phase
	}
}

// keep puts a segment on the list that is let go, if there is something to be kept. What
// it knew of its parked keys is an upper bound: they are counted anew.
func (t *tenant) keep(ctx actor.Context, name localName, last *status.Phase) {
	if last == nil {
		return
	}
	segment := name.of(t.id)
	t.resting = t.resting.note(&rested{segment: segment, phase: *last})
	if last.Parked > 0 {
		t.countResting(ctx, t.registry, segment, *last, answer{})
	}
}

// countResting has the journal count the parked keys of a segment on the list, and the
// registry told. What cannot be counted stays as it is: no reason to lose sight of it.
func (s *settings) countResting(ctx actor.Context, registry *actor.PID, segment audience.Segment, known status.Phase, a answer) {
	root := ctx.ActorSystem().Root
	s.Journal.Count(journal.Count{Segment: segment, Done: func(c journal.Counts) {
		if c.Err == nil {
			known.Parked = c.Parked
			root.Send(registry, &rested{segment: segment, phase: known, counted: true})
		}
		a.give(nil)
	}})
}

// rested lists a segment as the journal has told of it, unless it is active.
func (t *tenant) rested(m *rested) {
	if t.segments.find(localNameOf(m.segment)) == nil {
		t.resting = t.resting.note(m)
	}
}

// rested is for the tenant, or for the registry's own list.
func (r *registry) rested(ctx actor.Context, m *rested) {
	id := m.segment.Tenant
	if c := r.tenants.find(id); c != nil {
		r.tenants.tell(ctx, c, m)
		return
	}
	if list := r.resting[id].note(m); len(list) > 0 {
		r.resting[id] = list
	} else {
		delete(r.resting, id)
	}
}

// note puts what the journal tells on the list. A count is of use only where the segment
// still rests: it may have been active meanwhile, or its keys are another tenant's.
func (r resting) note(m *rested) resting {
	name := localNameOf(m.segment)
	if _, rests := r[name]; m.counted && !rests {
		return r
	}
	if r == nil {
		r = resting{}
	}
	r.put(name, m.phase)
	return r
}

// takeResting hands the list to the tenant's actor.
func (r *registry) takeResting(id audience.TenantID) resting {
	list := r.resting[id]
	delete(r.resting, id)
	return list
}

// listResting lists what is on the lists of tenants without an actor.
func (r *registry) listResting(of audience.Segment, now time.Time) (all []restingTenant) {
	for id, list := range r.resting {
		if of.Tenant == id || of.Tenant == (audience.TenantID{}) {
			all = append(all, restingTenant{id: id, gate: r.gateOf(r.states[id], now), views: list.views(of, id, now)})
		}
	}
	return all
}

// readResting tells the registry of segments that the journal has nothing pending of,
// but parked keys or a state. It waits for each: to count parked keys may take long.
func (r *Relay) readResting(ctx context.Context, segments []rested) {
	for _, m := range segments {
		if ctx.Err() != nil {
			return
		}
		_ = r.ask(ctx, func(a answer) any { return &foundResting{answer: a, segment: m.segment, phase: m.phase} }) // a crash is in the log
	}
}

// foundResting lists a segment, and has its parked keys counted.
func (r *registry) foundResting(ctx actor.Context, m *foundResting) {
	r.rested(ctx, &rested{segment: m.segment, phase: m.phase})
	if m.phase.Parked == 0 {
		m.give(nil)
		return
	}
	r.countResting(ctx, ctx.Self(), m.segment, m.phase, m.answer)
	m.handed()
}

// rests reports whether a segment is to be kept in sight though nothing is pending.
func rests(l journal.Listed) bool {
	return !l.Pending && (l.Parked || l.State != journal.SegmentState{})
}

// phaseOf is what the journal's record says of a segment without pending keys.
func phaseOf(l journal.Listed) (phase status.Phase) {
	phase.Condition = recordOf(l.State)
	if l.Parked {
		phase.Parked = 1 // at least
	}
	return phase
}
