package pace

import (
	"maps"
	"math"
	"slices"
	"time"

	"audiences/audience"
	"audiences/splitclient"
)

// Calls is what one tenant knows of its calls: which segments wait for one, which
// have one under way, and when the next may begin. It, and not a segment, knows
// which calls are under way, so that a segment that crashed cannot have two (I4).
//
// A call takes three steps. A segment wants one; the tenant asks for a slot of the
// relay's, one at a time; when it is granted, the segment that has waited longest
// at that moment makes the call.
type Calls struct {
	limiter     Limiter
	off         bool      // no call is ever made
	paused      bool      // by an operator
	pausedUntil time.Time // zero: until Resume
	pausedSince time.Time // zero: not known
	pausedBy    string    // "": not known
	byAddress   bool      // the last limit that Split told was that of our address, not the organisation's
	refused     int       // 401s in a row; while there are any, one call at a time tries the token
	refusedAt   time.Time // the first of them
	waiting     Waitlist
	underway    map[audience.Segment]struct{}
	requeue     map[audience.Segment]time.Time // asked for another permit while its call is under way
	asked       bool                           // for a slot that is not granted yet
}

// Kept is what outlives the actor of a tenant that is let go with keys pending.
type Kept struct {
	Refused   int       // 401s in a row
	RefusedAt time.Time // the first of them
	Blocked   time.Time // no call before
}

// Waits says how long a tenant waits after what Split answers.
type Waits struct {
	Most   time.Duration // after a 429 whose own wait cannot be believed, at most
	Token  time.Duration // after the first 401 in a row, doubling with each
	Probe  time.Duration // after a 401, at most
	Random func() float64
}

// TokenNews is what the end of a call tells of the tenant's token.
type TokenNews uint8

// The news of a token.
const (
	NoNews       TokenNews = iota // also when it is refused once more, or works as before
	TokenRefused                  // for the first time in a row
	TokenWorks                    // after it was refused
)

// NewCalls makes the calls of a tenant with this ceiling, in calls per second; 0:
// no ceiling.
func NewCalls(rate float64, kept Kept) Calls {
	return Calls{limiter: Limiter{Rate: rate, blocked: kept.Blocked}, refused: kept.Refused, refusedAt: kept.RefusedAt}
}

// Keep is what NewCalls needs to go on where these calls are, of which none may be
// under way.
func (c *Calls) Keep() Kept {
	return Kept{Refused: c.refused, RefusedAt: c.refusedAt, Blocked: c.limiter.blocked}
}

// Limit sets the ceiling, in calls per second; 0: none.
func (c *Calls) Limit(now time.Time, rate float64) { c.limiter.Limit(now, rate, 0) }

// SwitchOff lets no call begin, whatever an operator does.
func (c *Calls) SwitchOff() { c.off = true }

// Pause lets no call begin until then; zero: until Resume. Since and by, the operator, are
// told by Gate; zero: not known.
func (c *Calls) Pause(until, since time.Time, by string) {
	c.paused, c.pausedUntil, c.pausedSince, c.pausedBy = true, until, since, by
}

// Resume ends a pause.
func (c *Calls) Resume() {
	c.paused, c.pausedUntil, c.pausedSince, c.pausedBy = false, time.Time{}, time.Time{}, ""
}

// Want queues a segment for a call; since is when its oldest key was due. One whose
// call is still under way crashed and came back: it waits for that call to end.
func (c *Calls) Want(segment audience.Segment, since time.Time) {
	if _, ok := c.underway[segment]; !ok {
		c.waiting.Push(segment, since)
		return
	}
	if c.requeue == nil {
		c.requeue = make(map[audience.Segment]time.Time)
	}
	c.requeue[segment] = since
}

// Withdraw takes back that a segment wants a call. One that may make it already stays so.
func (c *Calls) Withdraw(segment audience.Segment) {
	c.waiting.Remove(segment)
	delete(c.requeue, segment)
}

// Wanted reports whether a segment waits for a call, or a slot for one was asked for.
func (c *Calls) Wanted() bool { return c.asked || c.waiting.Len() > 0 }

// Wait is how long until this tenant may call; 0: now, MaxInt64: time alone does
// not help.
func (c *Calls) Wait(now time.Time) time.Duration {
	switch {
	case c.off, c.paused && c.pausedUntil.IsZero(), c.refused > 0 && len(c.underway) > 0:
		return math.MaxInt64
	case c.paused:
		return max(c.pausedUntil.Sub(now), c.limiter.Wait(now))
	}
	return c.limiter.Wait(now)
}

// Ask says whether the tenant has something to ask for, and how long it has to wait
// before it asks. With no wait it asks now, and has nothing more to ask for until
// the slot is granted: so what it may spend is spent when it calls, not when it
// queues.
func (c *Calls) Ask(now time.Time) (wait time.Duration, wants bool) {
	if c.asked || c.waiting.Len() == 0 {
		return 0, false
	}
	wait = c.Wait(now)
	c.asked = wait == 0
	return wait, true
}

// Begin uses the slot that was asked for: the segment makes a call now. ok is false
// when the slot may not be used any more, since nobody waits, or Split or an
// operator said to wait.
func (c *Calls) Begin(now time.Time) (segment audience.Segment, ok bool) {
	c.asked = false
	if c.waiting.Len() == 0 || c.Wait(now) > 0 {
		return segment, false
	}
	c.limiter.Begin(now)
	segment = c.waiting.Pop()
	if c.underway == nil {
		c.underway = make(map[audience.Segment]struct{})
	}
	c.underway[segment] = struct{}{}
	return segment, true
}

// End records how the call of a segment ended, and what that says of the
// organisation; the zero outcome: no call was made.
func (c *Calls) End(now time.Time, segment audience.Segment, o splitclient.Outcome, w *Waits) TokenNews {
	c.limiter.End()
	delete(c.underway, segment)
	if since, ok := c.requeue[segment]; ok {
		delete(c.requeue, segment)
		c.waiting.Push(segment, since)
	}
	switch {
	case o.Kind == splitclient.Throttled:
		c.byAddress = o.Reason == splitclient.ThrottledIP
		c.limiter.Throttled(now, o.Delay, o.Doubtful, w.Most, w.Random)
	case o.Reason == splitclient.Unauthorized:
		return c.tokenRefused(now, w)
	case o.Kind == splitclient.Delivered || o.Kind == splitclient.Permanent:
		c.limiter.Allowed(now, o.Limits.RemainingOrg, o.Limits.ResetOrg)
		return c.tokenWorks()
	}
	return NoNews
}

// tokenRefused lets one call at growing intervals try the token, and no other.
func (c *Calls) tokenRefused(now time.Time, w *Waits) TokenNews {
	if c.limiter.Blocked(now) {
		return NoNews // calls that were under way together count once
	}
	c.refused++
	c.limiter.block(now.Add(Backoff(c.refused, w.Token, w.Probe, w.Random)))
	if c.refused == 1 {
		c.refusedAt = now
		return TokenRefused
	}
	return NoNews
}

func (c *Calls) tokenWorks() TokenNews {
	if c.refused == 0 {
		return NoNews
	}
	c.refused = 0
	return TokenWorks
}

// Permitted are the segments that have a call under way, or leave to make one.
func (c *Calls) Permitted() []audience.Segment { return slices.Collect(maps.Keys(c.underway)) }

// Underway is the number of segments that have a call under way.
func (c *Calls) Underway() int { return len(c.underway) }

// Barred reports whether the configuration, an operator, Split's limit or a refused token
// keeps the tenant from calling now.
func (c *Calls) Barred(now time.Time) bool {
	paused := c.paused && (c.pausedUntil.IsZero() || c.pausedUntil.After(now))
	return c.off || paused || c.limiter.Blocked(now)
}

// Gate is what keeps all segments of the tenant from calling. Times are zero where they
// do not apply.
type Gate struct {
	Off          bool // no call is ever made
	Paused       bool
	PausedUntil  time.Time // zero: until Resume
	PausedSince  time.Time
	PausedBy     string
	Refused      bool // Split refuses the token
	RefusedSince time.Time
	Blocked      time.Time // no call before, by Split's word; in the past: now
	ByAddress    bool      // that was about our address, and not about the organisation
	Waiting      int       // segments that want a call
}

// Gate is that of now.
func (c *Calls) Gate(now time.Time) Gate {
	g := Gate{Off: c.off, Refused: c.refused > 0, Blocked: c.limiter.blocked, ByAddress: c.byAddress, Waiting: c.waiting.Len()}
	if g.Paused = c.paused && (c.pausedUntil.IsZero() || c.pausedUntil.After(now)); g.Paused {
		g.PausedUntil, g.PausedSince, g.PausedBy = c.pausedUntil, c.pausedSince, c.pausedBy
	}
	if g.Refused {
		g.RefusedSince = c.refusedAt
	}
	return g
}

// Idle reports whether there is nothing under way, and nothing to remember that the
// journal does not know.
func (c *Calls) Idle(now time.Time) bool {
	return len(c.underway) == 0 && !c.asked && c.refused == 0 && c.limiter.Wait(now) == 0
}
