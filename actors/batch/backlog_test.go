package batch

import (
	"slices"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// page is what the journal tells of these keys, which have one verb.
func page(more bool, verb audience.Verb, keys ...audience.Key) journal.Page {
	p := journal.Page{More: more}
	for _, key := range keys {
		p.Entries = append(p.Entries, journal.Entry{Key: key, Verb: verb})
		p.Next = journal.CursorAt(key)
	}
	return p
}

// TestFullSegmentReadsForDeletesAlone: where adds cannot go, the journal is read for
// deletes, and no more once a pass has found none: else a full segment with a large
// backlog of adds would read it round and round.
func TestFullSegmentReadsForDeletesAlone(t *testing.T) {
	keys := numbers(9)
	b := New(2, 0)
	b.Unread(true)
	b.DeletesOnly(true)
	expect := func(when string, wants bool, stored int) {
		t.Helper()
		if b.WantsDraw() != wants || b.Stored() != stored {
			t.Errorf("%s: wants a page: %v, %d keys are stored; want %v and %d", when, b.WantsDraw(), b.Stored(), wants, stored)
		}
	}
	draw := func(more bool, verb audience.Verb, keys ...audience.Key) {
		b.Draw()
		b.Drawn(page(more, verb, keys...), false, noon)
	}
	store := func(verb audience.Verb, key audience.Key) {
		b.Apply(verb, slices.Values([]audience.Key{key}), 1, 0)
	}
	expect("nothing is known", true, 0)
	draw(false, audience.Add, keys[:5]...)
	expect("nothing but adds was found", false, 3)
	store(audience.Add, keys[5])
	expect("an add was stored", false, 4)
	store(audience.Delete, keys[6])
	expect("a delete was stored", true, 5)
	draw(true, audience.Add, keys[2:6]...)
	store(audience.Delete, keys[7]) // behind the page
	draw(false, audience.Delete, keys[6])
	expect("a delete was stored during the pass", true, 5)
	draw(true, audience.Add, keys[2:6]...)
	draw(false, audience.Delete, keys[7])
	expect("a whole call of deletes is held", false, 4)
	b.Cut(audience.Delete)
	b.Delivered()
	b.Expect(1)
	expect("somebody else stored a key", true, 5)
	b.DeletesOnly(false)
	expect("adds may go, of which a whole call is held", false, 5)
}

// TestFullSegmentHoldsNoMoreAdds: keys that change their verb stay in memory, but an add
// that cannot go leaves it where the adds have reached their limit; a delete, which can
// go, never does.
func TestFullSegmentHoldsNoMoreAdds(t *testing.T) {
	keys := numbers(4)
	b := New(2, 0)
	b.DeletesOnly(true)
	for _, step := range []struct {
		verb                  audience.Verb
		keys                  []audience.Key
		adds, deletes, stored int
	}{
		{audience.Add, keys[:2], 2, 0, 0},
		{audience.Delete, keys[2:], 2, 2, 0},
		{audience.Add, keys[2:3], 2, 1, 1},
		{audience.Delete, keys[:1], 1, 2, 1},
		{audience.Delete, keys[1:2], 0, 3, 1},
		{audience.Add, keys[:1], 1, 2, 1},
	} {
		b.Apply(step.verb, slices.Values(step.keys), 1, 2)
		if adds, deletes := b.HeldOf(audience.Add), b.HeldOf(audience.Delete); adds != step.adds || deletes != step.deletes || b.Stored() != step.stored {
			t.Errorf("%+v: %d adds, %d deletes, %d stored", step, adds, deletes, b.Stored())
		}
	}
}

// TestPassByWhichAllIsSeen is the next one that begins: a pass under way may be past
// some keys.
func TestPassByWhichAllIsSeen(t *testing.T) {
	keys := numbers(3)
	b := New(9, 0)
	b.Unread(true)
	expect := func(when string, allSeen int, seen ...bool) {
		t.Helper()
		if b.AllSeen() != allSeen {
			t.Errorf("%s: all is seen by pass %d, want %d", when, b.AllSeen(), allSeen)
		}
		for pass, want := range seen {
			if b.SeenAll(pass) != want {
				t.Errorf("%s: pass %d is over: %v", when, pass, !want)
			}
		}
	}
	expect("before the first page", 1, true, false)
	b.Draw()
	expect("with a page asked for", 2, false, false)
	b.Drawn(page(true, audience.Add, keys[0]), false, noon)
	expect("between two pages", 2, true, false, false)
	b.Draw()
	b.Apply(audience.Add, slices.Values(keys[2:]), 1, 0) // behind the page
	b.Drawn(page(false, audience.Add, keys[1]), false, noon)
	expect("after the first pass", 2, true, true, false)
	b.Draw()
	b.Drawn(page(false, audience.Add, keys[2]), false, noon)
	expect("with nothing left", 3, true, true, true, true)
}

// TestStoredKeysAreCounted: Stored is what was counted, and what came since; before
// that what came since alone, and never less than nothing.
func TestStoredKeysAreCounted(t *testing.T) {
	keys := numbers(5)
	b := New(9, 0)
	b.Unread(true)
	expect := func(when string, stored int, counted bool) {
		t.Helper()
		if b.Stored() != stored || b.AllCounted() != counted {
			t.Errorf("%s: %d keys are stored, all counted: %v; want %d, %v", when, b.Stored(), b.AllCounted(), stored, counted)
		}
	}
	b.Draw()
	b.Drawn(page(true, audience.Add, keys[:2]...), false, noon)
	expect("two were drawn", 0, false)
	known := b.Known()
	b.Apply(audience.Add, slices.Values(keys[4:]), 1, 0)
	b.Counted(4, known)
	expect("four were counted, one came meanwhile", 3, true)
	b.Counted(9, known)
	expect("they were counted twice", 3, true)
	b.Draw()
	b.Drawn(page(true, audience.Add, keys[2:4]...), false, noon)
	expect("two more were drawn", 1, true)
	b.Draw()
	b.Drawn(page(true, audience.Add, numbers(9)[5:]...), false, noon)
	expect("more were drawn than were counted", 0, true)
	if known := b.Known(); known != 8 {
		t.Errorf("%d keys are known, want the 8 that are held", known)
	}
}

// TestExpectedKeysAreLookedFor in a pass of their own, also where nobody knows how many
// there are, and where a pass is under way that may be past them.
func TestExpectedKeysAreLookedFor(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 3: 3} {
		b := New(9, 0)
		b.Forget()
		b.Expect(n)
		if !b.HasStored() || !b.WantsDraw() || b.Stored() != n {
			t.Errorf("of %d keys %d are stored", n, b.Stored())
		}
		b.Draw()
		b.Expect(n)
		b.Drawn(page(false, audience.Add), false, noon)
		if !b.HasStored() || b.Stored() != want {
			t.Errorf("%d keys came during a pass, %d are stored after it", n, b.Stored())
		}
		b.Draw()
		if b.Drawn(page(false, audience.Add), false, noon); b.HasStored() || b.Stored() != 0 {
			t.Errorf("%d keys are stored that a pass has not found", b.Stored())
		}
	}
}
