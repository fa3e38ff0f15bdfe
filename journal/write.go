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
	Keys     []audience.Key // not touched by anybody once handed over
	Describe bool           // also write the segment's descriptor; needed once, before or with its first key
	Unpark   bool           // also delete the parked records of these keys: the newer change supersedes them
	Done     chan<- error   // gets nil once the keys are durable; may be nil, else must have room
}

// Append never waits; the answer comes through Done.
func (j *Journal) Append(a Append) {
	id := idOf(a.Segment)
	j.submit(operation{
		tenants: tenantOnly(a.Segment.Tenant),
		durable: true,
		size:    len(a.Keys) * (headLength + 16),
		done:    answer(a.Done),
		stage: func(b *pebble.Batch) {
			if a.Describe {
				set(b, head(prefixDescriptor, id), encodeDescriptor(a.Segment))
			}
			verb, pending, parked := []byte{byte(a.Verb)}, head(prefixPending, id), head(prefixParked, id)
			unpark := a.Unpark && j.parked.mayHave(id)
			for _, key := range a.Keys {
				pending = appendKey(pending[:headLength], key)
				set(b, pending, verb)
				if unpark {
					parked = appendKey(parked[:headLength], key)
					del(b, parked)
				}
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
	Keys    iter.Seq[audience.Key]
	Refusal Refusal
	Done    chan<- error // gets nil once durable; may be nil, else must have room
}

// Park never waits.
func (j *Journal) Park(p Park) {
	p.Refusal.At = p.Refusal.At.UTC()
	record := encodeJSON(parkedRecord{Verb: p.Verb, Refusal: p.Refusal})
	j.submit(operation{
		tenants: tenantOnly(p.Segment.Tenant),
		durable: true,
		done:    answer(p.Done),
		stage: func(b *pebble.Batch) {
			id := idOf(p.Segment)
			pending, parked := head(prefixPending, id), head(prefixParked, id)
			j.parked.add(id)
			for key := range p.Keys {
				pending, parked = appendKey(pending[:headLength], key), appendKey(parked[:headLength], key)
				del(b, pending)
				set(b, parked, record)
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
	j.setState(segment.Tenant, head(prefixSegmentState, idOf(segment)), state, state == SegmentState{}, done)
}

// SetTenantState keeps the state of a tenant; done gets nil once durable (may be
// nil, else must have room).
func (j *Journal) SetTenantState(id audience.TenantID, state TenantState, done chan<- error) {
	state.PausedUntil = utc(state.PausedUntil)
	j.setState(id, head(prefixTenantState, id), state, state == TenantState{}, done)
}

func (j *Journal) setState(tenant audience.TenantID, key []byte, state any, zero bool, done chan<- error) {
	record := encodeJSON(state)
	j.submit(operation{
		tenants: tenantOnly(tenant),
		durable: true,
		done:    answer(done),
		stage: func(b *pebble.Batch) {
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
