package batch

import (
	"fmt"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// trial is a batch before a Split that refuses calls by a rule of the test.
type trial struct {
	t                *testing.T
	batch            Batch
	refuses          func(call int, keys *audience.KeySet) bool
	tooLarge         bool // the refusals are for the size of the call
	sizes            []int
	delivered, found audience.KeySet
	segmentRefused   bool
	released         int // keys that were found first
}

func newTrial(t *testing.T, keys, maxChunk int) *trial {
	tr := &trial{t: t, batch: New(maxChunk, 0)}
	tr.apply(audience.Add, numbers(keys)...)
	return tr
}

func numbers(n int) []audience.Key {
	keys := make([]audience.Key, n)
	for i := range keys {
		keys[i] = audience.NumericKey(int64(i))
	}
	return keys
}

func (tr *trial) apply(verb audience.Verb, keys ...audience.Key) {
	tr.batch.Apply(verb, slices.Values(keys), 1, 2*tr.batch.MaxChunk())
}

// call makes one call, and reports whether there was one to make.
func (tr *trial) call() bool {
	if tr.segmentRefused {
		return false
	}
	c := tr.batch.Next(noon, 0)
	if c == nil {
		return false
	}
	tr.sizes = append(tr.sizes, c.len())
	if c.len() == 0 {
		tr.t.Fatal("an empty call (I5)")
	}
	var found *audience.KeySet
	if tr.refuses(len(tr.sizes), c.Keys) {
		refusal := tr.batch.Refused(journal.Refusal{}, tr.tooLarge)
		found, tr.segmentRefused = refusal.Park, refusal.SegmentRefused
		tr.release(refusal.Release)
	} else {
		var settled *audience.KeySet
		settled, found = tr.batch.Delivered()
		for key := range settled.All() {
			tr.delivered.Add(key)
		}
	}
	if found != nil {
		for key := range found.All() {
			tr.found.Add(key)
		}
	}
	return true
}

// release has keys that were found before be pending again.
func (tr *trial) release(keys *audience.KeySet) {
	if keys == nil {
		return
	}
	for key := range keys.All() {
		if !tr.found.Remove(key) {
			tr.t.Error("a key is released that was not found")
		}
		tr.released++
	}
}

func (tr *trial) run() *trial {
	for tr.call() {
	}
	return tr
}

func (tr *trial) expect(delivered, found, held, calls int) {
	tr.t.Helper()
	if tr.delivered.Len() != delivered || tr.found.Len() != found || tr.batch.Held() != held || len(tr.sizes) > calls {
		tr.t.Errorf("%d keys delivered, %d found, %d held, calls of %v; want %d, %d, %d in at most %d calls",
			tr.delivered.Len(), tr.found.Len(), tr.batch.Held(), tr.sizes, delivered, found, held, calls)
	}
	if tr.batch.hunt != nil || tr.batch.flight != nil {
		tr.t.Error("the hunt is not over")
	}
}

// refuseKeys is a Split that refuses calls with any of these keys.
func refuseKeys(bad ...int64) func(int, *audience.KeySet) bool {
	return func(_ int, keys *audience.KeySet) bool {
		for _, n := range bad {
			if keys.Has(audience.NumericKey(n)) {
				return true
			}
		}
		return false
	}
}

// TestHuntFindsTheKey covers I3: one bad key is found, all others are delivered,
// and the calls grow with the logarithm of the keys.
func TestHuntFindsTheKey(t *testing.T) {
	for _, c := range []struct{ keys, calls int }{{2, 3}, {3, 5}, {10, 10}, {1000, 22}, {10_000, 30}} {
		for _, bad := range []int64{0, int64(c.keys) / 2, int64(c.keys) - 1} {
			t.Run(fmt.Sprintf("%d of %d", bad, c.keys), func(t *testing.T) {
				tr := newTrial(t, c.keys, 10_000)
				tr.refuses = refuseKeys(bad)
				tr.run().expect(c.keys-1, 1, 0, c.calls)
				if !tr.found.Has(audience.NumericKey(bad)) {
					t.Error("another key was found")
				}
			})
		}
	}
}

// TestHuntTwoBadKeysInDifferentHalves: both halves are refused alike, the single
// key tells that it is not the segment, and both are found.
func TestHuntTwoBadKeysInDifferentHalves(t *testing.T) {
	tr := newTrial(t, 10_000, 10_000)
	var first, second audience.Key
	var half []audience.Key
	tr.refuses = func(call int, keys *audience.KeySet) bool {
		switch call {
		case 2:
			first = anyOf(keys)
		case 3:
			for key := range keys.All() {
				half = append(half, key)
			}
		case 4:
			if keys.Len() != 1 {
				t.Fatalf("after both halves a call with %d keys, want a single one", keys.Len())
			}
			for _, key := range half {
				if !keys.Has(key) {
					second = key // another one of that half
					break
				}
			}
			return false
		}
		return call < 4 || keys.Has(first) || keys.Has(second)
	}
	tr.run().expect(9_998, 2, 0, 4+2*26)
	if !tr.found.Has(first) || !tr.found.Has(second) {
		t.Error("other keys were found")
	}
	if tr.sizes[4] > 2_500 {
		t.Errorf("calls of %v: a half that is known to be refused was sent whole again", tr.sizes[:6])
	}
}

func anyOf(keys *audience.KeySet) audience.Key {
	for key := range keys.All() {
		return key
	}
	return audience.Key{}
}

// TestHuntSingleKeyChanges covers I3: when the single key changes while it is
// tried, its refusal says nothing of the rest, and no sound key is found.
func TestHuntSingleKeyChanges(t *testing.T) {
	for range 20 { // the single key is drawn by the order of a map
		tr := newTrial(t, 4, 4)
		var bad audience.Key
		tr.refuses = func(call int, keys *audience.KeySet) bool {
			switch {
			case call < 4:
				return true
			case call == 4:
				bad = anyOf(keys)
				tr.apply(audience.Delete, bad)
				return true
			}
			return keys.Has(bad) && tr.batch.flight.Verb == audience.Add
		}
		tr.run()
		if tr.segmentRefused || tr.delivered.Len() != 4 || tr.found.Len() != 0 {
			t.Fatalf("the segment refused: %v; %d keys delivered, %d found in calls of %v; want 4 and none", tr.segmentRefused, tr.delivered.Len(), tr.found.Len(), tr.sizes)
		}
	}
}

// TestHuntEndsWhereEverythingIsRefused: a handful of calls, and every key
// is held again.
func TestHuntEndsWhereEverythingIsRefused(t *testing.T) {
	for keys, calls := range map[int]int{2: 3, 3: 3, 4: 4, 7: 4, 10_000: 4} {
		tr := newTrial(t, keys, 10_000)
		tr.refuses = func(int, *audience.KeySet) bool { return true }
		tr.run().expect(0, 0, keys, calls)
		if !tr.segmentRefused {
			t.Errorf("%d keys: not found to be the segment's fault", keys)
		}
	}
}

// TestSingleKeysThatAreRefusedInARow: one such chunk is the key's fault, a third
// one in a row is the segment's; a delivered one between them begins anew.
func TestSingleKeysThatAreRefusedInARow(t *testing.T) {
	tr := newTrial(t, 0, 10)
	for n, refused := range []bool{true, true, false, true, true, true} {
		tr.apply(audience.Add, audience.NumericKey(int64(n)))
		tr.refuses = func(int, *audience.KeySet) bool { return refused }
		tr.call()
		if want := n == 5; tr.segmentRefused != want {
			t.Fatalf("chunk %d: the segment's fault: %v", n, tr.segmentRefused)
		}
	}
	if tr.expect(1, 2, 1, 6); tr.released != 2 {
		t.Errorf("%d keys are released, want the 2 that were found in the same row", tr.released)
	}
}

// TestHuntNewerChangeWins covers I2: a key of the hunt that changes again leaves
// it with its newer verb, whether it waits in a part or is in flight.
func TestHuntNewerChangeWins(t *testing.T) {
	for calls := range 8 {
		tr := newTrial(t, 16, 16)
		tr.refuses = refuseKeys(5)
		for range calls {
			tr.call()
		}
		if tr.found.Len() > 0 {
			break // the hunt has found it: there is nothing to leave any more
		}
		tr.apply(audience.Delete, audience.NumericKey(5))
		if !tr.batch.deletes.Has(audience.NumericKey(5)) || tr.batch.adds.Has(audience.NumericKey(5)) {
			t.Fatalf("after %d calls: the newer delete is not held", calls)
		}
		adds := tr.refuses
		tr.refuses = func(call int, keys *audience.KeySet) bool { // only the add is bad
			return tr.batch.flight.Verb == audience.Add && adds(call, keys)
		}
		tr.run().expect(16, 0, 0, 20)
	}
}

// TestHuntHasABudget covers I3: with bad keys everywhere the hunt ends, and every
// key is delivered or found.
func TestHuntHasABudget(t *testing.T) {
	tr := newTrial(t, 10_000, 10_000)
	cleared := false
	tr.refuses = func(call int, keys *audience.KeySet) bool {
		if keys.Len() == 1 && !cleared {
			cleared = true // the look at a single key: the segment is sound
			return false
		}
		for key := range keys.All() {
			if n, _ := key.Numeric(); n%10 == 0 {
				return true
			}
		}
		return false
	}
	tr.run()
	if got := tr.delivered.Len() + tr.found.Len(); got != 10_000 {
		t.Errorf("%d keys are delivered or found, want all 10,000", got)
	}
	if len(tr.sizes) > 2*huntCalls {
		t.Errorf("%d calls, want at most %d", len(tr.sizes), 2*huntCalls)
	}
}

// TestTooLargeIsHalvedUntilItPasses: no key is at fault, whatever the limit is;
// it is learned once, and no later call is larger.
func TestTooLargeIsHalvedUntilItPasses(t *testing.T) {
	for _, limit := range []int{1, 2, 10, 78, 100, 2_500, 5_000, 9_999} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			tr := newTrial(t, 10_000, 10_000)
			tr.tooLarge = true
			refused := 0
			tr.refuses = func(_ int, keys *audience.KeySet) bool {
				if keys.Len() > limit {
					refused++
					return true
				}
				return false
			}
			tr.run().expect(10_000, 0, 0, 15+2*10_000/limit)
			if refused > 14 {
				t.Errorf("%d calls were too large; want at most one for each halving", refused)
			}
			if tr.batch.maxChunk > limit {
				t.Errorf("the next call may have %d keys, the limit is %d", tr.batch.maxChunk, limit)
			}
		})
	}
}

// TestTooLargeSingleKey: a key that is too large by itself is found like any
// other bad one.
func TestTooLargeSingleKey(t *testing.T) {
	tr := newTrial(t, 8, 8)
	tr.tooLarge = true
	tr.refuses = refuseKeys(3)
	for tr.call() {
	}
	tr.expect(7, 1, 0, 20)
}

// TestTooLargeEndsTheHunt: no key is looked for among those of a call that was too
// large; all are held again, and go in smaller calls.
func TestTooLargeEndsTheHunt(t *testing.T) {
	tr := newTrial(t, 16, 16)
	tr.refuses = func(int, *audience.KeySet) bool { return true }
	tr.call()
	if !tr.batch.Hunting() {
		t.Fatal("nothing is looked for")
	}
	tr.tooLarge = true
	tr.call()
	if tr.expect(0, 0, 16, 2); tr.batch.MaxChunk() != 4 {
		t.Errorf("a call has %d keys at most, want half of the 8 that were too many", tr.batch.MaxChunk())
	}
}
