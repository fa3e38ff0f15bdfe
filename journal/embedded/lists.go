package embedded

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// The lists wait for the disk. An item with an error stands for records that could not be
// read; the others go on. Close must not be called from the loop.

// Tenants lists all tenants of the slots with their tokens. A token that cannot be decrypted is an
// error, too.
func (j *Journal) Tenants(of audience.Slots) iter.Seq2[journal.KnownTenant, error] {
	return eachRecord(j, prefixTenant, "read tenants", func(from *pebble.Snapshot, item record) (journal.KnownTenant, bool, error) {
		if !of.Has(audience.TenantID(item.id).Slot()) {
			return journal.KnownTenant{}, false, nil
		}
		known, err := j.knownTenant(from, item)
		return known, true, err
	})
}

// Proven lists the tenants of the slots that Prove was called for, also those whose token was forgotten
// since.
func (j *Journal) Proven(of audience.Slots) iter.Seq2[audience.TenantID, error] {
	return eachRecord(j, prefixProven, "read proven tenants", func(_ *pebble.Snapshot, item record) (audience.TenantID, bool, error) {
		id := audience.TenantID(item.id)
		return id, of.Has(id.Slot()), nil
	})
}

// SegmentsOf is Segments of one tenant. It passes over the records of all, and asks the
// store for the keys of this one's segments alone.
func (j *Journal) SegmentsOf(tenant audience.TenantID) iter.Seq2[journal.Listed, error] {
	return eachRecord(j, prefixDescriptor, "read segments of a tenant", func(from *pebble.Snapshot, item record) (listed journal.Listed, ok bool, err error) {
		if !bytes.HasPrefix(item.value, tenant[:]) {
			return listed, false, nil
		}
		listed, err = listOne(from, segmentID(item.id), item.value)
		return listed, true, err
	})
}

// eachRecord lists what the records under one prefix say. Of those that are not ok nothing
// is listed.
func eachRecord[T any](j *Journal, prefix byte, doing string, read func(*pebble.Snapshot, record) (item T, ok bool, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var item T
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(item, journal.ErrClosed)
			return
		}
		defer release()
		for found, err := range records(snapshot, prefix) {
			item, ok := *new(T), true
			if err == nil {
				item, ok, err = read(snapshot, found)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", doing, err)
			}
			if ok && !yield(item, err) {
				return
			}
		}
	}
}

// Segments lists all described segments of the slots as they are at the call's begin, in no
// order that means anything; it waits for the disk. An item with an error stands
// for records that could not be read; the others go on. It asks the store once
// per segment, however many keys that has. Do not call Close from the loop.
func (j *Journal) Segments(of audience.Slots) iter.Seq2[journal.Listed, error] {
	return func(yield func(journal.Listed, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(journal.Listed{}, journal.ErrClosed)
			return
		}
		defer release()
		list := listing{from: snapshot, of: of, yield: yield}
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
	of              audience.Slots
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
		if listed, err := l.one(segmentID(item.id), item.value); (err != nil || l.of.Has(listed.Segment.Tenant.Slot())) && !l.yield(listed, err) {
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

// listOne is one segment without its neighbours.
func listOne(from *pebble.Snapshot, id segmentID, descriptor []byte) (listed journal.Listed, err error) {
	if listed.Segment, err = decodeDescriptor(id, descriptor); err != nil {
		return journal.Listed{}, err
	}
	err = scan(from, head(prefixPending, id), journal.Cursor{}, func(_, _ []byte) (bool, error) {
		listed.MoreKeys = listed.Keys == fewKeys
		listed.Keys = min(listed.Keys+1, fewKeys)
		return !listed.MoreKeys, nil
	})
	if err != nil {
		return listed, err
	}
	listed.Pending = listed.Keys > 0
	if listed.Parked, err = hasAny(from, head(prefixParked, id)); err != nil {
		return listed, err
	}
	return listed, get(from, head(prefixSegmentState, id), &listed.State)
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

func (j *Journal) knownTenant(from pebble.Reader, item record) (known journal.KnownTenant, err error) {
	known.Tenant, err = j.vault.Open(audience.TenantID(item.id), item.value)
	known.Tenant.ID = audience.TenantID(item.id)
	if err != nil {
		return known, err
	}
	if err := get(from, head(prefixTenantState, item.id), &known.State); err != nil {
		return known, fmt.Errorf("state of tenant %s: %w", known.Tenant.ID, err)
	}
	return known, nil
}
