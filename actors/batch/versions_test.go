package batch

import (
	"maps"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// ownNode is the number of this process's node in these tests.
const ownNode = 0

// TestVersions: keys that this process accepted are named by one version that covers
// them all, keys with a change of another node by the version that was drawn.
func TestVersions(t *testing.T) {
	now, keys := time.Now(), numbers(6)
	foreign, own := journal.MakeVersion(3, 2), journal.MakeVersion(ownNode, 7)
	b := New(10, 7)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{
		{Key: keys[0], Verb: audience.Add, Version: foreign},
		{Key: keys[1], Verb: audience.Add, Version: foreign},
		{Key: keys[2], Verb: audience.Add, Version: own},
	}}, true, now)
	b.Apply(audience.Add, slices.Values([]audience.Key{keys[1], keys[3]}), 9, 10)
	chunk := b.Cut(audience.Add)
	b.Apply(audience.Add, slices.Values(keys[4:5]), 11, 10) // not of this chunk
	settled, _ := b.Delivered()
	selection := b.Select(settled, chunk.NotAfter)
	if selection.NotAfter != 9 || b.Accepted() != 11 {
		t.Errorf("not after %d, accepted %d", selection.NotAfter, b.Accepted())
	}
	got := map[audience.Key]bool{}
	for key := range selection.Keys {
		got[key] = true
	}
	if want := map[audience.Key]bool{keys[1]: true, keys[2]: true, keys[3]: true}; !maps.Equal(got, want) {
		t.Errorf("accepted here: %d keys", len(got))
	}
	if drawn := maps.Collect(selection.Drawn); !maps.Equal(drawn, map[audience.Key]journal.Version{keys[0]: foreign}) {
		t.Errorf("drawn: %d keys", len(drawn))
	}
	if len(b.versions.exact) != 0 {
		t.Errorf("%d versions are kept of keys that have left", len(b.versions.exact))
	}
}

// TestVersionsOfRemains: what is kept of a batch that its caller lets go is settled as
// it was, also what was accepted after the call, which the journal alone has else.
func TestVersionsOfRemains(t *testing.T) {
	now, keys := time.Now(), numbers(2)
	foreign := journal.MakeVersion(3, 2)
	b := New(10, 0)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{{Key: keys[0], Verb: audience.Add, Version: foreign}}}, true, now)
	b.Apply(audience.Add, slices.Values(keys[1:]), 5, 10)
	b.Cut(audience.Add)
	b.Apply(audience.Delete, slices.Values(keys[1:]), 8, 10)
	woken := New(10, b.Accepted())
	woken.Restore(b.LastVerb(), b.Remains(), now, now)
	chunk := woken.Flight()
	settled, _ := woken.Delivered()
	selection := woken.Select(settled, chunk.NotAfter)
	if drawn := maps.Collect(selection.Drawn); len(drawn) != 1 || drawn[keys[0]] != foreign {
		t.Errorf("drawn: %d keys", len(drawn))
	}
	if newer := woken.Cut(audience.Delete); newer.NotAfter != 8 {
		t.Errorf("the newer change goes as not after %d", newer.NotAfter)
	}
}

// TestLateChanges covers I2: a page is read behind changes that Apply tells of later.
// What the page shows is newer than they are, or gone: nothing older is sent again, and
// nothing newer is settled with it.
func TestLateChanges(t *testing.T) {
	now, keys := time.Now(), numbers(5)
	b := New(10, 3)
	b.Apply(audience.Add, slices.Values(keys[:1]), 4, 10)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{
		{Key: keys[1], Verb: audience.Delete, Version: 8},
		{Key: keys[2], Verb: audience.Add, Version: 3},
	}}, true, now)
	b.Apply(audience.Add, slices.Values(keys[1:2]), 5, 10) // was overwritten by the delete
	if b.HeldOf(audience.Delete) != 1 {
		t.Error("the older change took the place of the one that was drawn")
	}
	b.Apply(audience.Delete, slices.Values(keys[:1]), 6, 10)  // of a key that is held
	b.Apply(audience.Add, slices.Values(keys[3:4]), 7, 10)    // may be settled by now: the journal knows
	b.Apply(audience.Delete, slices.Values(keys[1:2]), 8, 10) // what the page has shown
	if b.HeldOf(audience.Add) != 1 || b.HeldOf(audience.Delete) != 2 || !b.HasStored() {
		t.Errorf("%d to add, %d to delete, others stored: %v", b.HeldOf(audience.Add), b.HeldOf(audience.Delete), b.HasStored())
	}
	chunk := b.Cut(audience.Delete)
	b.Apply(audience.Add, slices.Values(keys[1:2]), 9, 10) // while its delete is in flight
	settled, _ := b.Delivered()
	if settled.Len() != 1 || !settled.Has(keys[0]) || b.HeldOf(audience.Add) != 2 {
		t.Errorf("%d keys are settled, %d to add", settled.Len(), b.HeldOf(audience.Add))
	}
	if chunk.NotAfter != 8 {
		t.Errorf("the chunk goes as not after %d", chunk.NotAfter)
	}
}

// TestLateChangesOfTwoPages covers I2: a page that was read later shows what is newer
// than an earlier page. A change between the two is newer than what the earlier one has
// shown; of the post that the later one has shown, the other keys are the journal's.
func TestLateChangesOfTwoPages(t *testing.T) {
	keys := numbers(3)
	b := New(10, 3)
	b.Unread(true)
	b.Draw()
	first := journal.Entry{Key: keys[0], Verb: audience.Delete, Version: 5}
	b.Drawn(journal.Page{Entries: []journal.Entry{first}, Next: journal.CursorAt(keys[0]), More: true}, true, noon)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{{Key: keys[1], Verb: audience.Add, Version: 8}}}, false, noon)
	expect := func(adds, deletes, stored int) {
		t.Helper()
		if b.HeldOf(audience.Add) != adds || b.HeldOf(audience.Delete) != deletes || b.Stored() != stored {
			t.Errorf("%d adds, %d deletes, %d stored", b.HeldOf(audience.Add), b.HeldOf(audience.Delete), b.Stored())
		}
	}
	expect(1, 1, 0)
	b.Apply(audience.Add, slices.Values(keys[:1]), 7, 10)
	expect(2, 0, 0)
	b.Apply(audience.Add, slices.Values(keys[1:]), 8, 10)
	expect(2, 0, 1)
}

// TestDrawnBeforeItWasTold: a key that a page has shown with a change that Apply has not
// told of is settled as it was drawn: the version that covers all others would also take
// a change of another key that is on its way.
func TestDrawnBeforeItWasTold(t *testing.T) {
	now, keys := time.Now(), numbers(2)
	b := New(10, 3)
	b.Apply(audience.Add, slices.Values(keys[:1]), 4, 10)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{{Key: keys[1], Verb: audience.Add, Version: 6}}}, true, now) // and 5 is on its way
	chunk := b.Cut(audience.Add)
	settled, _ := b.Delivered()
	selection := b.Select(settled, chunk.NotAfter)
	if drawn := maps.Collect(selection.Drawn); selection.NotAfter != 4 || !maps.Equal(drawn, map[audience.Key]journal.Version{keys[1]: 6}) {
		t.Errorf("not after %d, %d drawn", selection.NotAfter, len(drawn))
	}
}

// TestDiscardSparesTheUntold covers I3: a change came after the operator's wish, and a
// page shows it before Apply tells of it. It is not discarded with what was meant.
func TestDiscardSparesTheUntold(t *testing.T) {
	now, keys := time.Now(), numbers(3)
	b := New(10, 4)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{
		{Key: keys[0], Verb: audience.Add, Version: 4},
		{Key: keys[1], Verb: audience.Add, Version: 6},
		{Key: keys[2], Verb: audience.Add, Version: journal.MakeVersion(3, 1)},
	}}, true, now)
	if b.HasStored() {
		t.Fatal("all is drawn")
	}
	gone := b.Discard(audience.Add, &audience.KeySet{})
	if gone.Len() != 2 || gone.Has(keys[1]) || !b.HasStored() {
		t.Errorf("%d keys are discarded; others are stored: %v", gone.Len(), b.HasStored())
	}
}
