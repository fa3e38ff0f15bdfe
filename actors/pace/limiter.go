package pace

import (
	"math"
	"time"
)

// Limiter says when the next call may begin. A tenant has one for its organisation,
// the registry has one for our egress IP. It holds calls to an even spacing rather
// than to a number per window: Split publishes no windows, and its back end suffers
// from bursts.
//
// The rate is a ceiling that the operator sets. Under it the limiter looks for
// what Split really allows: a 429 takes a part off the rate at once, and the rate
// comes back slowly, so that a limit just under the ceiling costs one 429 in
// minutes and not one in every window.
type Limiter struct {
	Rate       float64 // calls per second; 0: no ceiling
	Concurrent int     // calls under way at once; 0: no ceiling

	share      float64 // of the rate and of what Split allows; 0: all
	underway   int
	last       time.Time // when the last call began
	next       time.Time // not before: spacing by rate
	blocked    time.Time // not before: what Split asked for
	cut        time.Time // when the rate was last cut; zero: never
	rateFactor float64   // of the rate, right after that cut
	doubts     int       // 429s in a row with a wait that cannot be believed

	// What the headers of the last answer allow until their window ends.
	windowEnds    time.Time
	windowSpacing time.Duration
}

const (
	// burst is how many calls may follow each other at once after a quiet time; it
	// evens out the scheduling delays of a busy machine, no more.
	burst = 2
	// A 429 leaves 4/5 of the rate; a tenth of the ceiling comes back in a minute.
	cutTo       = 0.8
	leastFactor = 0.05
	regained    = 0.1 / 60 // of the ceiling, per second
	// A good answer says how much is left, not to wait. What it says is obeyed for
	// so long at most: if it is true, a 429 will say so again, and if one header is
	// odd, nobody stands still for it.
	longestHint = time.Minute
)

// Wait is how long until a call may begin; 0: now. While as many calls are under
// way as may be it is MaxInt64: no time helps, only the end of a call.
func (l *Limiter) Wait(now time.Time) time.Duration {
	if l.Concurrent > 0 && l.underway >= l.Concurrent {
		return math.MaxInt64
	}
	// Subtracting from a next that is the zero time would overflow; adding does not.
	free := l.next.Add(-(burst - 1) * l.spacing(now))
	// Beyond its end, what the window allowed is allowed anew.
	spread := min(l.last.Add(l.windowSpacing).Sub(now), l.windowEnds.Sub(now))
	return max(0, l.blocked.Sub(now), free.Sub(now), spread)
}

// Blocked reports whether Split's word keeps calls from beginning now, whatever the
// rate.
func (l *Limiter) Blocked(now time.Time) bool { return l.blocked.After(now) }

// BlockedUntil is when Split's word no longer keeps calls from beginning; in the past:
// now.
func (l *Limiter) BlockedUntil() time.Time { return l.blocked }

// Underway is the number of calls that have begun and not ended.
func (l *Limiter) Underway() int { return l.underway }

// Begin counts a call that begins now.
func (l *Limiter) Begin(now time.Time) {
	l.underway++
	l.last = now
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(l.spacing(now))
}

// End counts a call that is over.
func (l *Limiter) End() { l.underway-- }

// block allows no call before the given time.
func (l *Limiter) block(until time.Time) {
	if until.After(l.blocked) {
		l.blocked = until
	}
}

// Throttled records that Split answered 429 and asked for a wait. No call may begin
// for that time and a little more, and the rate is lower afterwards. A doubtful wait
// is one that cannot be believed; it doubles from one 429 to the next, up to most.
func (l *Limiter) Throttled(now time.Time, asked time.Duration, doubtful bool, most time.Duration, random func() float64) {
	l.throttled(now, now.Add(jittered(l.grown(now, asked, doubtful, most), random)))
}

// throttled lowers the rate and allows no call before the given time. Calls that
// were under way together are answered together; they count once.
func (l *Limiter) throttled(now, until time.Time) {
	if !l.Blocked(now) {
		l.rateFactor = max(leastFactor, cutTo*l.currentFactor(now))
		l.cut = now
	}
	l.block(until)
}

// grown is how long to wait after a 429: what it asks for, or, where that cannot
// be believed, twice as long as the time before. It is asked before throttled, so
// that calls that were under way together count once.
func (l *Limiter) grown(now time.Time, asked time.Duration, doubtful bool, most time.Duration) time.Duration {
	if !doubtful {
		l.doubts = 0
		return asked
	}
	if !l.Blocked(now) {
		l.doubts++
	}
	if shift := l.doubts - 1; shift > 0 {
		asked = max(asked, min(asked<<min(shift, 20), most))
	}
	return asked
}

// Allowed records the headers of an answer: that many calls in the time until
// the window ends (negative: not said). They are spread over that time; the end
// itself is for the first call of the next window.
func (l *Limiter) Allowed(now time.Time, remaining float64, reset time.Duration) {
	l.doubts = 0
	ends := now.Add(min(reset, longestHint))
	switch {
	case remaining < 0 || reset <= 0:
		return
	case remaining < 1:
		l.block(ends)
	default:
		l.windowEnds, l.windowSpacing = ends, time.Duration(float64(reset)/(l.shared(remaining)+1))
	}
}

// Share says what part of the rate, and of what Split's answers allow, is this limiter's from
// now on: the rest belongs to others that share the limit.
func (l *Limiter) Share(now time.Time, part float64) {
	before := l.shared(1)
	l.share = part
	slower := before / l.shared(1)
	if ahead := l.next.Sub(now); ahead > 0 {
		l.next = now.Add(time.Duration(slower * float64(ahead)))
	}
	l.windowSpacing = time.Duration(slower * float64(l.windowSpacing))
}

// Limit sets Rate and Concurrent. What is to be waited follows the rate.
func (l *Limiter) Limit(now time.Time, rate float64, concurrent int) {
	before := l.spacing(now)
	l.Rate, l.Concurrent = rate, concurrent
	if ahead := l.next.Sub(now); ahead > 0 && before > 0 {
		l.next = now.Add(time.Duration(float64(l.spacing(now)) / float64(before) * float64(ahead)))
	}
}

// Bar allows no call before the given time, which another limiter has learned of.
func (l *Limiter) Bar(until time.Time) { l.block(until) }

// shared is a number of calls in this limiter's part.
func (l *Limiter) shared(calls float64) float64 {
	if l.share > 0 {
		return calls * l.share
	}
	return calls
}

// currentFactor is the part of the rate that is in use.
func (l *Limiter) currentFactor(now time.Time) float64 {
	if l.cut.IsZero() {
		return 1
	}
	return min(1, l.rateFactor+regained*now.Sub(l.cut).Seconds())
}

// spacing is the time from one call to the next at the rate in use.
func (l *Limiter) spacing(now time.Time) (spacing time.Duration) {
	if l.Rate > 0 {
		spacing = time.Duration(float64(time.Second) / (l.shared(l.Rate) * l.currentFactor(now)))
	}
	return spacing
}
