package embedded

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// readers is the number of goroutines that read.
const readers = 4

// Load sees every write that was handed in before it and none after. It never
// waits.
func (j *Journal) Load(l journal.Load) {
	j.submit(operation{
		tenants: tenantOnly(l.Segment.Tenant),
		read:    func(s *pebble.Snapshot) { l.Done(j.loadPage(s, l)) },
		done: func(err error) {
			if err != nil {
				l.Done(journal.Page{Err: err})
			}
		},
	})
}

func (j *Journal) loadPage(s *pebble.Snapshot, l journal.Load) journal.Page {
	id := idOf(l.Segment)
	page := journal.Page{Next: l.After, Parked: j.parked.mayHave(id)}
	page.Err = get(s, head(prefixSegmentState, id), &page.State)
	if l.Limit == 0 {
		page.More = true
	} else if page.Err == nil {
		page.Err = fillPage(&page, s, id, l)
	}
	return page
}

// fillPage reads the entries.
func fillPage(page *journal.Page, s *pebble.Snapshot, id segmentID, l journal.Load) error {
	var last []byte // of the page's entries
	err := scan(s, head(prefixPending, id), l.After, func(encoded, value []byte) (bool, error) {
		if len(page.Entries) >= l.Limit {
			page.More = true
			return false, nil
		}
		key, err := journal.DecodeKey(encoded)
		if err != nil {
			return false, err
		}
		verb, version, err := decodePending(value)
		if err != nil {
			return false, err
		}
		page.Entries = append(page.Entries, journal.Entry{Key: key, Verb: verb, Version: version})
		last = append(last[:0], encoded...)
		return true, nil
	})
	if len(last) > 0 {
		page.Next = journal.CursorAfter(last)
	}
	return err
}

// Parked sees every write that was handed in before it. It never waits.
func (j *Journal) Parked(q journal.ParkedQuery) {
	j.submit(operation{
		tenants: tenantOnly(q.Segment.Tenant),
		read:    func(s *pebble.Snapshot) { q.Done(loadParked(s, q)) },
		done: func(err error) {
			if err != nil {
				q.Done(journal.ParkedPage{Err: err})
			}
		},
	})
}

func loadParked(s *pebble.Snapshot, q journal.ParkedQuery) journal.ParkedPage {
	page := journal.ParkedPage{Next: q.After}
	page.Err = scan(s, head(prefixParked, idOf(q.Segment)), q.After, func(encoded, value []byte) (bool, error) {
		if len(page.Entries) >= q.Limit {
			page.More = true
			return false, nil
		}
		key, err := journal.DecodeKey(encoded)
		if err != nil {
			return false, err
		}
		record, err := decodeParked(value)
		if err != nil {
			return false, err
		}
		page.Entries = append(page.Entries, journal.ParkedEntry{Key: key, Verb: record.Verb, Refusal: record.Refusal})
		page.Next = journal.CursorAfter(encoded)
		return true, nil
	})
	return page
}

// countStep is how many records are counted before pages get their turn.
const countStep = 10_000

// Count sees every write that was handed in before it and none after, however
// late it is carried out. Close does not wait for it. It never waits.
func (j *Journal) Count(c journal.Count) {
	j.submit(operation{
		tenants: tenantOnly(c.Segment.Tenant),
		late:    true,
		read:    func(s *pebble.Snapshot) { c.Done(j.count(s, idOf(c.Segment))) },
		done: func(err error) {
			if err != nil {
				c.Done(journal.Counts{Err: err})
			}
		},
	})
}

func (j *Journal) count(s *pebble.Snapshot, id segmentID) (c journal.Counts) {
	c.Pending, c.Err = j.countRecords(s, head(prefixPending, id), 0)
	if c.Err == nil && j.parked.mayHave(id) {
		c.Parked, c.Err = j.countRecords(s, head(prefixParked, id), journal.MaxParkedCount)
	}
	return c
}

// countRecords stops at most, where that is not 0.
func (j *Journal) countRecords(s *pebble.Snapshot, prefix []byte, most int) (n int, err error) {
	err = scan(s, prefix, journal.Cursor{}, func(_, _ []byte) (bool, error) {
		if n%countStep == 0 && !j.reads.idle() {
			return false, journal.ErrClosed
		}
		n++
		return n != most, nil
	})
	return n, err
}

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

// SegmentsOf is Segments of one tenant. It passes over the records of all, and asks the
// store for the keys of this one's segments alone.
func (j *Journal) SegmentsOf(tenant audience.TenantID) iter.Seq2[journal.Listed, error] {
	return func(yield func(journal.Listed, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(journal.Listed{}, journal.ErrClosed)
			return
		}
		defer release()
		for item, err := range records(snapshot, prefixDescriptor) {
			var listed journal.Listed
			if err == nil {
				if !bytes.HasPrefix(item.value, tenant[:]) {
					continue
				}
				listed, err = listOne(snapshot, segmentID(item.id), item.value)
			}
			if err != nil {
				err = fmt.Errorf("read segments of a tenant: %w", err)
			}
			if !yield(listed, err) {
				return
			}
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
	if known.Tenant, err = j.vault.Open(audience.TenantID(item.id), item.value); err != nil {
		return journal.KnownTenant{}, err
	}
	if err := get(from, head(prefixTenantState, item.id), &known.State); err != nil {
		return known, fmt.Errorf("state of tenant %s: %w", known.Tenant.ID, err)
	}
	return known, nil
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
