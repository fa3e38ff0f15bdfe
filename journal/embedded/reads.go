package embedded

import (
	"github.com/cockroachdb/pebble/v2"

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
	page := journal.Page{Next: l.After, Newest: j.Newest(), Parked: j.parked.mayHave(id)}
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
