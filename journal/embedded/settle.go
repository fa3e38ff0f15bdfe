package embedded

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// Settle stages the removal of what is pending as selected, and its receipt.
func (j *Journal) Settle(s journal.Settle) {
	remove := j.removing(s.Segment, s.Selection)
	receipt := j.receiptOf(s, remove)
	j.submit(operation{
		tenants: tenantOnly(s.Segment.Tenant),
		size:    receipt.size(),
		done:    remove.done(s.Done),
		sees:    remove.looks,
		stage: func(b *pebble.Batch) {
			remove.stage(b)
			j.receipts.stage(b, receipt)
		},
	})
}

// Park stages the same, and the parked records.
func (j *Journal) Park(p journal.Park) {
	p.Refusal.At = p.Refusal.At.UTC()
	record, remove := encodeJSON(parkedRecord{Verb: p.Verb, Refusal: p.Refusal}), j.removing(p.Segment, p.Selection)
	j.submit(operation{
		tenants: tenantOnly(p.Segment.Tenant),
		durable: true,
		done:    remove.done(p.Done),
		sees:    func() bool { return remove.looks() || j.parked.mayHave(remove.id) },
		stage: func(b *pebble.Batch) {
			known := j.parked.mayHave(remove.id)
			j.parked.add(remove.id)
			remove.stage(b)
			parked := head(prefixParked, remove.id)
			for key := range remove.sound() {
				parked = journal.AppendKey(parked[:headLength], key)
				j.tally.park(b, j.db, known, parked, record)
			}
		},
	})
}

// SetSegmentState keeps the state of a segment; done gets nil once it is durable.
func (j *Journal) SetSegmentState(segment audience.Segment, state journal.SegmentState, done func(error)) {
	state.PausedUntil, state.PausedSince = utc(state.PausedUntil), utc(state.PausedSince)
	if state.Parked != nil {
		refusal := *state.Parked
		refusal.At = refusal.At.UTC()
		state.Parked = &refusal
	}
	key := head(prefixSegmentState, idOf(segment))
	j.setState(segment.Tenant, key, state, state == journal.SegmentState{}, done, func() {
		replaced(j.tally, j.db, key, j.tally.changes.segment)
		j.tally.changes.segment(state, +1)
	})
}

// SetTenantState keeps the state of a tenant; done gets nil once it is durable.
func (j *Journal) SetTenantState(id audience.TenantID, state journal.TenantState, done func(error)) {
	state.PausedUntil, state.PausedSince = utc(state.PausedUntil), utc(state.PausedSince)
	key := head(prefixTenantState, id)
	j.setState(id, key, state, state == journal.TenantState{}, done, func() {
		replaced(j.tally, j.db, key, j.tally.changes.tenant)
		j.tally.changes.tenant(state, +1)
	})
}

func (j *Journal) setState(tenant audience.TenantID, key []byte, state any, zero bool, done func(error), count func()) {
	record := encodeJSON(state)
	j.submit(operation{
		tenants: tenantOnly(tenant),
		durable: true,
		done:    orIgnore(done),
		sees:    func() bool { return true },
		stage: func(b *pebble.Batch) {
			count()
			if zero {
				del(b, key)
			} else {
				set(b, key, record)
			}
		},
	})
}

// Forget looks first. It becomes durable with the next durable write.
func (j *Journal) Forget(segment audience.Segment) {
	id := idOf(segment)
	j.submit(operation{
		tenants: tenantOnly(segment.Tenant),
		done:    ignore,
		sees:    func() bool { return true },
		stage: func(b *pebble.Batch) {
			for _, prefix := range []byte{prefixPending, prefixParked, prefixSegmentState} {
				if used, err := hasAny(j.db, head(prefix, id)); used || err != nil {
					return
				}
			}
			del(b, head(prefixDescriptor, id))
		},
	})
}

// utc keeps the zero time zero in every sense that omitzero and == know.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// set and del stage one record. A batch that is not committed yet has no way to
// fail but by growing over 4 GiB, which panics.
func set(b *pebble.Batch, key, value []byte) { _ = b.Set(key, value, nil) }
func del(b *pebble.Batch, key []byte)        { _ = b.Delete(key, nil) }

// parkedSet has the segments that may have parked keys. A change supersedes parked
// keys: it deletes their records one by one, unseen; for a segment that has none, and
// that is nearly every one, these deletes would be half of all that a large change
// writes, and stay in the store until a compaction meets them.
//
// It is read at Open and grows with each Park; that a segment has no parked keys
// any more is found at the next Open. It may be ahead of a snapshot, never behind.
type parkedSet struct {
	mu    sync.RWMutex
	ids   map[segmentID]struct{}
	blind bool // the store could not tell: every segment may have some
}

func readParkedSet(db *pebble.DB) *parkedSet {
	set := &parkedSet{ids: map[segmentID]struct{}{}}
	snapshot := db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	d := newDistinct(snapshot, prefixParked)
	defer d.close()
	for d.valid {
		set.add(d.at)
		d.pass()
	}
	set.blind = d.err != nil || d.it.Valid() // the latter: a record that is too short to be one
	return set
}

func (s *parkedSet) add(id segmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = struct{}{}
}

func (s *parkedSet) mayHave(id segmentID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.ids[id]
	return ok || s.blind
}
