package actors

import (
	"container/heap"
	"math"
	"time"

	"audiences/audience"
)

// limiter says when the next call may begin. A tenant has one for its
// organisation, the registry has one for our egress IP; both are pure: they are
// given the time. It holds calls to an even spacing rather than to a number per
// window: Split publishes no windows, and its back end suffers from bursts.
//
// The rate is a ceiling that the operator sets. Under it the limiter looks for
// what Split really allows: a 429 takes a part off the rate at once, and the rate
// comes back slowly, so that a limit just under the ceiling costs one 429 in
// minutes and not one in every window.
type limiter struct {
	rate       float64 // calls per second; 0: no ceiling
	concurrent int     // calls under way at once; 0: no ceiling

	underway int
	last     time.Time // when the last call began
	next     time.Time // not before: spacing by rate
	blocked  time.Time // not before: what Split asked for
	cut      time.Time // when the rate was last cut; zero: never
	share    float64   // of the rate, right after that cut
	doubts   int       // 429s in a row with a wait that cannot be believed

	// What the headers of the last answer allow until their window ends.
	windowEnds    time.Time
	windowSpacing time.Duration
}

const (
	// burst is how many calls may follow each other at once after a quiet time; it
	// evens out the scheduling delays of a busy machine, no more.
	burst = 2
	// A 429 leaves 4/5 of the rate; a tenth of the ceiling comes back in a minute.
	cutTo      = 0.8
	leastShare = 0.05
	regained   = 0.1 / 60 // of the ceiling, per second
	// A good answer says how much is left, not to wait. What it says is obeyed for
	// so long at most: if it is true, a 429 will say so again, and if one header is
	// odd, nobody stands still for it.
	longestHint = time.Minute
)

// wait is how long until a call may begin; 0: now. A limiter whose calls under
// way are at their ceiling waits for one to end, which is no time: forever.
func (l *limiter) wait(now time.Time) time.Duration {
	if l.concurrent > 0 && l.underway >= l.concurrent {
		return math.MaxInt64
	}
	// Subtracting from a next that is the zero time would overflow; adding does not.
	free := l.next.Add(-(burst - 1) * l.spacing(now))
	// Beyond its end, what the window allowed is allowed anew.
	spread := min(l.last.Add(l.windowSpacing).Sub(now), l.windowEnds.Sub(now))
	return max(0, l.blocked.Sub(now), free.Sub(now), spread)
}

// begin counts a call that begins now.
func (l *limiter) begin(now time.Time) {
	l.underway++
	l.last = now
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(l.spacing(now))
}

// end counts a call that is over.
func (l *limiter) end() { l.underway-- }

// block allows no call before the given time.
func (l *limiter) block(until time.Time) {
	if until.After(l.blocked) {
		l.blocked = until
	}
}

// throttled takes in that Split answered 429: no call before the given time, and
// a lower rate after it. Calls that were under way together are answered
// together; they count once.
func (l *limiter) throttled(now, until time.Time) {
	if !now.Before(l.blocked) {
		l.share = max(leastShare, cutTo*l.currentShare(now))
		l.cut = now
	}
	l.block(until)
}

// grown is how long to wait after a 429: what it asks for, or, where that cannot
// be believed, twice as long as the time before. It is asked before throttled, so
// that calls that were under way together count once.
func (l *limiter) grown(now time.Time, asked time.Duration, doubtful bool, most time.Duration) time.Duration {
	if !doubtful {
		l.doubts = 0
		return asked
	}
	if !now.Before(l.blocked) {
		l.doubts++
	}
	if shift := l.doubts - 1; shift > 0 {
		asked = max(asked, min(asked<<min(shift, 20), most))
	}
	return asked
}

// allowed takes in the headers of an answer: that many calls in the time until
// the window ends (negative: not said). They are spread over that time; the end
// itself is for the first call of the next window.
func (l *limiter) allowed(now time.Time, remaining float64, reset time.Duration) {
	l.doubts = 0
	ends := now.Add(min(reset, longestHint))
	switch {
	case remaining < 0 || reset <= 0:
		return
	case remaining < 1:
		l.block(ends)
	default:
		l.windowEnds, l.windowSpacing = ends, time.Duration(float64(reset)/(remaining+1))
	}
}

// currentShare is the part of the rate that is in use.
func (l *limiter) currentShare(now time.Time) float64 {
	if l.cut.IsZero() {
		return 1
	}
	return min(1, l.share+regained*now.Sub(l.cut).Seconds())
}

// spacing is the time from one call to the next at the rate in use.
func (l *limiter) spacing(now time.Time) (spacing time.Duration) {
	if l.rate > 0 {
		spacing = time.Duration(float64(time.Second) / (l.rate * l.currentShare(now)))
	}
	return spacing
}

// waitlist holds the segments of a tenant that want a permit, each once, the
// one with the oldest unsent key first. When it runs dry it also lets go of the
// room that it once needed.
type waitlist struct {
	order  waitOrder
	listed map[audience.Segment]bool
}

type waiter struct {
	segment audience.Segment
	since   time.Time
}

func (w *waitlist) push(segment audience.Segment, since time.Time) {
	if w.listed[segment] {
		return
	}
	if w.listed == nil {
		w.listed = make(map[audience.Segment]bool)
	}
	w.listed[segment] = true
	heap.Push(&w.order, waiter{segment, since})
}

// pop takes the segment that has waited longest off the list; the list must not
// be empty.
func (w *waitlist) pop() audience.Segment {
	first := heap.Pop(&w.order).(waiter)
	delete(w.listed, first.segment)
	if len(w.order) == 0 {
		*w = waitlist{}
	}
	return first.segment
}

func (w *waitlist) len() int { return len(w.order) }

type waitOrder []waiter

func (o waitOrder) Len() int           { return len(o) }
func (o waitOrder) Less(i, j int) bool { return o[i].since.Before(o[j].since) }
func (o waitOrder) Swap(i, j int)      { o[i], o[j] = o[j], o[i] }
func (o *waitOrder) Push(x any)        { *o = append(*o, x.(waiter)) }
func (o *waitOrder) Pop() any {
	last := len(*o) - 1
	x := (*o)[last]
	(*o)[last] = waiter{}
	*o = (*o)[:last]
	return x
}

// backoff is how long to wait before attempt n+1 of a call that failed n times:
// doubling from first to most, the upper half of it drawn by lot so that
// segments that failed together do not come back together.
func backoff(n int, first, most time.Duration, random func() float64) time.Duration {
	d := most
	if shift := n - 1; shift < 30 && first<<shift < most {
		d = first << max(0, shift)
	}
	return d/2 + time.Duration(random()*float64(d/2))
}
