package batch

import (
	"strconv"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// TestPlanned: of each verb as many calls as its keys need, with some of them; looking
// changes nothing.
func TestPlanned(t *testing.T) {
	b := New(3, 0)
	b.Forget() // the journal has nothing
	if got := b.Planned(2); len(got) != 0 {
		t.Errorf("nothing is pending, and %d are planned", len(got))
	}
	for n := range 7 {
		key, _ := audience.ParseKey(strconv.Itoa(n))
		b.Apply(audience.Add, audience.KeysOf(key).All(), journal.Version(n+1), 100)
	}
	b.Apply(audience.Delete, audience.KeysOf(audience.NumericKey(6)).All(), 8, 100)
	for range 2 {
		got := b.Planned(2)
		if len(got) != 2 {
			t.Fatalf("%d are planned, want an add and a delete", len(got))
		}
		if p := got[0]; p.Verb != audience.Add || p.Keys != 6 || p.Calls != 2 || len(p.Some) != 2 {
			t.Errorf("of adds: %d keys in %d calls, %d shown", p.Keys, p.Calls, len(p.Some))
		}
		if p := got[1]; p.Verb != audience.Delete || p.Keys != 1 || p.Calls != 1 || len(p.Some) != 1 {
			t.Errorf("of deletes: %d keys in %d calls, %d shown", p.Keys, p.Calls, len(p.Some))
		}
	}
	b.Follow(time.Now(), time.Second)
	if b.Cut(audience.Add); b.Planned(2)[0].Keys != 6 {
		t.Error("the keys of a call under way are not counted")
	}
}
