package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// tenant owns everything done with one apiToken (I9): its segments, and the pace of
// its organisation's calls (pace.Calls). A segment that wants to call asks here; the
// tenant asks the registry for a slot in the shared egress and passes the leave on
// to the segment that has waited longest.
type tenant struct {
	hidden[tenant]
	*owner     // what its segments have in common with it
	registry   *actor.PID
	generation uint64
	seen       uint64 // messages from the registry

	phase    tenantPhase
	segments *roster[localName]
	dormant  []dormantSegment                    // those that have no actor, but keys
	resting  resting                             // those that have neither, but are to be kept in sight
	newest   journal.Version                     // that the journal gave, to this actor or before it
	moves    int                                 // under way: of all its keys to another tenant
	outcomes map[audience.Segment][]chan<- error // are told when the call of a segment that surrenders has ended
	draining tenantDrain
	leaving  bool // it ends when no call is under way: another node owns it

	calls   pace.Calls
	waiting waiting

	timer   *time.Timer // fires when the tenant may call again
	wakeup  *time.Timer // fires when the first of the dormant segments is due
	sweeper *time.Timer
}

// tenantPhase is what a tenant is about:
//
//	active --doze--> dozing --last segment gone--> dozed --let go--> (a record in the registry)
//	   ^                |                            |
//	   +----------------+--- anything to be done ----+
//
//	(any of these) --drain--> draining --end--> ending --last segment gone--> (stopped)
type tenantPhase uint8

const (
	tenantActive   tenantPhase = iota
	tenantDozing               // the segments were told to doze
	tenantDozed                // none has an actor; the registry was told what is to be kept of the tenant
	tenantDraining             // the segments were told to flush what they can
	tenantEnding               // told to stop: what still comes in until its segments have ended arms no timer
)

// newTenant makes a tenant that goes on from what is known of it.
func newTenant(s *settings, t audience.Tenant, registry *actor.PID, known dormantTenant) *tenant {
	calls := pace.NewCalls(s.tuning().MaxCallsPerSecondPerTenant, known.calls)
	if s.Deliver == nil {
		calls.SwitchOff()
	}
	return &tenant{
		owner: &owner{settings: s, id: t.ID, token: t.Token}, registry: registry,
		segments: newRoster[localName](actor.WithMailbox(actor.UnboundedLockfree())), dormant: known.segments,
		calls: calls,
	}
}

func (t *tenant) Receive(ctx actor.Context) {
	defer t.answerOnPanic(ctx.Message())
	if _, ok := ctx.Message().(fromParent); ok {
		t.seen++
	}
	t.receive(ctx)
	t.stayAwake(ctx)
}

func (t *tenant) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		t.pid, t.newest = ctx.Self(), t.Journal.Newest()
		t.sweeper = wake(ctx, nil, t.IdleTimeout, &sweep{})
	case *end:
		t.end(ctx)
	case *actor.Stopping:
		t.enterEnd()
	case *accept:
		t.accept(ctx, m)
	case *rested:
		t.rested(m)
	case *activate:
		t.activate(ctx, m)
	case *wantPermit:
		t.want(ctx, m)
	case *wantNoPermit:
		t.wantNot(m)
	case *slot:
		t.permit(ctx, m)
	case *callEnded:
		t.callEnded(ctx, m)
	case *tick:
		t.tick(ctx)
	case *operate:
		t.operate(ctx, m)
	case *seek:
		if c := t.segments.find(localNameOf(m.segment)); c != nil {
			t.segments.tell(ctx, c, m)
		} else {
			m.give(nil)
		}
	case *inspect:
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
	case *pauseEnds:
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
	case *surrender:
		t.surrender(ctx, m)
	case *doze:
		t.doze(ctx)
	case *regain:
		t.regain(ctx, m)
	case *leave:
		t.leave(ctx)
	case *sweep:
		if t.phase != tenantEnding {
			t.segments.sweep(ctx)
			t.sweeper = wake(ctx, t.sweeper, t.IdleTimeout, &sweep{})
		}
	case *tuned:
		t.calls.Limit(time.Now(), t.tuning().MaxCallsPerSecondPerTenant)
		t.ask(ctx)
	case *rest:
		t.rest(ctx)
	case *segmentIdle:
		t.segmentIdle(ctx, m)
	case *actor.Terminated:
		if t.segments.ended(ctx); t.phase == tenantEnding {
			endIfAlone(ctx)
		}
	case *listTenant:
		*m.listed = listedTenant{id: t.id, gate: t.gate(time.Now())}
		if !m.gates {
			m.listed.views = t.list(m.of)
		}
		m.give(nil)
	case *drain:
		t.drain(ctx, m)
	case *segmentDrained:
		t.draining.left--
		t.drainedIfDone()
	}
}

// accept hands changes to the journal, which answers the caller once they are durable
// (I1), and tells their segments in the same turn: so each segment hears of its changes
// in the order that the journal has them in.
func (t *tenant) accept(ctx actor.Context, m *accept) {
	children, changes := make([]*child, len(m.changes)), make([]journal.Change, len(m.changes))
	for i, c := range m.changes {
		child := t.segment(ctx, c.Segment)
		// A move that is under way takes the name away, and may come yet.
		children[i], changes[i] = child, journal.Change{Segment: c.Segment, Verb: c.Verb, Keys: c.Keys, Describe: !child.described || t.moves > 0}
	}
	t.newest = t.Journal.Append(journal.Append{Tenant: t.id, Changes: changes, Came: m.came, Hint: m.hint, Done: through(m.to)})
	m.handed()
	for i, c := range children {
		c.described = true
		t.segments.tell(ctx, c, &accepted{verb: changes[i].Verb, keys: changes[i].Keys, version: t.newest})
	}
}

// segment finds the segment's actor or starts it.
func (t *tenant) segment(ctx actor.Context, whole audience.Segment) *child {
	name := localNameOf(whole)
	if c := t.segments.find(name); c != nil {
		return c
	}
	return t.begin(ctx, name, false)
}

// activate passes on that the journal has keys of a segment, which an actor that
// is started for it knows from the outset: it need not look. Where it was an operator
// who brought the keys, the tenant may have let the segment go meanwhile, and had the
// journal forget its name: that is written again, unless it may be taken away yet.
func (t *tenant) activate(ctx actor.Context, m *activate) {
	name := localNameOf(m.segment)
	c := t.segments.find(name)
	if c == nil {
		c = t.begin(ctx, name, true)
	}
	if m.why == moved && t.moves == 0 {
		t.newest = t.Journal.Append(journal.Append{Tenant: t.id, Changes: []journal.Change{{Segment: m.segment, Describe: true}}})
	}
	c.described = true
	t.segments.tell(ctx, c, m)
}

// begin starts the actor of a segment; backlog: the journal has keys of it.
func (t *tenant) begin(ctx actor.Context, name localName, backlog bool) *child {
	t.metrics.segments.Inc()
	var shared *survivor
	described := false
	delete(t.resting, name)
	c := t.segments.adopt(ctx, name, func(generation uint64) actor.Actor {
		born := &cell{owner: t.owner, name: name, generation: generation}
		born.backlog, born.yielded = backlog, t.moves > 0
		born.accepted = t.newest
		if born.kept = t.takeDormant(name); born.kept != nil {
			born.survivor.inherit(born.kept)
			described = born.kept.described
		}
		shared = &born.survivor
		return born
	})
	c.survivor, c.described = shared, described
	return c
}

// rest tells the registry if the tenant has nothing to do and nothing to remember.
func (t *tenant) rest(ctx actor.Context) {
	if t.segments.len() == 0 && len(t.dormant) == 0 && t.moves == 0 && t.calls.Idle(time.Now()) {
		ctx.Send(t.registry, &tenantIdle{tenant: t.id, generation: t.generation, seen: t.seen, resting: t.resting})
	}
}

// segmentIdle lets a segment go that has nothing to do, or dozes.
func (t *tenant) segmentIdle(ctx actor.Context, m *segmentIdle) {
	name := localNameOf(m.segment)
	c := t.segments.find(name)
	if t.phase == tenantEnding || !t.segments.release(ctx, name, m.generation, m.seen) {
		return
	}
	t.metrics.segments.Dec()
	if m.forget {
		t.Journal.Forget(m.segment)
	}
	if m.keep != nil {
		t.dormant = append(t.dormant, *m.keep)
	} else {
		t.keep(ctx, name, c.survivor.said.Load())
	}
	if t.dozeOff(ctx); t.phase != tenantDozed && len(t.dormant) > 0 {
		// Should one of the others not doze soon, this one is not forgotten for it.
		t.wakeup = wake(ctx, t.wakeup, pace.DozeTime, &tick{})
	}
}

// want queues a segment for a permit.
func (t *tenant) want(ctx actor.Context, m *wantPermit) {
	if t.phase == tenantDozed {
		return // the segment is gone, and what it wants is kept
	}
	t.calls.Want(m.segment, m.since)
	t.ask(ctx)
}

// wantNot takes a segment that has nothing left to call for out of the queue.
func (t *tenant) wantNot(m *wantNoPermit) {
	if t.calls.Withdraw(m.segment); !t.calls.Wanted() {
		t.waiting.end(time.Now(), t.metrics.waited)
	}
}

// ask asks the registry for a slot, when the tenant may call and a segment waits.
func (t *tenant) ask(ctx actor.Context) {
	if t.phase == tenantEnding {
		return
	}
	now := time.Now()
	switch wait, wants := t.calls.Ask(now); {
	case !wants:
	case wait > 0:
		t.waiting.barred(t.calls.Gate(now), now, t.metrics.waited)
		t.timer = wake(ctx, t.timer, wait, &tick{})
	default:
		t.waiting.queued(now, t.metrics.waited)
		ctx.Send(t.registry, &wantSlot{tenant: t.id})
	}
}

// permit passes a slot on to the segment that has waited longest, or gives it back.
func (t *tenant) permit(ctx actor.Context, m *slot) {
	t.waiting.granted(time.Now(), m.limited, t.metrics.waited)
	if name, ok := t.calls.Begin(time.Now()); ok {
		t.segments.tell(ctx, t.segment(ctx, name), &permit{})
	} else {
		ctx.Send(t.registry, &slotEnded{tenant: t.id})
	}
	t.ask(ctx)
}

// callEnded takes a permit back, gives the slot back to the registry, and learns
// from the outcome what the organisation may do.
func (t *tenant) callEnded(ctx actor.Context, m *callEnded) {
	t.report(m.outcome, t.calls.End(time.Now(), m.segment, m.outcome, &t.waits))
	ctx.Send(t.registry, &slotEnded{tenant: t.id, outcome: m.outcome})
	t.tellOutcome(m.segment, nil)
	t.ask(ctx)
	t.drainedIfDone()
	if t.leaving && t.calls.Underway() == 0 {
		t.end(ctx)
	}
}

// report tells the log what the outcome of a call says of the tenant: that the limit of
// its organisation is used up, that Split begins to refuse the token, or takes it again.
// Meanwhile all keys stay, and go on by themselves.
func (t *tenant) report(o splitclient.Outcome, token pace.TokenNews) {
	all, gate := audience.Segment{Tenant: t.id}, t.calls.Gate(time.Now())
	switch {
	case token == pace.TokenRefused:
		t.tell(newsOf(tokenRefused, all, o, gate.Blocked))
	case token == pace.TokenWorks:
		t.tell(news{kind: tokenWorks, segment: all})
	case o.Reason == splitclient.ThrottledOrg, o.Reason == splitclient.ThrottledUnsaid:
		t.tell(newsOf(tenantLimited, all, o, gate.Blocked))
	}
}
