package actors

import (
	"time"

	"audiences/audience"
)

// dues is when the held keys of each verb are to be sent. Each verb has its own
// interval, which begins with the first key after a cut: with one for both, keys
// that arrive during the call for one verb would find the other one overdue, ride
// along at once, and under steady traffic every call would carry next to nothing.
type dues struct {
	adds, deletes time.Time // zero: none is held
	stored        time.Time // of the keys that are in the journal alone; zero: there are none
}

// follow keeps the dues in step with the batch.
func (d *dues) follow(b *batch, now time.Time, interval time.Duration) {
	d.adds = follow(d.adds, b.adds.Len() > 0, now, interval)
	d.deletes = follow(d.deletes, b.deletes.Len() > 0, now, interval)
	d.stored = follow(d.stored, b.backlog.exists, now, interval)
}

func follow(due time.Time, any bool, now time.Time, interval time.Duration) time.Time {
	switch {
	case !any:
		return time.Time{}
	case due.IsZero():
		return now.Add(interval)
	}
	return due
}

// hasten makes everything due now, unless it has been for a while.
func (d *dues) hasten(now time.Time) {
	d.adds, d.deletes, d.stored = earlier(d.adds, now), earlier(d.deletes, now), earlier(d.stored, now)
}

// first is when the first keys are due; zero: none is held.
func (d *dues) first() time.Time {
	if d.deletes.IsZero() {
		return d.adds
	}
	return earlier(d.adds, d.deletes)
}

// next is the verb to send now; 0: none is held. A whole call's worth of one goes
// before less of the other, so that a backlog goes out in full calls; but the
// other is not starved by a stream of full calls: it waits for patience at most.
func (d *dues) next(b *batch, now time.Time, patience time.Duration) audience.Verb {
	adds, deletes := b.adds.Len(), b.deletes.Len()
	switch {
	case adds == 0, deletes == 0, min(adds, deletes) >= b.maxChunk:
		return b.nextVerb()
	case adds >= b.maxChunk && now.Sub(d.deletes) >= patience:
		return audience.Delete
	case deletes >= b.maxChunk && now.Sub(d.adds) >= patience:
		return audience.Add
	case adds >= b.maxChunk:
		return audience.Add
	case deletes >= b.maxChunk:
		return audience.Delete
	case d.adds.Equal(d.deletes):
		return b.nextVerb()
	case d.adds.Before(d.deletes):
		return audience.Add
	}
	return audience.Delete
}
