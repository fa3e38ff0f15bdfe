package actors

import "audiences/splitclient"

// silence is how many calls in a row have failed for now, during a drain. A stop
// need not try a destination for every segment to know that it is dead: after the
// first failure one call at a time finds out whether anything gets an answer, and
// after some there is no more.
type silence struct{ calls int }

// mostSilent is after how many failures in a row nothing more is tried.
const mostSilent = 4

// hear takes an outcome in. Every answer that is about the call ends the silence.
func (s *silence) hear(o splitclient.Outcome) {
	switch {
	case o.Kind == 0 || o.Reason == splitclient.Cancelled:
	case o.Kind == splitclient.Transient:
		s.calls++
	default:
		s.calls = 0
	}
}

// most is how many of so many slots may be taken.
func (s silence) most(slots int) int {
	switch {
	case s.calls == 0:
		return slots
	case s.calls < min(mostSilent, slots):
		return 1
	}
	return 0
}
