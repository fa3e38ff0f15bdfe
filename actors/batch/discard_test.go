package batch

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
)

// TestBatchDiscard covers I3: a discard takes every key out of the journal that was
// pending when it began, wherever it was, and none that was accepted since.
func TestBatchDiscard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.live(t)
		want := maps.Clone(w.split)
		var spared audience.KeySet
		meanwhile := rapid.SliceOfN(rapid.SliceOfN(rapid.Int64Range(0, 12), 0, 3), 0, 6).Draw(t, "meanwhile")
		for last := w.batch.AllSeen(); !w.discard(&spared) || !w.batch.SeenAll(last); {
			if w.batch.WantsDraw() && w.page == nil {
				w.read()
			}
			if len(meanwhile) > 0 {
				w.acceptSpared(meanwhile[0], &spared, want)
				meanwhile = meanwhile[1:]
			} else if w.page != nil {
				w.hand()
			}
		}
		for key := range w.journal {
			if !spared.Has(key) {
				t.Fatal("a key that was to be discarded is left")
			}
		}
		w.settle(w.atRest)
		if !maps.Equal(w.split, want) {
			t.Fatalf("Split has %d keys, want %d", len(w.split), len(want))
		}
	})
}

// discard deletes what is held; true, so that it can stand in a condition.
func (w *world) discard(spared *audience.KeySet) bool {
	w.batch.Ground()
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		for key := range w.batch.Discard(verb, spared).All() {
			if spared.Has(key) {
				w.t.Fatal("a key is discarded that was accepted after the discard began")
			}
			delete(w.journal, key)
		}
	}
	return true
}

// acceptSpared adds keys while a discard goes on: they stay in the journal alone.
func (w *world) acceptSpared(numbers []int64, spared *audience.KeySet, want map[audience.Key]bool) {
	var keys []audience.Key
	for _, n := range numbers {
		key := audience.NumericKey(n)
		keys = append(keys, key)
		spared.Add(key)
		want[key] = true
	}
	held := w.maxHeld
	w.maxHeld = 0
	w.accept(audience.Add, keys)
	w.maxHeld = held
}
