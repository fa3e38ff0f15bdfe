package embedded

import (
	"audiences/audience"
	"audiences/journal"
	"github.com/cockroachdb/pebble/v2"
	"time"
)

// Settle never waits.
func (j *Journal) Settle(s journal.Settle) {
	j.submit(operation{
		tenants: tenantOnly(s.Segment.Tenant),
		done:    answer(s.Done),
		stage: func(b *pebble.Batch) {
			pending := head(prefixPending, idOf(s.Segment))
			for key := range s.Keys {
				pending = journal.AppendKey(pending[:headLength], key)
				del(b, pending)
			}
		},
	})
}

// Park never waits.
func (j *Journal) Park(p journal.Park) {
	p.Refusal.At = p.Refusal.At.UTC()
	record, id := encodeJSON(parkedRecord{Verb: p.Verb, Refusal: p.Refusal}), idOf(p.Segment)
	j.submit(operation{
		tenants: tenantOnly(p.Segment.Tenant),
		durable: true,
		done:    answer(p.Done),
		sees:    func() bool { return j.parked.mayHave(id) },
		stage: func(b *pebble.Batch) {
			known := j.parked.mayHave(id)
			pending, parked := head(prefixPending, id), head(prefixParked, id)
			j.parked.add(id)
			for key := range p.Keys {
				pending, parked = journal.AppendKey(pending[:headLength], key), journal.AppendKey(parked[:headLength], key)
				del(b, pending)
				j.tally.park(b, j.db, known, parked, record)
			}
		},
	})
}

// SetSegmentState keeps the state of a segment; done gets nil once durable (may
// be nil, else must have room).
func (j *Journal) SetSegmentState(segment audience.Segment, state journal.SegmentState, done chan<- error) {
	state.PausedUntil = utc(state.PausedUntil)
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

// SetTenantState keeps the state of a tenant; done gets nil once durable (may be
// nil, else must have room).
func (j *Journal) SetTenantState(id audience.TenantID, state journal.TenantState, done chan<- error) {
	state.PausedUntil = utc(state.PausedUntil)
	key := head(prefixTenantState, id)
	j.setState(id, key, state, state == journal.TenantState{}, done, func() {
		replaced(j.tally, j.db, key, j.tally.changes.tenant)
		j.tally.changes.tenant(state, +1)
	})
}

func (j *Journal) setState(tenant audience.TenantID, key []byte, state any, zero bool, done chan<- error, count func()) {
	record := encodeJSON(state)
	j.submit(operation{
		tenants: tenantOnly(tenant),
		durable: true,
		done:    answer(done),
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

// Forget removes the descriptor of a segment that has neither keys nor state
// left; the caller knows, nothing is checked. It becomes durable with the next
// durable write.
func (j *Journal) Forget(segment audience.Segment) {
	j.submit(operation{
		tenants: tenantOnly(segment.Tenant),
		done:    answer(nil),
		stage:   func(b *pebble.Batch) { del(b, head(prefixDescriptor, idOf(segment))) },
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
