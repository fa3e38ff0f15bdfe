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
type limiter struct {
	rate       float64 // calls per second; 0: no ceiling
	concurrent int     // calls under way at once; 0: no ceiling

	underway int
	next     time.Time // not before: spacing by rate
	blocked  time.Time // not before: what Split asked for
}

// burst is how many calls may follow each other at once after a quiet time; it
// evens out the scheduling delays of a busy machine, no more.
const burst = 2

// wait is how long until a call may begin; 0: now. A limiter whose calls under
// way are at their ceiling waits for one to end, which is no time: forever.
func (l *limiter) wait(now time.Time) time.Duration {
	if l.concurrent > 0 && l.underway >= l.concurrent {
		return math.MaxInt64
	}
	wait := l.blocked.Sub(now)
	if l.rate > 0 {
		wait = max(wait, l.next.Add(-(burst-1)*l.spacing()).Sub(now))
	}
	return max(0, wait)
}

// begin counts a call that begins now.
func (l *limiter) begin(now time.Time) {
	l.underway++
	if l.rate > 0 {
		if l.next.Before(now) {
			l.next = now
		}
		l.next = l.next.Add(l.spacing())
	}
}

// end counts a call that is over.
func (l *limiter) end() { l.underway-- }

// block allows no call before the given time.
func (l *limiter) block(until time.Time) {
	if until.After(l.blocked) {
		l.blocked = until
	}
}

func (l *limiter) spacing() time.Duration {
	return time.Duration(float64(time.Second) / l.rate)
}

// waitlist holds the segments of a tenant that want a permit, each once, the
// one with the oldest unsent key first.
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
