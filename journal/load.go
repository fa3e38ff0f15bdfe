package journal

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// readers is the number of goroutines that read.
const readers = 4

// Load asks for a segment's pending keys, in the order of the journal: numbers
// by value, then texts by their bytes.
type Load struct {
	audience.Hidden[Load]

	Segment audience.Segment
	After   Cursor     // where to begin; the zero value is the start
	Limit   int        // the most entries to give; 0: none, and the pending keys are not looked at
	Done    func(Page) // called once, from a goroutine of the journal; must not wait for anything
}

// Entry is one pending key.
type Entry struct {
	audience.Hidden[Entry]

	Key  audience.Key
	Verb audience.Verb
}

// Page is the answer to Load. When Err is set, the entries given are right but
// some after them could not be read; the other fields may be incomplete.
type Page struct {
	audience.Hidden[Page]

	Entries []Entry
	Next    Cursor       // After of the next page
	More    bool         // there are keys after this page; with Limit 0: there may be
	State   SegmentState // of the segment
	Parked  bool         // the segment may have parked keys
	Err     error
}

// Load sees every write that was handed in before it and none after. It never
// waits.
func (j *Journal) Load(l Load) {
	j.submit(operation{
		tenants: tenantOnly(l.Segment.Tenant),
		read:    func(s *pebble.Snapshot) { l.Done(j.loadPage(s, l)) },
		done: func(err error) {
			if err != nil {
				l.Done(Page{Err: err})
			}
		},
	})
}

func (j *Journal) loadPage(s *pebble.Snapshot, l Load) Page {
	id := idOf(l.Segment)
	page := Page{Next: l.After, Parked: j.parked.mayHave(id)}
	page.Err = get(s, head(prefixSegmentState, id), &page.State)
	if l.Limit == 0 {
		page.More = true
	} else if page.Err == nil {
		page.Err = page.fill(s, id, l)
	}
	return page
}

// fill reads the entries.
func (page *Page) fill(s *pebble.Snapshot, id segmentID, l Load) error {
	var last []byte // of the page's entries
	err := scan(s, head(prefixPending, id), l.After, func(encoded, value []byte) (bool, error) {
		if len(page.Entries) >= l.Limit {
			page.More = true
			return false, nil
		}
		key, err := decodeKey(encoded)
		if err != nil {
			return false, err
		}
		verb, err := decodeVerb(value)
		if err != nil {
			return false, err
		}
		page.Entries = append(page.Entries, Entry{Key: key, Verb: verb})
		last = append(last[:0], encoded...)
		return true, nil
	})
	if len(last) > 0 {
		page.Next = Cursor{after: string(last)}
	}
	return err
}

// ParkedQuery asks for a segment's parked keys, in the order of Load.
type ParkedQuery struct {
	audience.Hidden[ParkedQuery]

	Segment audience.Segment
	After   Cursor           // where to begin; the zero value is the start
	Limit   int              // the most entries to give
	Done    func(ParkedPage) // as in Load
}

// ParkedPage is the answer to ParkedQuery. Err as in Page.
type ParkedPage struct {
	audience.Hidden[ParkedPage]

	Entries []ParkedEntry
	Next    Cursor
	More    bool
	Err     error
}

// Parked sees every write that was handed in before it. It never waits.
func (j *Journal) Parked(q ParkedQuery) {
	j.submit(operation{
		tenants: tenantOnly(q.Segment.Tenant),
		read:    func(s *pebble.Snapshot) { q.Done(loadParked(s, q)) },
		done: func(err error) {
			if err != nil {
				q.Done(ParkedPage{Err: err})
			}
		},
	})
}

func loadParked(s *pebble.Snapshot, q ParkedQuery) ParkedPage {
	page := ParkedPage{Next: q.After}
	page.Err = scan(s, head(prefixParked, idOf(q.Segment)), q.After, func(encoded, value []byte) (bool, error) {
		if len(page.Entries) >= q.Limit {
			page.More = true
			return false, nil
		}
		key, err := decodeKey(encoded)
		if err != nil {
			return false, err
		}
		record, err := decodeParked(value)
		if err != nil {
			return false, err
		}
		page.Entries = append(page.Entries, ParkedEntry{Key: key, Verb: record.Verb, Refusal: record.Refusal})
		page.Next = Cursor{after: string(encoded)}
		return true, nil
	})
	return page
}

// scan yields the encoded key and the value of every record under prefix that
// lies after the cursor, until each returns false or an error.
func scan(from pebble.Reader, prefix []byte, after Cursor, each func(encoded, value []byte) (bool, error)) error {
	lower, upper := bounds(prefix)
	if after != (Cursor{}) {
		lower = append(append(bytes.Clone(prefix), after.after...), 0) // the first place after it
	}
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			ok, err = each(it.Key()[len(prefix):], value)
		}
		if err != nil {
			_ = it.Close()
			return err
		}
		if !ok {
			break
		}
	}
	return it.Close() // reports what stopped the iteration, if it was damage
}

// get reads one JSON record; an absent one leaves into as it is.
func get(from pebble.Reader, key []byte, into any) error {
	value, closer, err := from.Get(key)
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	return decodeJSON(value, into)
}
