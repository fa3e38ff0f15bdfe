package embedded

import (
	"iter"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// TestFailedStepCountsNothing: a step that fails writes nothing, and nothing of it is told
// as done. What comes of the number is how many keys are still shown as parked.
func TestFailedStepCountsNothing(t *testing.T) {
	j, seg, to := open(t, inMemory()), segment(tenant("a"), "s"), tenant("b")
	add(t, j, seg, audience.Add, keys(1, 2, 3)...)
	park(t, j, seg, audience.Add, keys(1, 2, 3)...)
	if err := j.db.Set(journal.AppendKey(head(prefixParked, idOf(seg)), audience.NumericKey(3)), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for name, some := range map[string]iter.Seq[audience.Key]{"all": nil, "listed": slices.Values(keys(1, 2, 3))} {
		if n, err := unpark(j, journal.Unpark{Segment: seg, Keys: some}); n != 0 || err == nil {
			t.Errorf("%s: %d keys were unparked, %v", name, n, err)
		}
	}
	moved := make(chan int, 1)
	j.MoveTenant(seg.Tenant, to.ID, func(_ []audience.Segment, n int, err error) {
		if err == nil {
			t.Error("a damaged record was moved")
		}
		moved <- n
	})
	if n := <-moved; n != 0 {
		t.Errorf("%d keys were moved", n)
	}
	if left := count(j, seg); left.Parked != 3 || left.Pending != 0 {
		t.Errorf("%+v", left)
	}
}
