package journal

import (
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// KnownTenant is one tenant of the journal.
type KnownTenant struct {
	Tenant audience.Tenant
	State  TenantState
}

// Tenants lists all tenants with their tokens; it waits for the disk. An item
// with an error stands for records that could not be read or decrypted; the
// others go on. Do not call Close from the loop.
func (j *Journal) Tenants() iter.Seq2[KnownTenant, error] {
	return func(yield func(KnownTenant, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(KnownTenant{}, ErrClosed)
			return
		}
		defer release()
		for item, err := range records(snapshot, prefixTenant) {
			var known KnownTenant
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

func (j *Journal) knownTenant(from pebble.Reader, item record) (known KnownTenant, err error) {
	if known.Tenant, err = j.vault.open(audience.TenantID(item.id), item.value); err != nil {
		return KnownTenant{}, err
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
		done:    answer(nil),
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
			yield(audience.TenantID{}, ErrClosed)
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
