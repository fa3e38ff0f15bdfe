package batch

import (
	"slices"
	"testing"
	"time"

	"audiences/audience"
)

// TestRemainsAreTheFlight covers I4: what is kept of a batch is the call without an
// outcome, unchanged, and the newer changes of its keys beside it; the rest is in the
// journal, and is read from there.
func TestRemainsAreTheFlight(t *testing.T) {
	b := New(5, 0)
	b.Apply(audience.Add, slices.Values(numbers(8)), 1, 10)
	chunk := b.Cut(audience.Add)
	again := anyOf(chunk.Keys)
	b.Apply(audience.Delete, slices.Values([]audience.Key{again}), 1, 10)

	kept := b.Remains()
	if adds, deletes := kept.Counts(); adds != 5 || deletes != 1 || kept.Weight() != 6 {
		t.Errorf("%d to add, %d to delete, weight %d; want 5, 1, 6", adds, deletes, kept.Weight())
	}
	woken := New(5, 0)
	woken.Restore(b.LastVerb(), kept, noon, noon)
	if woken.Flight() != chunk || woken.HeldOf(audience.Delete) != 1 || woken.HeldOf(audience.Add) != 0 || !woken.HasStored() {
		t.Errorf("woken with %d adds and %d deletes", woken.HeldOf(audience.Add), woken.HeldOf(audience.Delete))
	}
	if settled, _ := woken.Delivered(); settled.Len() != 4 || settled.Has(again) {
		t.Errorf("%d keys are settled, want the 4 that did not change (I2)", settled.Len())
	}
	if woken.Remains() != nil {
		t.Error("something is kept of a batch with nothing in flight")
	}
}

// TestRemainsAreReadWhileTheyWake: the counts of what is kept stay the same while the
// batch that was made of it takes changes.
func TestRemainsAreReadWhileTheyWake(t *testing.T) {
	b := New(5, 0)
	b.Apply(audience.Add, slices.Values(numbers(5)), 1, 10)
	b.Cut(audience.Add)
	b.Apply(audience.Delete, slices.Values(numbers(1)), 1, 10)
	kept := b.Remains()
	woken := New(5, 0)
	woken.Restore(audience.Add, kept, noon, noon)
	woken.deletes.Add(audience.NumericKey(10))
	if adds, deletes := kept.Counts(); adds != 5 || deletes != 1 {
		t.Errorf("%d to add, %d to delete; want 5 and 1, as before", adds, deletes)
	}
}

// TestRestoredWithoutAnEnd: what was paused without an end, and so not due, repeats
// its call at once when it is woken.
func TestRestoredWithoutAnEnd(t *testing.T) {
	b := New(5, 0)
	b.Apply(audience.Add, slices.Values(numbers(1)), 1, 10)
	b.Cut(audience.Add)
	woken := New(5, 0)
	woken.Restore(audience.Add, b.Remains(), noon.Add(-1), noon)
	if !woken.Repeat().Equal(noon.Add(-1)) {
		t.Errorf("repeated at %v, want when it was due", woken.Repeat())
	}
	other := New(5, 0)
	other.Restore(audience.Add, woken.Remains(), time.Time{}, noon)
	if !other.Repeat().Equal(noon) {
		t.Errorf("repeated at %v, want now", other.Repeat())
	}
}

// TestRemainsAreCounted by their verbs, those of the call and the newer ones beside it;
// of nothing there are none.
func TestRemainsAreCounted(t *testing.T) {
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		b := New(5, 0)
		b.Apply(verb, slices.Values(numbers(4)), 1, 10)
		b.Cut(verb)
		b.Apply(verb, slices.Values(numbers(3)), 1, 10)
		b.Apply(verb.Opposite(), slices.Values(numbers(1)), 1, 10)
		of := map[audience.Verb]int{verb: 4 + 2, verb.Opposite(): 1}
		kept := b.Remains()
		if adds, deletes := kept.Counts(); adds != of[audience.Add] || deletes != of[audience.Delete] || kept.Weight() != 7 {
			t.Errorf("%v: %d to add, %d to delete, weight %d", verb, adds, deletes, kept.Weight())
		}
	}
	var none *Remains
	if adds, deletes := none.Counts(); adds != 0 || deletes != 0 || none.Weight() != 0 {
		t.Errorf("of nothing %d to add, %d to delete, weight %d", adds, deletes, none.Weight())
	}
}
