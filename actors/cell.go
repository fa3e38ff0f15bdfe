package actors

import (
	"time"

	"audiences/actors/pace"
	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// cell is the actor of a segment. What the segment knows comes and goes in it, see
// cellPhase.
type cell struct {
	hidden[cell]
	*owner
	name       localName
	generation uint64
	survivor
	phase   cellPhase
	kept    *dormantSegment // of the one before, until this one is awake; nil: it did not doze
	segment *segment        // awake or dozing; else nil
	leaves  int             // what the keys weigh that dozing hands on
}

// cellPhase is how much of the segment is there:
//
//	born --any message--> awake --nothing to do, nothing to remember--> asleep --any message--> awake
//	                      awake --doze--> dozing --anything else from the tenant--> awake
//	(any of these) --panic--> crashed --any message--> awake, which waits for a backoff
//
// Rest and doze ask whether the cell may be let go, and wake nobody. It may if it is
// idle, asleep or dozing.
type cellPhase uint8

const (
	cellBorn    cellPhase = iota // what the segment is has to be read from the journal
	cellAwake                    // the segment is there
	cellDozing                   // so it is; it has said what is to be kept of it, and its alarm is cancelled
	cellAsleep                   // the journal has nothing of it but its name. All it costs is the cell: there may be a million
	cellCrashed                  // what it knew may be spoilt, and is to be read from the journal again
)

// owner is what all segments of a tenant have in common. It does not change.
type owner struct {
	*settings
	id    audience.TenantID
	token audience.Token
	pid   *actor.PID // of the tenant
}

func (c *cell) Receive(ctx actor.Context) {
	defer c.crashed(ctx)
	if _, ok := ctx.Message().(fromParent); ok {
		c.seen++
	}
	switch ctx.Message().(type) {
	case *actor.Stopping:
		if c.segment != nil {
			c.segment.fail(errDraining)
		}
		c.forsake()
		c.drop()
		return
	case *actor.Stopped:
		return
	case *rest:
		c.rest(ctx)
		return
	case *doze:
		c.doze(ctx)
		return
	case *tick:
		if c.phase == cellDozing {
			return // it was on its way when the alarm was cancelled
		}
	case fromParent:
		if c.phase == cellDozing {
			c.phase = cellAwake
		}
	}
	if c.segment == nil {
		c.segment = c.begin()
	}
	c.segment.receive(ctx)
	if c.segment.blank() {
		c.phase = cellAsleep
		c.drop()
	}
}

// begin makes the segment, as one of which nothing is in the journal if it was asleep,
// else to be read from there.
func (c *cell) begin() *segment {
	s := newSegment(c)
	s.release() // what the one before waited for does not come any more
	switch {
	case c.yielded:
		s.giveUp()
	case c.phase == cellAsleep:
		s.standing.Empty()
		s.batch.Forget()
	case c.phase == cellCrashed:
		// What made it crash may be among its keys: look again, but not at once, and
		// until then leave everything in the journal.
		s.batch.Unread(true)
		s.drawAt = time.Now().Add(pace.Backoff(int(c.failures), c.FirstBackoff, c.MaxBackoff, c.Random))
	case c.kept != nil:
		s.wake(c.kept)
	default:
		s.batch.Unread(c.backlog)
	}
	c.phase, c.kept = cellAwake, nil
	return s
}

func (c *cell) drop() {
	if c.segment != nil {
		c.segment.alarm.cancel()
		c.segment = nil
	}
}

// rest lets the tenant know if the segment has nothing to do and nothing to
// remember that the journal does not.
func (c *cell) rest(ctx actor.Context) {
	if s := c.segment; c.phase == cellAsleep || s != nil && s.idle() {
		ctx.Send(c.pid, &segmentIdle{
			segment: c.name.of(c.id), generation: c.generation, seen: c.seen,
			forget: c.phase == cellAsleep || s.standing.Stateless() && !s.standing.Yielded(), // what is in the journal then is not known
		})
	}
}

// crashed answers who waits for the message in hand when the segment panicked, or
// for one that it had received before, gives back a permit in hand, and drops what the
// segment knew: it begins again from the journal, with the next message. The tenant, as
// supervisor, lets the actor go on.
func (c *cell) crashed(ctx actor.Context) {
	reason := recover()
	if reason == nil {
		return
	}
	c.phase = cellCrashed
	c.failures++
	c.metrics.crashes.Inc()
	c.Logger.Error().Str("panic", panicText(reason)).Stringer("tenant", c.id).Str("segment", c.name.name).
		Msg("BUG: a segment's actor crashed; it starts again from the journal")
	refuse(ctx.Message(), ErrCrashed)
	if s := c.segment; s != nil {
		s.fail(ErrCrashed)
		_, permitted := ctx.Message().(*permit)
		if permitted && !s.standing.Calling() || s.standing.Fetching() {
			ctx.Send(c.pid, &callEnded{segment: s.name})
		}
		c.drop()
	}
	ctx.Send(ctx.Self(), &tick{}) // in case that no other message comes
	panic(reason)
}
