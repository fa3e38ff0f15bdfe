package status

import (
	"fmt"
	"time"
)

// A segment that Split refuses stays parked whatever else holds: an operator pauses it or
// its tenant, Split refuses the token, a call with one key is under way. Its state is
// Parked all that time, so that it is counted and found as parked everywhere, and Also is
// what holds besides.

// Is reports whether that is the state, or one that holds besides. Whoever counts or looks
// for what is parked or paused asks this.
func (c Condition) Is(state State) bool { return c.State == state || c.Also == state }

// Besides adds what holds besides. What no Also can tell changes nothing.
func (c Condition) Besides(other Condition) Condition {
	switch {
	case c.State == Parked && (other.State == Paused || other.State == Held || other.State == TokenRefused || other.State == Calling):
		c.Until, c.By = other.Until, other.By // no key is tried meanwhile
	case c.State == Paused && other.State == TokenRefused, c.State == TokenRefused && other.State == Parked:
	default:
		return c
	}
	c.Also, c.AlsoSince = other.State, other.Since
	return c
}

// PauseOver is the condition without a pause that has ended by itself.
func (c Condition) PauseOver(now time.Time) Condition {
	switch {
	case !c.Is(Paused) || c.Until.IsZero() || c.Until.After(now):
		return c
	case c.State == Paused:
		return Condition{State: Idle}
	}
	c.Also, c.AlsoSince, c.Until, c.By = "", time.Time{}, time.Time{}, ""
	return c
}

// parkedSentence says that Split refuses a segment, and what holds besides.
func parkedSentence(c Condition, kept string, now time.Time) string {
	what := "refuses this segment"
	if c.OnlyAdds {
		what = "has no room in this segment"
	}
	refused := fmt.Sprintf("Split %s%s%s", what, since(c.Since, now), inBrackets(Answer(c.Reason, c.Status, c.Transaction)))
	switch c.Also {
	case Paused:
		return fmt.Sprintf("Paused%s%s%s, and parked: %s; %s kept.", by(c.By), since(c.AlsoSince, now), pauseEnd(c.Until, now), refused, kept)
	case Held:
		return fmt.Sprintf("%s, and the segment is parked: %s; %s kept.", deliveryOff, refused, kept)
	case TokenRefused:
		return fmt.Sprintf("Split refuses the token%s, and the segment is parked: %s; %s kept%s.", since(c.AlsoSince, now), refused, kept, then("the token is tried again", c.Until, now))
	case Calling:
		return fmt.Sprintf("%s: %s kept; a call is under way.", refused, kept)
	}
	return fmt.Sprintf("%s: %s kept%s.", refused, kept, then("one key is tried", c.Until, now))
}

// pausedSentence says that an operator keeps something from calling, and what holds besides.
func pausedSentence(c Condition, kept string, now time.Time) string {
	said := fmt.Sprintf("Paused%s%s%s: %s kept", by(c.By), since(c.Since, now), pauseEnd(c.Until, now), kept)
	if c.Also == TokenRefused {
		said += "; Split also refuses the token" + since(c.AlsoSince, now)
	}
	return said + "."
}

// parkedOf says that a segment of a tenant is parked, where the tenant has more to say.
func (t *Tenant) parkedOf(parked *Segment, now time.Time) string {
	return fmt.Sprintf(" Split refuses %s/%s%s%s: parked.", parked.Environment, parked.Segment, since(parked.Since, now),
		inBrackets(Answer(parked.Reason, parked.Status, ""))) + t.others(Parked)
}
