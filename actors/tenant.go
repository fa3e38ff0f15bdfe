package actors

import (
	"time"

	"audiences/audience"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// tenant owns everything done with one apiToken (I9): its segments, and the
// pace of its organisation's calls. A segment that wants to call asks here; the
// tenant asks the registry for a slot in the shared egress and passes the leave
// on to the segment that has waited longest. It, not the segment, knows which
// calls are under way, so that a segment that crashed cannot have two (I4).
type tenant struct {
	*settings
	tenant     audience.Tenant
	registry   *actor.PID
	generation uint64
	seen       uint64 // messages from the registry

	segments roster[audience.Segment]

	pace     limiter
	waiting  waitlist
	underway map[audience.Segment]struct{}
	again    map[audience.Segment]time.Time // asked for another permit while its call is under way
	asked    int                            // slots asked for and not granted yet
	timer    *time.Timer                    // wakes the tenant when its pace allows the next call
	sweeper  *time.Timer

	drainees int // segments that were told to drain and are not done
}

func (t *tenant) Receive(ctx actor.Context) {
	defer t.answerOnPanic(ctx.Message())
	if _, ok := ctx.Message().(fromParent); ok {
		t.seen++
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		t.sweeper = wake(ctx, nil, t.IdleTimeout, &sweep{})
	case *actor.Stopping:
		stop(t.timer, t.sweeper)
	case *accept:
		t.segments.tell(ctx, t.segment(ctx, m.change.Segment), m)
	case *activate:
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
	case *wantPermit:
		t.want(ctx, m)
	case *slot:
		t.permit(ctx)
	case *callEnded:
		t.callEnded(ctx, m)
	case *tick:
		t.ask(ctx)
	case *sweep:
		t.segments.sweep(ctx)
		t.sweeper = wake(ctx, t.sweeper, t.IdleTimeout, &sweep{})
	case *rest:
		if t.idle() {
			ctx.Send(t.registry, &tenantIdle{tenant: t.tenant.ID, generation: t.generation, seen: t.seen})
		}
	case *segmentIdle:
		if t.segments.release(ctx, m.segment, m.generation, m.seen) {
			t.metrics.segments.Dec()
			if m.forget {
				t.Journal.Forget(m.segment)
			}
		}
	case *muster:
		m.part <- t.muster()
	case *drain:
		t.drain(ctx)
	case *segmentDrained:
		t.drainees--
		t.drainedIfNone(ctx)
	}
}

// segment finds the segment's actor or starts it.
func (t *tenant) segment(ctx actor.Context, name audience.Segment) *child {
	if c := t.segments.find(name); c != nil {
		return c
	}
	t.metrics.segments.Inc()
	shared := &share{}
	c := t.segments.adopt(ctx, name, name.Name, func(generation uint64) *actor.Props {
		self := ctx.Self()
		return actor.PropsFromProducer(func() actor.Actor {
			return newSegment(t.settings, t.tenant.Token, name, self, generation, shared)
		}, actor.WithMailbox(actor.UnboundedLockfree()))
	})
	c.share = shared
	return c
}

// want queues a segment for a permit. One whose call is still under way crashed
// and came back: it waits for that call to end.
func (t *tenant) want(ctx actor.Context, m *wantPermit) {
	if _, ok := t.underway[m.segment]; ok {
		if t.again == nil {
			t.again = make(map[audience.Segment]time.Time)
		}
		t.again[m.segment] = m.since
		return
	}
	t.waiting.push(m.segment, m.since)
	t.ask(ctx)
}

// ask asks the registry for as many slots as segments wait and the pace allows.
func (t *tenant) ask(ctx actor.Context) {
	for t.asked < t.waiting.len() {
		now := time.Now()
		if wait := t.pace.wait(now); wait > 0 {
			t.timer = wake(ctx, t.timer, wait, &tick{})
			return
		}
		t.pace.begin(now)
		t.asked++
		ctx.Send(t.registry, &wantSlot{tenant: t.tenant.ID})
	}
}

// permit passes a slot on to the segment that has waited longest. A slot that
// was asked for before Split said to wait is given back.
func (t *tenant) permit(ctx actor.Context) {
	t.asked--
	if time.Now().Before(t.pace.blocked) {
		t.pace.end()
		ctx.Send(t.registry, &slotEnded{})
		t.ask(ctx)
		return
	}
	name := t.waiting.pop() // never empty: asked is at most its length, and only permit shortens it
	if t.underway == nil {
		t.underway = make(map[audience.Segment]struct{})
	}
	t.underway[name] = struct{}{}
	t.segments.tell(ctx, t.segments.find(name), &permit{}) // a segment that waits is not passivated
}

// callEnded takes a permit back and gives the slot back to the registry.
func (t *tenant) callEnded(ctx actor.Context, m *callEnded) {
	t.pace.end()
	if m.outcome.Kind == splitclient.Throttled {
		t.pace.block(t.resumeAt(m.outcome.Delay))
	}
	delete(t.underway, m.segment)
	if since, ok := t.again[m.segment]; ok {
		delete(t.again, m.segment)
		t.waiting.push(m.segment, since)
	}
	ctx.Send(t.registry, &slotEnded{outcome: m.outcome})
	t.ask(ctx)
}

// idle: nothing to do, and nothing to remember.
func (t *tenant) idle() bool {
	return len(t.segments.children) == 0 && len(t.underway) == 0 && t.asked == 0 && t.pace.wait(time.Now()) == 0
}

func (t *tenant) muster() []SegmentView {
	views := make([]SegmentView, 0, len(t.segments.children))
	for name, c := range t.segments.children {
		views = append(views, SegmentView{
			Segment: name,
			Adds:    int(c.share.adds.Load()),
			Deletes: int(c.share.deletes.Load()),
			Stored:  int(c.share.stored.Load()),
		})
	}
	return views
}

func (t *tenant) drain(ctx actor.Context) {
	t.drainees = len(t.segments.children)
	for _, c := range t.segments.children {
		t.segments.tell(ctx, c, &drain{})
	}
	t.drainedIfNone(ctx)
}

func (t *tenant) drainedIfNone(ctx actor.Context) {
	if t.drainees == 0 {
		ctx.Send(t.registry, &tenantDrained{})
	}
}
