package journal

import (
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// Append takes keys of one segment in: each becomes pending with Verb, in place
// of what was pending for it before (I2).
type Append struct {
	audience.Hidden[Append]

	Segment  audience.Segment
	Verb     audience.Verb
	Keys     audience.Keys
	Describe bool         // also write the segment's descriptor; needed once, before or with its first key
	Unpark   bool         // also delete the parked records of these keys: the newer change supersedes them
	Done     chan<- error // gets nil once the keys are durable; may be nil, else must have room
}

// Append never waits, though it puts many keys in order; the answer comes through Done.
func (j *Journal) Append(a Append) {
	id, keys, room, done := idOf(a.Segment), inOrder(a.Keys), roomFor(a.Keys), answer(a.Done)
	j.submit(operation{
		tenants: tenantOnly(a.Segment.Tenant),
		durable: true,
		size:    int(room / 2),
		done: func(err error) {
			j.room.promises.release(room)
			done(err)
		},
		sees: func() bool { return a.Unpark && j.parked.mayHave(id) },
		stage: func(b *pebble.Batch) {
			if a.Describe {
				set(b, head(prefixDescriptor, id), encodeDescriptor(a.Segment))
			}
			verb, pending := []byte{byte(a.Verb)}, head(prefixPending, id)
			for key := range keys {
				pending = appendKey(pending[:headLength], key)
				set(b, pending, verb)
			}
			if a.Unpark && j.parked.mayHave(id) {
				j.tally.supersede(b, j.db, id, keys)
			}
		},
	})
}

// Settle removes keys whose change Split took. Keys are yielded in the
// committer's goroutine and must stay readable until Done is answered. The
// caller settles only keys that nothing newer was appended for.
type Settle struct {
	Segment audience.Segment
	Keys    iter.Seq[audience.Key]
	Done    chan<- error // may be nil, else must have room; nil is not a promise of durability, see the package comment
}

// Settle never waits.
func (j *Journal) Settle(s Settle) {
	j.submit(operation{
		tenants: tenantOnly(s.Segment.Tenant),
		done:    answer(s.Done),
		stage: func(b *pebble.Batch) {
			pending := head(prefixPending, idOf(s.Segment))
			for key := range s.Keys {
				pending = appendKey(pending[:headLength], key)
				del(b, pending)
			}
		},
	})
}

// Park moves keys that Split refused for good from pending to parked, in one
// step that a crash cannot halve (I3). Keys as in Settle.
type Park struct {
	audience.Hidden[Park]

	Segment audience.Segment
	Verb    audience.Verb
	Keys    iter.Seq[audience.Key] // each once
	Refusal Refusal
	Done    chan<- error // gets nil once durable; may be nil, else must have room
}

// Park never waits.
func (j *Journal) Park(p Park) {
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
				pending, parked = appendKey(pending[:headLength], key), appendKey(parked[:headLength], key)
				del(b, pending)
				j.tally.park(b, j.db, known, parked, record)
			}
		},
	})
}

// PutTenant keeps the tenant's token, encrypted. It becomes durable with the
// next durable write, at the latest: hand it in before the tenant's first Append.
func (j *Journal) PutTenant(tenant audience.Tenant) {
	record := j.vault.seal(tenant)
	j.submit(operation{
		tenants: tenantOnly(tenant.ID),
		done:    answer(nil),
		stage:   func(b *pebble.Batch) { set(b, head(prefixTenant, tenant.ID), record) },
	})
}

// SetSegmentState keeps the state of a segment; done gets nil once durable (may
// be nil, else must have room).
func (j *Journal) SetSegmentState(segment audience.Segment, state SegmentState, done chan<- error) {
	state.PausedUntil = utc(state.PausedUntil)
	if state.Parked != nil {
		refusal := *state.Parked
		refusal.At = refusal.At.UTC()
		state.Parked = &refusal
	}
	key := head(prefixSegmentState, idOf(segment))
	j.setState(segment.Tenant, key, state, state == SegmentState{}, done, func() {
		replaced(j.tally, j.db, key, j.tally.changes.segment)
		j.tally.changes.segment(state, +1)
	})
}

// SetTenantState keeps the state of a tenant; done gets nil once durable (may be
// nil, else must have room).
func (j *Journal) SetTenantState(id audience.TenantID, state TenantState, done chan<- error) {
	state.PausedUntil = utc(state.PausedUntil)
	key := head(prefixTenantState, id)
	j.setState(id, key, state, state == TenantState{}, done, func() {
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
