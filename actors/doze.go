package actors

import (
	"time"

	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// A tenant that cannot deliver, one of very many, is let go though it has keys: they
// are in the journal, and what else its actors knew fits into a small record. To
// doze is that way of resting. It goes down as doze does, from the registry over the
// tenant to its segments, and comes back as what rest is answered with; so nothing
// that is on its way to an actor is lost (see roster). Who cannot doze now does not
// answer, and is asked again.

// doze tells the tenant what is to be kept of the segment, and cancels its alarm:
// what the tenant decides not to let go, it sends a message that sets it again.
func (c *cell) doze(ctx actor.Context) {
	s := c.segment
	switch {
	case s == nil || s.idle():
		c.rest(ctx)
		return
	case !s.mayDoze():
		return
	}
	s.alarm.cancel()
	keep := s.remains(time.Now())
	c.phase, c.leaves = cellDozing, keep.repeat.Weight()
	ctx.Send(c.pid, &segmentIdle{segment: s.name, generation: c.generation, seen: c.seen, keep: keep})
}

// mayDoze: no answer is to come, and nobody waits for one.
func (s *segment) mayDoze() bool {
	st := &s.standing
	return (st.Gathering() || st.Waiting()) && st.AtRest() && !st.Stopping() &&
		!s.batch.Drawing() && !s.batch.Hunting() && len(s.owed) == 0
}

// remains is what the journal does not know of the segment.
func (s *segment) remains(now time.Time) *dormantSegment {
	d := &dormantSegment{name: localNameOf(s.name), due: s.wantsAt(now), probeAt: s.standing.ProbeAt(), missingSince: s.standing.MissingSince(),
		lastVerb: s.batch.LastVerb(), last: s.survivor.last, failing: s.survivor.failing, repeat: s.batch.Remains()}
	if phase := s.phase(now); phase.State == status.Paused || phase.State == status.Parked {
		d.says = &phase.Condition
	}
	adds, deletes := d.repeat.Counts()
	d.stored = s.batch.Pending() - adds - deletes
	return d
}

// wantsAt is when the segment wants to call; zero: not by itself.
func (s *segment) wantsAt(now time.Time) time.Time {
	switch {
	case s.standing.Paused():
		return s.standing.PausedUntil()
	case s.standing.Waiting():
		return s.readyAt
	case s.drawAt.After(now):
		return s.drawAt
	}
	return s.callAt(now)
}

// wake makes a new segment what the dormant one was. Its other keys are read from
// the journal; they are due when it was.
func (s *segment) wake(d *dormantSegment) {
	s.batch.Restore(d.lastVerb, d.repeat, d.due, time.Now())
	s.standing.Restore(d.missingSince, d.probeAt)
}

// inherit makes the survivor what it would be if the segment had never dozed: the
// counts in memory and pending already include it.
func (s *survivor) inherit(d *dormantSegment) {
	s.backlog, s.last, s.failing = true, d.last, d.failing
	adds, deletes := d.repeat.Counts()
	s.adds.Store(int64(adds))
	s.deletes.Store(int64(deletes))
	s.stored.Store(int64(d.stored))
	s.weight = d.repeat.Weight()
}

// forsake takes the keys off the count of those in memory that go with the segment. It
// must not look at what remains: that may be in the hands of the next cell already.
func (c *cell) forsake() {
	if c.phase == cellDozing {
		c.inMemory.Add(int64(c.leaves - c.survivor.weight))
	}
}
