package batch

import (
	"time"

	"audiences/audience"
)

// Remains is what the journal does not know of a batch whose chunk has no outcome
// yet: that very call is repeated before anything newer for its keys (I4). The
// journal has only the newer changes of these keys, so they are kept with it.
//
// The batch that is made of it takes the sets over and changes them. Others may read
// Counts at the same time, hence the numbers beside the sets. A nil Remains is that
// of a batch with nothing in flight.
type Remains struct {
	audience.Hidden[Remains]
	flight          *Chunk
	adds, deletes   audience.KeySet // the newer changes of its keys
	toAdd, toDelete int             // of both, when it was made
	versions        versions        // of all of them
	ages            ages            // the same
}

// Remains is what must be kept of the batch when all else is left in the journal; nil:
// nothing.
func (b *Batch) Remains() *Remains {
	if b.flight == nil {
		return nil
	}
	r := &Remains{flight: b.flight, versions: b.versions, ages: b.ages}
	for key := range b.flight.Keys.All() {
		if b.adds.Has(key) {
			r.adds.Add(key)
		} else if b.deletes.Has(key) {
			r.deletes.Add(key)
		}
	}
	r.toAdd, r.toDelete = r.adds.Len(), r.deletes.Len()
	if b.flight.Verb == audience.Delete {
		r.toDelete += b.flight.len()
	} else {
		r.toAdd += b.flight.len()
	}
	return r
}

// Restore makes a new batch what an earlier one was whose last call was of the verb,
// and which wanted to call at due; zero: it did not. All keys but the remains are
// drawn from the journal, and are due when they were.
func (b *Batch) Restore(last audience.Verb, r *Remains, due, now time.Time) {
	b.backlog = backlog{exists: true}
	b.last = last
	b.dues.before, b.dues.repeat = due, due
	if r == nil {
		return
	}
	if due.IsZero() {
		b.dues.repeat = now
	}
	b.flight, b.adds, b.deletes, b.ages = r.flight, r.adds, r.deletes, r.ages
	b.versions.shown, b.versions.exact = r.versions.shown, r.versions.exact
}

// LastVerb is the verb of the last chunk that was cut; 0: there was none.
func (b *Batch) LastVerb() audience.Verb { return b.last }

// Counts is how many keys are to be added and to be deleted.
func (r *Remains) Counts() (adds, deletes int) {
	if r == nil {
		return 0, 0
	}
	return r.toAdd, r.toDelete
}

// Weight is Batch.Weight of what is kept.
func (r *Remains) Weight() int {
	if r == nil {
		return 0
	}
	return r.adds.Weight() + r.deletes.Weight() + r.flight.Keys.Weight()
}
