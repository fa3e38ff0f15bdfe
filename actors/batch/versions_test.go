package batch

import (
	"maps"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// TestVersions: keys that this process accepted are named by one version that covers
// them all, keys with a change of another node by the version that was drawn.
func TestVersions(t *testing.T) {
	now, keys := time.Now(), numbers(6)
	foreign, own := journal.MakeVersion(3, 2), journal.MakeVersion(ownNode, 7)
	b := New(10)
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
	if selection.NotAfter != 9 || b.Newest() != 11 {
		t.Errorf("not after %d, newest %d", selection.NotAfter, b.Newest())
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
	if len(b.versions.foreign) != 0 {
		t.Errorf("%d versions are kept of keys that have left", len(b.versions.foreign))
	}
}

// TestVersionsOfRemains: what is kept of a batch that its caller lets go is settled as
// it was, also what was accepted after the call, which the journal alone has else.
func TestVersionsOfRemains(t *testing.T) {
	now, keys := time.Now(), numbers(2)
	foreign := journal.MakeVersion(3, 2)
	b := New(10)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{{Key: keys[0], Verb: audience.Add, Version: foreign}}}, true, now)
	b.Apply(audience.Add, slices.Values(keys[1:]), 5, 10)
	b.Cut(audience.Add)
	b.Apply(audience.Delete, slices.Values(keys[1:]), 8, 10)
	woken := New(10)
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
