package actors

import (
	"math"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
)

// tenant owns everything done with one apiToken (I9): its segments, and the
// pace of its organisation's calls. A segment that wants to call asks here; the
// tenant asks the registry for a slot in the shared egress and passes the leave
// on to the segment that has waited longest. It, not the segment, knows which
// calls are under way, so that a segment that crashed cannot have two (I4).
type tenant struct {
	hidden[tenant]
	*settings
	tenant     audience.Tenant
	registry   *actor.PID
	generation uint64
	seen       uint64 // messages from the registry

	owner    *owner // of the segments
	segments *roster[localName]
	absent   absent

	pace     limiter
	state    journal.TenantState // paused
	refused  int                 // 401s in a row; while there are any, one call at a time tries the token
	waiting  waitlist
	underway map[audience.Segment]struct{}
	again    map[audience.Segment]time.Time // asked for another permit while its call is under way
	failing  bool                           // the last call failed for now, as far as the log knows
	asked    bool                           // for a slot that is not granted yet
	timer    *time.Timer                    // wakes the tenant when it may call again
	ending   bool                           // told to stop: what still comes in until its segments have ended arms no timer
	sweeper  *time.Timer

	moves    int    // under way: of all its keys to another tenant
	drains   *drain // answered once every segment is drained; nil: none is
	drainees int    // segments that are not drained yet
}

func (t *tenant) Receive(ctx actor.Context) {
	defer t.answerOnPanic(ctx.Message())
	if _, ok := ctx.Message().(fromParent); ok {
		t.seen++
	}
	t.receive(ctx)
	t.stirred(ctx)
}

func (t *tenant) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		t.owner = &owner{settings: t.settings, id: t.tenant.ID, token: t.tenant.Token, pid: ctx.Self()}
		t.sweeper = wake(ctx, nil, t.IdleTimeout, &sweep{})
	case *end:
		t.end(ctx)
	case *actor.Stopping:
		t.ending = true
		stop(t.timer, t.sweeper, t.absent.alarm)
	case *accept:
		t.segments.tell(ctx, t.segment(ctx, m.change.Segment), m)
	case *activate:
		t.activate(ctx, m)
	case *wantPermit:
		t.want(ctx, m)
	case *slot:
		t.permit(ctx)
	case *callEnded:
		t.callEnded(ctx, m)
	case *tick:
		t.tick(ctx)
	case *operate:
		t.operate(ctx, m)
	case *inspect:
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
	case *surrender:
		t.surrender(ctx, m)
	case *doze:
		t.doze(ctx)
	case *regain:
		t.regain(ctx, m)
	case *sweep:
		if !t.ending {
			t.segments.sweep(ctx)
			t.sweeper = wake(ctx, t.sweeper, t.IdleTimeout, &sweep{})
		}
	case *rest:
		t.rest(ctx)
	case *segmentIdle:
		t.segmentIdle(ctx, m)
	case *actor.Terminated:
		if t.segments.ended(ctx); t.ending {
			endIfAlone(ctx)
		}
	case *muster:
		*m.views = t.muster()
		m.give(nil)
	case *drain:
		t.drain(ctx, m)
	case *segmentDrained:
		t.drainees--
		t.drainedIfDone()
	}
}

// rest tells the registry if the tenant has nothing to do and nothing to remember.
func (t *tenant) rest(ctx actor.Context) {
	if t.idle() {
		ctx.Send(t.registry, &tenantIdle{tenant: t.tenant.ID, generation: t.generation, seen: t.seen})
	}
}

// segmentIdle lets a segment go that has nothing to do, or dozes.
func (t *tenant) segmentIdle(ctx actor.Context, m *segmentIdle) {
	if t.ending || !t.segments.release(ctx, localNameOf(m.segment), m.generation, m.seen) {
		return
	}
	t.metrics.segments.Dec()
	if m.forget {
		t.Journal.Forget(m.segment)
	}
	if m.keep != nil {
		t.absent.segments = append(t.absent.segments, *m.keep)
	}
	if t.dozeOff(ctx); !t.dozed() && len(t.absent.segments) > 0 {
		// Should one of the others not doze soon, this one is not forgotten for it.
		t.absent.alarm = wake(ctx, t.absent.alarm, dozeTime, &tick{})
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
// is started for it knows from the outset: it need not look.
func (t *tenant) activate(ctx actor.Context, m *activate) {
	name := localNameOf(m.segment)
	c := t.segments.find(name)
	if c == nil {
		c = t.begin(ctx, name, true)
	}
	t.segments.tell(ctx, c, m)
}

func (t *tenant) begin(ctx actor.Context, name localName, backlog bool) *child {
	t.metrics.segments.Inc()
	var shared *share
	c := t.segments.adopt(ctx, name, func(generation uint64) actor.Actor {
		born := &cell{owner: t.owner, name: name, generation: generation}
		born.backlog, born.yielded = backlog, t.moves > 0
		if born.kept = t.absent.take(name); born.kept != nil {
			born.share.inherit(born.kept)
		}
		shared = &born.share
		return born
	})
	c.share = shared
	return c
}

// want queues a segment for a permit. One whose call is still under way crashed
// and came back: it waits for that call to end.
func (t *tenant) want(ctx actor.Context, m *wantPermit) {
	if t.dozed() {
		return // the segment is gone, and what it wants is kept
	}
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

// wait is how long until this tenant may call; 0: now.
func (t *tenant) wait(now time.Time) time.Duration {
	switch {
	case t.state.Paused && t.state.PausedUntil.IsZero(), t.refused > 0 && len(t.underway) > 0:
		return math.MaxInt64
	case t.state.Paused:
		return max(t.state.PausedUntil.Sub(now), t.pace.wait(now))
	}
	return t.pace.wait(now)
}

// ask asks the registry for one slot at a time: the next one when it is granted,
// so that what the tenant may spend is spent when it calls, not when it queues.
func (t *tenant) ask(ctx actor.Context) {
	if t.ending || t.asked || t.waiting.len() == 0 {
		return
	}
	if wait := t.wait(time.Now()); wait > 0 {
		t.timer = wake(ctx, t.timer, wait, &tick{})
		return
	}
	t.asked = true
	ctx.Send(t.registry, &wantSlot{tenant: t.tenant.ID})
}

// permit passes a slot on to the segment that has waited longest. A slot that
// may not be used any more, since Split or an operator said to wait, is given
// back.
func (t *tenant) permit(ctx actor.Context) {
	t.asked = false
	now := time.Now()
	if t.waiting.len() == 0 || t.wait(now) > 0 {
		ctx.Send(t.registry, &slotEnded{tenant: t.tenant.ID})
		t.ask(ctx)
		return
	}
	t.pace.begin(now)
	name := t.waiting.pop()
	if t.underway == nil {
		t.underway = make(map[audience.Segment]struct{})
	}
	t.underway[name] = struct{}{}
	t.segments.tell(ctx, t.segment(ctx, name), &permit{})
	t.ask(ctx)
}

// callEnded takes a permit back, gives the slot back to the registry, and learns
// from the outcome what the organisation may do.
func (t *tenant) callEnded(ctx actor.Context, m *callEnded) {
	now := time.Now()
	t.pace.end()
	delete(t.underway, m.segment)
	if since, ok := t.again[m.segment]; ok {
		delete(t.again, m.segment)
		t.waiting.push(m.segment, since)
	}
	t.noteTrouble(m.outcome)
	switch o := m.outcome; {
	case o.Kind == splitclient.Throttled:
		t.pace.throttled(now, now.Add(t.jittered(t.pace.grown(now, o.Delay, o.Doubtful, t.MaxBackoff))))
	case o.Reason == splitclient.Unauthorized:
		t.tokenRefused(now)
	case o.Kind == splitclient.Delivered || o.Kind == splitclient.Permanent:
		t.pace.allowed(now, o.Limits.RemainingOrg, o.Limits.ResetOrg)
		t.tokenWorks()
	}
	ctx.Send(t.registry, &slotEnded{tenant: t.tenant.ID, outcome: m.outcome})
	t.ask(ctx)
	t.drainedIfDone()
}

// noteTrouble tells the log when calls begin to fail for now, and when they go
// through again.
func (t *tenant) noteTrouble(o splitclient.Outcome) {
	switch failing := o.Kind == splitclient.Throttled || o.Kind == splitclient.Transient; {
	case failing && !t.failing && o.Reason != splitclient.Cancelled:
		t.failing = true
		t.notice(zerolog.WarnLevel).Stringer("tenant", t.tenant.ID).Str("reason", string(o.Reason)).Str("cause", o.Cause).
			Msg("calls to Split fail; keys are kept and calls repeated")
	case o.Kind == splitclient.Delivered && t.failing:
		t.failing = false
		t.notice(zerolog.InfoLevel).Stringer("tenant", t.tenant.ID).Msg("calls to Split go through again")
	}
}

// tokenRefused opens the tenant: nothing is sent but one call at growing
// intervals, which tries the token. All keys stay, and go on by themselves when
// it works.
func (t *tenant) tokenRefused(now time.Time) {
	if t.pace.blocked.After(now) {
		return // calls that were under way together count once
	}
	t.refused++
	if t.refused == 1 {
		t.notice(zerolog.WarnLevel).Stringer("tenant", t.tenant.ID).Msg("Split refuses the token of a tenant: its keys are kept, the token is tried now and then")
	}
	t.pace.block(now.Add(backoff(t.refused, t.TokenBackoff, t.ProbeInterval, t.Random)))
}

func (t *tenant) tokenWorks() {
	if t.refused > 0 {
		t.refused = 0
		t.notice(zerolog.InfoLevel).Stringer("tenant", t.tenant.ID).Msg("the token of a tenant works again")
	}
}

// operate does what an operator wants of the whole tenant, or passes it on.
func (t *tenant) operate(ctx actor.Context, m *operate) {
	if m.segment != (audience.Segment{}) {
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
		return
	}
	switch m.op {
	case Pause:
		t.state = journal.TenantState{Paused: true, PausedUntil: m.until}
		t.keepState(m)
	case Resume:
		t.state = journal.TenantState{}
		t.keepState(m)
	case Flush:
		t.wakeAll(ctx)
		for name, c := range t.segments.children {
			t.segments.tell(ctx, c, &operate{answer: answer{make(chan error, 1)}, segment: name.of(t.tenant.ID), op: Flush})
		}
		m.give(nil)
	default:
		m.give(errNotForTenants)
	}
	t.ask(ctx)
}

// keepState keeps the state that an operator wants; the journal answers.
func (t *tenant) keepState(m *operate) {
	t.Journal.SetTenantState(t.tenant.ID, t.state, through(m.to))
	m.handed()
}

// surrender has all segments give up their keys.
func (t *tenant) surrender(ctx actor.Context, m *surrender) {
	t.wakeAll(ctx)
	t.moves++
	done := make(chan error, len(t.segments.children))
	for _, c := range t.segments.children {
		t.segments.tell(ctx, c, &cede{answer: answer{done}})
	}
	*m.told = surrendering{segments: len(t.segments.children), done: done}
	m.give(nil)
}

// regain has the segments look at what the move left them.
func (t *tenant) regain(ctx actor.Context, m *regain) {
	if t.moves = max(0, t.moves-1); t.moves == 0 {
		for _, c := range t.segments.children {
			t.segments.tell(ctx, c, &regain{})
		}
	}
	m.give(nil)
}

// idle: nothing to do, and nothing to remember.
func (t *tenant) idle() bool {
	return len(t.segments.children) == 0 && len(t.absent.segments) == 0 && len(t.underway) == 0 && t.moves == 0 && !t.asked && t.refused == 0 && t.pace.wait(time.Now()) == 0
}

func (t *tenant) muster() []SegmentView {
	views := make([]SegmentView, 0, len(t.segments.children)+len(t.absent.segments))
	for _, d := range t.absent.segments {
		views = append(views, d.view(t.tenant.ID))
	}
	for name, c := range t.segments.children {
		views = append(views, c.share.view(name.of(t.tenant.ID)))
	}
	return views
}

func (t *tenant) drain(ctx actor.Context, m *drain) {
	t.wakeAll(ctx)
	t.drains, t.drainees = m, len(t.segments.children)
	for _, c := range t.segments.children {
		t.segments.tell(ctx, c, &drain{report: reportTo(ctx, &segmentDrained{})})
	}
	t.drainedIfDone()
}

// end has all segments end, behind what was sent to them before.
func (t *tenant) end(ctx actor.Context) {
	t.ending = true
	stop(t.timer, t.sweeper, t.absent.alarm)
	for _, c := range t.segments.children {
		ctx.Poison(c.pid)
	}
	endIfAlone(ctx)
}

// drainedIfDone ends the drain when nothing is left to send, or when nothing may
// be sent and no call is under way: the stop does not wait for what cannot go.
func (t *tenant) drainedIfDone() {
	if t.drains != nil && (t.drainees == 0 || len(t.underway) == 0 && t.barred(time.Now())) {
		t.drains.give()
		t.drains = nil
	}
}

// barred: an operator, Split's limit or a refused token keeps the tenant from
// calling now.
func (t *tenant) barred(now time.Time) bool {
	paused := t.state.Paused && (t.state.PausedUntil.IsZero() || t.state.PausedUntil.After(now))
	return paused || t.pace.blocked.After(now)
}
