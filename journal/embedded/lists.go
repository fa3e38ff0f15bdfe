package embedded

import (
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// Segments lists all described segments as they are at the call's begin, in no
// order that means anything; it waits for the disk. An item with an error stands
// for records that could not be read; the others go on. It asks the store once
// per segment, however many keys that has. Do not call Close from the loop.
func (j *Journal) Segments() iter.Seq2[journal.Listed, error] {
	return func(yield func(journal.Listed, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(journal.Listed{}, journal.ErrClosed)
			return
		}
		defer release()
		list := listing{from: snapshot, yield: yield}
		list.run()
	}
}

// snapshot keeps Close out until release.
func (j *Journal) snapshot() (s *pebble.Snapshot, release func()) {
	j.listing.RLock()
	if j.closed {
		j.listing.RUnlock()
		return nil, nil
	}
	s = j.db.NewSnapshot()
	return s, func() {
		_ = s.Close()
		j.listing.RUnlock()
	}
}

// listing is one run of Segments.
type listing struct {
	from            *pebble.Snapshot
	yield           func(journal.Listed, error) bool
	pending, parked *distinct
}

func (l *listing) run() {
	l.pending, l.parked = newDistinct(l.from, prefixPending), newDistinct(l.from, prefixParked)
	defer l.pending.close()
	defer l.parked.close()
	for item, err := range records(l.from, prefixDescriptor) {
		if err != nil {
			if !l.yield(journal.Listed{}, fmt.Errorf("read segments: %w", err)) {
				return
			}
			continue
		}
		if !l.yield(l.one(segmentID(item.id), item.value)) {
			return
		}
	}
	l.pending.rest()
	l.parked.rest()
	if orphans := max(l.pending.unknown, l.parked.unknown); orphans > 0 {
		l.yield(journal.Listed{}, fmt.Errorf("read segments: the keys of %d segments have no readable segment record and are left alone", orphans))
		return
	}
	for _, d := range []*distinct{l.pending, l.parked} {
		if d.err != nil && !l.yield(journal.Listed{}, fmt.Errorf("read segments: %w", d.err)) {
			return
		}
	}
}

func (l *listing) one(id segmentID, descriptor []byte) (listed journal.Listed, err error) {
	listed.Segment, err = decodeDescriptor(id, descriptor)
	// Both are asked in any case: they also count what no record describes.
	listed.Keys, listed.MoreKeys = l.pending.count(id)
	listed.Pending, listed.Parked = listed.Keys > 0 || listed.MoreKeys, l.parked.has(id)
	if err != nil {
		return journal.Listed{}, err
	}
	if err := get(l.from, head(prefixSegmentState, id), &listed.State); err != nil {
		return listed, fmt.Errorf("read state of a segment: %w", err)
	}
	return listed, nil
}

// Tenants lists all tenants with their tokens; it waits for the disk. An item
// with an error stands for records that could not be read or decrypted; the
// others go on. Do not call Close from the loop.
func (j *Journal) Tenants() iter.Seq2[journal.KnownTenant, error] {
	return func(yield func(journal.KnownTenant, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(journal.KnownTenant{}, journal.ErrClosed)
			return
		}
		defer release()
		for item, err := range records(snapshot, prefixTenant) {
			var known journal.KnownTenant
			if err == nil {
				known, err = j.knownTenant(snapshot, item)
			}
			if err != nil {
				err = fmt.Errorf("read tenants: %w", err)
			}
			if !yield(known, err) {
				return
			}
		}
	}
}

func (j *Journal) knownTenant(from pebble.Reader, item record) (known journal.KnownTenant, err error) {
	if known.Tenant, err = j.vault.open(audience.TenantID(item.id), item.value); err != nil {
		return journal.KnownTenant{}, err
	}
	if err := get(from, head(prefixTenantState, item.id), &known.State); err != nil {
		return known, fmt.Errorf("state of tenant %s: %w", known.Tenant.ID, err)
	}
	return known, nil
}

// Prove keeps that Split took keys of a tenant: it is known not to be made up. It
// becomes durable with the next durable write. It never waits.
func (j *Journal) Prove(id audience.TenantID) {
	j.submit(operation{
		tenants: tenantOnly(id),
		done:    ignore,
		stage:   func(b *pebble.Batch) { set(b, head(prefixProven, id), nil) },
	})
}

// Proven lists the tenants that Prove was called for, also those whose token was
// forgotten since; it waits for the disk. An item with an error stands for records
// that could not be read; the others go on. Do not call Close from the loop.
func (j *Journal) Proven() iter.Seq2[audience.TenantID, error] {
	return func(yield func(audience.TenantID, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(audience.TenantID{}, journal.ErrClosed)
			return
		}
		defer release()
		for item, err := range records(snapshot, prefixProven) {
			if err != nil {
				err = fmt.Errorf("read proven tenants: %w", err)
			}
			if !yield(audience.TenantID(item.id), err) {
				return
			}
		}
	}
}

// forgetIdleTenants removes, at Open, the tenants that have neither a segment nor
// a state: their tokens are of no more use. Where a record cannot be read it
// removes nobody.
func (j *Journal) forgetIdleTenants() error {
	used := map[audience.TenantID]bool{}
	for item, err := range records(j.db, prefixDescriptor) {
		if err != nil {
			return nil // reported by Segments
		}
		segment, err := decodeDescriptor(item.id, item.value)
		if err != nil {
			return nil
		}
		used[segment.Tenant] = true
	}
	for item, err := range records(j.db, prefixTenantState) {
		if err != nil {
			return nil
		}
		used[item.id] = true
	}
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }()
	for item, err := range records(j.db, prefixTenant) {
		if err == nil && !used[item.id] {
			del(batch, head(prefixTenant, item.id))
		}
	}
	return j.db.Apply(batch, pebble.NoSync)
}
