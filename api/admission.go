package api

import (
	"sync/atomic"

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

// large is a post that holds more bytes than this. All large posts together leave a
// quarter of maxBytes to the others, so that a few of them do not turn everybody
// away.
const large = 64 << 10

// hold makes the share n bytes, capped at the limit for a post of that size: a post that
// is larger than the limit passes when it is alone, because otherwise it could never be
// accepted. When others hold too much, hold fails and the share stays as it was.
func (t *ticket) hold(n int64) error {
	a := t.admission
	limit := a.maxBytes
	if n > large {
		limit = max(limit-limit/4, min(large, limit))
	}
	more := min(n, limit) - t.bytes
	if a.bytes.Add(more) > limit && more > 0 {
		a.bytes.Add(-more)
		return errHeavy
	}
	t.bytes += more
	return nil
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

// decodeFactor is what a body and all that is decoded from it take at most, in
// bytes for each byte of body (TestDecodeTakesLittleMemory).
const decodeFactor = 4

// recordBytes is what a key takes in the journal's batch until it is durable, beside
// its text: the record, as much again because batches grow by doubling, and its
// place in the order of a large batch.
const recordBytes = 80

// weight is what keys take in memory until they are durable, in bytes.
func weight(keys audience.Keys) int64 { return int64(3*keys.Bytes() + recordBytes*keys.Len()) }
