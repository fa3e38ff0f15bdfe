package batch

import (
	"time"

	"audiences/audience"
	"audiences/journal"
)

// backlog is what a batch knows of its keys that are in the journal alone. They
// are drawn page by page, in key order, in passes from the first key to the
// last; a key that was stored meanwhile may lie behind the cursor and waits for
// the next pass.
//
// A page is read while changes go on, so it can be older than what the batch
// knows. touched lists the keys that were stored or settled since the page was
// asked for: what the page says of them is out of date. Without it, a delete
// accepted during the read would be undone by the add that the page still shows.
type backlog struct {
	audience.Hidden[backlog]
	exists  bool // the journal may hold keys that are neither held nor in flight
	drawing bool // a page has been asked for and is not in yet
	stored  int  // how many there are; an upper bound once they are counted
	behind  int  // of these, stored since the pass began: the next pass has to look for them
	counted bool // stored includes what was there before this batch; until then it may be less than 0

	addsOnly      bool // a pass found nothing but adds, and no delete was stored since it began
	deletesBehind bool // deletes were stored since the pass began
	passes        int  // that were completed
	cursor        journal.Cursor
	touched       audience.KeySet
}

// leave notes that the key was accepted into the journal alone.
func (l *backlog) leave(verb audience.Verb, key audience.Key) {
	l.exists = true
	l.deletesBehind = l.deletesBehind || verb == audience.Delete
	l.addsOnly = l.addsOnly && !l.deletesBehind
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

// Unread says that nothing is known yet of the keys that the journal has. exists:
// there may be some, so that the batch holds nothing before a page told.
func (b *Batch) Unread(exists bool) { b.backlog = backlog{exists: exists} }

// Expect makes the next pass look for n more keys, which came into the journal
// without passing through this batch; 0: nobody knows how many.
func (b *Batch) Expect(n int) {
	l := &b.backlog
	l.exists, l.deletesBehind, l.addsOnly = true, true, false
	l.stored += n
	l.behind += max(1, n)
}

// HasStored reports whether the journal may hold keys that are not in memory.
func (b *Batch) HasStored() bool { return b.backlog.exists }

// Stored is how many of them there are; an upper bound once AllCounted.
func (b *Batch) Stored() int { return max(0, b.backlog.stored) }

// Drawing reports whether a page has been asked for and is not in yet.
func (b *Batch) Drawing() bool { return b.backlog.drawing }

// AllCounted reports whether Stored includes what the journal had before this batch.
func (b *Batch) AllCounted() bool { return b.backlog.counted }

// WantsDraw reports whether stored keys should be drawn: until there is a whole
// call's worth of one verb, so that a backlog goes out in full calls and none of
// them waits for the journal. Two calls' worth and a page are held at most.
func (b *Batch) WantsDraw() bool {
	switch {
	case !b.backlog.exists || b.backlog.drawing:
		return false
	case b.deletesOnly:
		return !b.backlog.addsOnly && b.deletes.Len() < b.maxChunk
	}
	return !b.HasWholeCall()
}

// Draw notes that the next page is asked for: it returns from where to read. The
// first page of a pass sees all that was stored so far, so nothing lies behind it yet.
func (b *Batch) Draw() journal.Cursor {
	l := &b.backlog
	if l.drawing = true; l.cursor == (journal.Cursor{}) {
		l.behind, l.deletesBehind = 0, false
	}
	return l.cursor
}

// AllSeen is the pass by whose end all that is stored now has been drawn, see SeenAll.
func (b *Batch) AllSeen() int {
	l := &b.backlog
	if l.drawing || l.cursor != (journal.Cursor{}) {
		return l.passes + 2 // the one under way may be past some of it
	}
	return l.passes + 1
}

// SeenAll reports whether that pass is over, or nothing is left to be drawn.
func (b *Batch) SeenAll(pass int) bool {
	return !b.backlog.drawing && (!b.backlog.exists || b.backlog.passes >= pass)
}

// DrawFailed notes that the page could not be read; it is to be asked for again.
func (b *Batch) DrawFailed() {
	l := &b.backlog
	l.drawing, l.exists = false, true
	l.touched = audience.KeySet{}
}

// Counted records how many keys the journal had when the batch knew of so many (Known).
func (b *Batch) Counted(journal, known int) {
	if l := &b.backlog; !l.counted {
		l.counted = true
		l.stored = max(0, l.stored+journal-known)
	}
}

// Drawn takes over the keys of a page. Those of the first page that tells of the
// segment are due like new ones, or when they were before the segment dozed; those
// of later pages have waited for their turn already.
func (b *Batch) Drawn(page journal.Page, first bool, now time.Time) {
	l := &b.backlog
	touched := l.touched
	l.drawing, l.touched = false, audience.KeySet{}
	drawn, passed := 0, 0
	b.versions.show(page.Newest)
	for _, entry := range page.Entries {
		b.versions.show(entry.Version)
		if touched.Has(entry.Key) || b.holds(entry.Key) || b.flight.has(entry.Key) || b.hunt.has(entry.Key) {
			continue
		}
		if b.deletesOnly && entry.Verb == audience.Add && b.adds.Len() >= b.maxChunk {
			passed++ // there are enough to try already
			continue
		}
		drawn++
		b.versions.drawn(entry)
		b.came(entry.Verb, entry.Version)
		b.set(entry.Verb).Add(entry.Key)
	}
	if l.stored -= drawn; l.counted {
		l.stored = max(0, l.stored)
	}
	l.turn(page, passed)
	b.dues.drawn(first, now)
}

// turn moves the cursor behind the page, or back to the start where a pass ends and
// another one is needed. passed is how many keys of the page were left where they are.
func (l *backlog) turn(page journal.Page, passed int) {
	l.behind += passed
	if !page.More { // and now it is known what is stored, see below
		l.passes++
		l.counted = true
		l.addsOnly = !l.deletesBehind
	}
	switch {
	case page.More:
		l.exists, l.cursor = true, page.Next
	case l.behind > 0:
		l.exists, l.stored, l.behind, l.cursor = true, l.behind, 0, journal.Cursor{}
	default:
		l.exists, l.stored, l.cursor = false, 0, journal.Cursor{}
	}
}
