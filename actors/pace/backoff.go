package pace

import "time"

// Backoff is how long to wait before attempt n+1 of a call that failed n times:
// doubling from first to most, the upper half of it drawn by lot so that segments
// that failed together do not come back together. random is in [0,1).
func Backoff(n int, first, most time.Duration, random func() float64) time.Duration {
	d := most
	if shift := max(0, n-1); first <= most>>shift { // first<<shift may not fit into a Duration
		d = first << shift
	}
	return d/2 + time.Duration(random()*float64(d/2))
}

// jittered is a little more than the time that Split asked us to wait, and not the
// same for everybody.
func jittered(delay time.Duration, random func() float64) time.Duration {
	return delay + time.Duration(random()*float64(max(delay/10, 100*time.Millisecond)))
}
