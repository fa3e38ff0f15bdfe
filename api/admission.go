package api

import (
	"sync/atomic"
	"unsafe"

	"audiences/audience"
)

// admission counts the posts under way and the bytes they hold. It stands before
// the actors, whose mailboxes are unbounded: what it lets through is all that can
// pile up there.
type admission struct {
	maxRequests, maxBytes int64
	requests, bytes       atomic.Int64
}

// ticket is one post's share of the counters.
type ticket struct {
	admission *admission // nil once given back
	bytes     int64
}

func (a *admission) admit() (ticket, error) {
	if a.requests.Add(1) > a.maxRequests {
		a.requests.Add(-1)
		return ticket{}, errCrowded
	}
	return ticket{admission: a}, nil
}

// reserve counts n more bytes, or fails and counts none.
func (t *ticket) reserve(n int64) error {
	if t.admission.bytes.Add(n) > t.admission.maxBytes {
		t.admission.bytes.Add(-n)
		return errHeavy
	}
	t.bytes += n
	return nil
}

// reserveAtLeast counts what is missing to n bytes, or to all there are: what is
// larger than the limit is let through when it is alone, as it could never be
// taken else.
func (t *ticket) reserveAtLeast(n int64) error {
	return t.reserve(max(0, min(n, t.admission.maxBytes)-t.bytes))
}

// release gives everything back; the second time it does nothing.
func (t *ticket) release() {
	if a := t.admission; a != nil {
		a.bytes.Add(-t.bytes)
		a.requests.Add(-1)
		*t = ticket{}
	}
}

// handOver leaves the share to the returned ticket.
func (t *ticket) handOver() ticket {
	other := *t
	*t = ticket{}
	return other
}

// keyBytes is what a key takes in memory, at least: a one-digit key and its comma
// are two bytes of a body.
const keyBytes = int64(unsafe.Sizeof(audience.Key{}))
