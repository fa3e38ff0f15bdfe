package actors

import (
	"math"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// mostDormant is how many segments a tenant may have that dozes. All that are due
// are woken together, which must not become work for somebody who posts to them.
const mostDormant = 64

// doze asks the segments to doze, if the tenant could. While its keys are on their way
// to another tenant, a change that comes has to find who knows that.
func (t *tenant) doze(ctx actor.Context) {
	if t.phase == tenantDraining || t.phase == tenantEnding || t.moves > 0 || t.calls.Underway() > 0 || t.segments.len()+len(t.dormant) > mostDormant {
		return
	}
	t.phase = tenantDozing
	for _, c := range t.segments.children.All() {
		t.segments.tell(ctx, c, &doze{})
	}
	t.dozeOff(ctx)
}

// dozeOff tells the registry when the last segment is gone. No call is under way
// then: a slot for one would have woken the tenant.
func (t *tenant) dozeOff(ctx actor.Context) {
	switch {
	case !t.dozes(), t.segments.len() > 0:
	case len(t.dormant) == 0:
		t.rest(ctx)
	default:
		t.phase = tenantDozed
		stop(t.timer, t.wakeup)
		ctx.Send(t.registry, &tenantIdle{tenant: t.id, generation: t.generation, seen: t.seen, keep: t.remains(time.Now()), resting: t.resting})
	}
}

func (t *tenant) dozes() bool { return t.phase == tenantDozing || t.phase == tenantDozed }

// remains is what the tenant's actor knows.
func (t *tenant) remains(now time.Time) *dormant {
	d := &dormant{ID: t.id, What: dormantTenant{token: t.token, segments: t.dormant, calls: t.calls.Keep()}}
	names, next := t.dueDormant(now)
	if len(names) > 0 {
		next = now
	}
	if wait := t.calls.Wait(now); wait < math.MaxInt64 && !next.IsZero() {
		d.Due = later(next, now.Add(wait))
	}
	return d
}

// stayAwake goes on as before when something came from the registry while the
// tenant dozed, which will not let it go then.
func (t *tenant) stayAwake(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *doze:
	case *rest, *listTenant, *tuned:
		t.dozeOff(ctx) // what it said before did not count these
	case fromParent, *actor.Started:
		if t.dozes() {
			t.phase = tenantActive
		}
		t.tick(ctx)
	}
}

// tick looks what is due.
func (t *tenant) tick(ctx actor.Context) {
	if t.phase != tenantDozed {
		t.wakeDue(ctx)
		t.ask(ctx)
	}
}

// wakeDue wakes the dormant segments that are due, and sets the timer for the next.
func (t *tenant) wakeDue(ctx actor.Context) {
	if t.phase == tenantEnding || len(t.dormant) == 0 {
		return
	}
	now := time.Now()
	names, next := t.dueDormant(now)
	for _, name := range names {
		t.begin(ctx, name, true)
	}
	stop(t.wakeup)
	if !next.IsZero() {
		t.wakeup = wake(ctx, t.wakeup, next.Sub(now), &tick{})
	}
}

// wakeAll wakes all dormant segments, for what concerns each of them.
func (t *tenant) wakeAll(ctx actor.Context) {
	for len(t.dormant) > 0 {
		t.begin(ctx, t.dormant[0].name, true)
	}
}

// takeDormant takes a segment off the dormant ones; nil: it is not among them.
func (t *tenant) takeDormant(name localName) *dormantSegment {
	i := slices.IndexFunc(t.dormant, func(d dormantSegment) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	d := t.dormant[i]
	t.dormant = slices.Delete(slices.Clone(t.dormant), i, i+1) // others may be reading it
	return &d
}

// dueDormant lists the dormant segments that want to call by now, and says when the
// next one will; zero: none will.
func (t *tenant) dueDormant(now time.Time) (names []localName, next time.Time) {
	for _, d := range t.dormant {
		switch {
		case d.due.IsZero():
		case d.due.After(now):
			next = earlier(next, d.due)
		default:
			names = append(names, d.name)
		}
	}
	return names, next
}
