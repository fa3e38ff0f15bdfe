package batch

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
	repeat        time.Time // of the chunk in flight; zero: there was none yet
	before        time.Time // when the keys were due before the segment dozed; zero: it did not
}

// Follow keeps the dues in step with the batch: keys that came to an empty set are
// due one interval from now.
func (b *Batch) Follow(now time.Time, interval time.Duration) {
	d := &b.dues
	d.adds = follow(d.adds, b.adds.Len() > 0, now, interval)
	d.deletes = follow(d.deletes, b.deletes.Len() > 0, now, interval)
	d.stored = follow(d.stored, b.backlog.exists, now, interval)
}

func follow(due time.Time, keys bool, now time.Time, interval time.Duration) time.Time {
	switch {
	case !keys:
		return time.Time{}
	case due.IsZero():
		return now.Add(interval)
	}
	return due
}

// Hasten makes everything due at the given time at the latest; older due times stay.
func (b *Batch) Hasten(at time.Time) { b.dues.hasten(at) }

func (d *dues) hasten(at time.Time) {
	d.adds, d.deletes, d.stored = earlier(d.adds, at), earlier(d.deletes, at), earlier(d.stored, at)
}

// drawn hastens the keys of a page, see Batch.Drawn.
func (d *dues) drawn(first bool, now time.Time) {
	switch {
	case !first && d.before.After(now):
		d.hasten(d.before)
	case !first:
		d.hasten(now)
	case !d.before.IsZero():
		d.hasten(d.before)
	}
}

// Due is when the first held keys are due; zero: none is held.
func (b *Batch) Due() time.Time {
	if b.dues.deletes.IsZero() {
		return b.dues.adds
	}
	return earlier(b.dues.adds, b.dues.deletes)
}

// DeletesDue is when the held deletes are due; zero: there are none.
func (b *Batch) DeletesDue() time.Time { return b.dues.deletes }

// StoredDue is when keys that are in the journal alone are due; zero: there are none.
func (b *Batch) StoredDue() time.Time { return b.dues.stored }

// RepeatAt sets when the chunk in flight is to be repeated, or a hunt's next one sent.
func (b *Batch) RepeatAt(at time.Time) { b.dues.repeat = at }

// Repeat is when the chunk in flight is to be sent, for the first time or again.
func (b *Batch) Repeat() time.Time { return b.dues.repeat }

// nextDue is the verb to send now; 0: none is held. A whole call's worth of one goes
// before less of the other, so that a backlog goes out in full calls; but the
// other is not starved by a stream of full calls: it waits for patience at most.
func (b *Batch) nextDue(now time.Time, patience time.Duration) audience.Verb {
	d, adds, deletes := &b.dues, b.adds.Len(), b.deletes.Len()
	switch {
	case adds == 0, deletes == 0, min(adds, deletes) >= b.maxChunk:
		return b.NextVerb()
	case adds >= b.maxChunk && now.Sub(d.deletes) >= patience:
		return audience.Delete
	case deletes >= b.maxChunk && now.Sub(d.adds) >= patience:
		return audience.Add
	case adds >= b.maxChunk:
		return audience.Add
	case deletes >= b.maxChunk:
		return audience.Delete
	case d.adds.Equal(d.deletes):
		return b.NextVerb()
	case d.adds.Before(d.deletes):
		return audience.Add
	}
	return audience.Delete
}

// earlier is the earlier of two times of which the first may be zero, for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
