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
	hidden[backlog]
	exists  bool // the journal may hold keys that are neither held nor in flight
	drawing bool // a page has been asked for and is not in yet
	stored  int  // how many there are; an upper bound once they are counted
	behind  int  // of these, stored since the pass began: the next pass has to look for them
	counted bool // stored includes what was there before this actor; until then it may be less than 0

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

// again makes the next pass look for n more keys, which came into the journal
// without passing through this actor.
func (l *backlog) again(n int) {
	l.exists, l.deletesBehind, l.addsOnly = true, true, false
	l.stored += n
	l.behind += max(1, n)
}

// touch notes that a page under way is out of date as to this key.
func (l *backlog) touch(key audience.Key) {
	if l.drawing {
		l.touched.Add(key)
	}
}

// draw asks for the next page: it returns from where to read. The first page of a
// pass sees all that was stored so far, so nothing lies behind it yet.
func (l *backlog) draw() journal.Cursor {
	if l.drawing = true; l.cursor == (journal.Cursor{}) {
		l.behind, l.deletesBehind = 0, false
	}
	return l.cursor
}

// allSeen is the pass by whose end all that is stored now has been drawn.
func (l *backlog) allSeen() int {
	if l.drawing || l.cursor != (journal.Cursor{}) {
		return l.passes + 2 // the one under way may be past some of it
	}
	return l.passes + 1
}

// failed notes that the page could not be read; it is to be asked for again.
func (l *backlog) failed() {
	l.drawing, l.exists = false, true
	l.touched = audience.KeySet{}
}

// counted takes in how many keys the journal had when the batch knew of so many.
func (b *batch) counted(journal, known int) {
	if l := &b.backlog; !l.counted {
		l.counted = true
		l.stored = max(0, l.stored+journal-known)
	}
}

// drawn takes a page of the journal into the batch.
func (b *batch) drawn(page journal.Page) {
	l := &b.backlog
	touched := l.touched
	l.drawing, l.touched = false, audience.KeySet{}
	drawn, passed := 0, 0
	for _, entry := range page.Entries {
		if entry.Version.Node() == ownNode {
			b.newest = max(b.newest, entry.Version)
		}
		if touched.Has(entry.Key) || b.holds(entry.Key) || b.flight.has(entry.Key) || b.hunt.has(entry.Key) {
			continue
		}
		if b.deletesOnly && entry.Verb == audience.Add && b.adds.Len() >= b.maxChunk {
			passed++ // there are enough to try already
			continue
		}
		drawn++
		b.noteNode(entry)
		if entry.Verb == audience.Add {
			b.adds.Add(entry.Key)
		} else {
			b.deletes.Add(entry.Key)
		}
	}
	if l.stored -= drawn; l.counted {
		l.stored = max(0, l.stored)
	}
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

// noteNode remembers the version of a drawn key where another node gave it.
func (b *batch) noteNode(entry journal.Entry) {
	if delete(b.foreign, entry.Key); entry.Version.Node() == ownNode {
		return
	}
	if b.foreign == nil {
		b.foreign = map[audience.Key]journal.Version{}
	}
	b.foreign[entry.Key] = entry.Version
}
