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

// absent is the segments of a tenant that has an actor which have none.
type absent struct {
	hidden[absent]
	segments []dormantSegment
	alarm    *time.Timer // fires when the first of them is due
	dozing   bool        // the tenant was told to doze, and nothing came since
}

// take removes a segment and returns it; nil: it is not absent.
func (a *absent) take(name localName) *dormantSegment {
	i := slices.IndexFunc(a.segments, func(d dormantSegment) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	d := a.segments[i]
	a.segments = slices.Delete(slices.Clone(a.segments), i, i+1) // others may be reading it
	return &d
}

// due lists the segments that want to call by now, and says when the next one
// will; zero: none will.
func (a *absent) due(now time.Time) (names []localName, next time.Time) {
	for _, d := range a.segments {
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

// doze asks the segments to doze, if the tenant could. While its keys are on their way
// to another tenant, a change that comes has to find who knows that.
func (t *tenant) doze(ctx actor.Context) {
	if t.ending || t.moves > 0 || t.drains != nil || len(t.underway) > 0 || len(t.segments.children)+len(t.absent.segments) > mostDormant {
		return
	}
	t.absent.dozing = true
	for _, c := range t.segments.children {
		t.segments.tell(ctx, c, &doze{})
	}
	t.dozeOff(ctx)
}

// dozeOff tells the registry when the last segment is gone.
func (t *tenant) dozeOff(ctx actor.Context) {
	if !t.absent.dozing || len(t.segments.children) > 0 || len(t.underway) > 0 {
		return
	}
	if len(t.absent.segments) == 0 {
		t.rest(ctx)
		return
	}
	stop(t.timer, t.absent.alarm)
	ctx.Send(t.registry, &tenantIdle{tenant: t.tenant.ID, generation: t.generation, seen: t.seen, keep: t.remains(time.Now())})
}

// remains is what the tenant's actor knows.
func (t *tenant) remains(now time.Time) *dormant {
	d := &dormant{tenant: t.tenant, segments: t.absent.segments, refused: t.refused, blocked: t.pace.blocked, failing: t.failing}
	names, next := t.absent.due(now)
	if len(names) > 0 {
		next = now
	}
	wait := t.wait(now)
	if wait < math.MaxInt64 && !next.IsZero() {
		d.due = next
		if until := now.Add(wait); until.After(next) {
			d.due = until
		}
	}
	return d
}

// dozed: the registry was told what is to be kept of the tenant, which it will let
// go unless it has sent something since.
func (t *tenant) dozed() bool {
	return t.absent.dozing && len(t.segments.children) == 0 && len(t.absent.segments) > 0
}

// stirred goes on as before when something came from the registry while the tenant
// dozed.
func (t *tenant) stirred(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *doze:
	case *rest, *muster:
		t.dozeOff(ctx) // what it said before did not count these
	case fromParent, *actor.Started:
		t.absent.dozing = false
		t.tick(ctx)
	}
}

// tick looks what is due.
func (t *tenant) tick(ctx actor.Context) {
	if !t.dozed() {
		t.stir(ctx)
		t.ask(ctx)
	}
}

// stir wakes the absent segments that are due, and sets the alarm for the next.
func (t *tenant) stir(ctx actor.Context) {
	if t.ending || len(t.absent.segments) == 0 {
		return
	}
	now := time.Now()
	names, next := t.absent.due(now)
	for _, name := range names {
		t.begin(ctx, name, true)
	}
	stop(t.absent.alarm)
	if !next.IsZero() {
		t.absent.alarm = wake(ctx, t.absent.alarm, next.Sub(now), &tick{})
	}
}

// wakeAll wakes all absent segments, for what concerns each of them.
func (t *tenant) wakeAll(ctx actor.Context) {
	for len(t.absent.segments) > 0 {
		t.begin(ctx, t.absent.segments[0].name, true)
	}
}
