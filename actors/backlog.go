package actors

import (
	"audiences/audience"
	"audiences/journal"
)

// backlog is what a batch knows of its keys that are in the journal alone. They
// are drawn in page by page, in key order, in passes from the first key to the
// last; a key that was stored meanwhile may lie behind the cursor and waits for
// the next pass.
//
// A page is read while changes go on, so it can be older than what the batch
// knows. touched lists the keys that were stored or settled since the page was
// asked for: what the page says of them is out of date. Without it, a delete
// accepted during the read would be undone by the add that the page still shows.
type backlog struct {
	exists  bool // the journal may hold keys that are neither held nor in flight
	drawing bool // a page has been asked for and is not in yet
	stored  int  // how many there are; an upper bound
	behind  int  // of these, stored since the pass began: the next pass has to look for them
	counted bool // stored includes what was there before this actor
	cursor  journal.Cursor
	touched audience.KeySet
}

// leave notes that the key was accepted into the journal alone.
func (l *backlog) leave(key audience.Key) {
	l.exists = true
	l.stored++
	l.behind++
	l.touch(key)
}

// touch notes that a page under way is out of date as to this key.
func (l *backlog) touch(key audience.Key) {
	if l.drawing {
		l.touched.Add(key)
	}
}

// draw asks for the next page: it returns from where to read.
func (l *backlog) draw() journal.Cursor {
	l.drawing = true
	return l.cursor
}

// failed notes that the page could not be read; it is to be asked for again.
func (l *backlog) failed() {
	l.drawing, l.exists = false, true
	l.touched = audience.KeySet{}
}

// drawn takes a page of the journal into the batch.
func (b *batch) drawn(page journal.Page) {
	l := &b.backlog
	touched := l.touched
	l.drawing, l.touched = false, audience.KeySet{}
	drawn := 0
	for _, entry := range page.Entries {
		if touched.Has(entry.Key) || b.holds(entry.Key) || b.flight.has(entry.Key) {
			continue
		}
		drawn++
		if entry.Verb == audience.Add {
			b.adds.Add(entry.Key)
		} else {
			b.deletes.Add(entry.Key)
		}
	}
	if l.counted {
		l.stored = max(0, l.stored-drawn)
	} else {
		l.counted = true
		l.stored += page.Rest
	}
	switch {
	case page.More:
		l.exists, l.cursor = true, page.Next
	case l.behind > 0:
		l.stored, l.behind, l.cursor = l.behind, 0, journal.Cursor{}
	default:
		l.exists, l.stored, l.cursor = false, 0, journal.Cursor{}
	}
}
