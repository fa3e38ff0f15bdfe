package embedded

import (
	"testing"

	"audiences/audience"
)

// TestPace: fsyncs are kept apart after a group that several callers shared, and
// after no other; a caller who is alone is never held up.
func TestPace(t *testing.T) {
	var p pace
	for _, c := range []struct {
		operations int
		apart      bool
	}{{1, false}, {2, true}, {100, true}, {1, false}} {
		if p.follow(c.operations); p.interval() > 0 != c.apart {
			t.Errorf("%d operations: %v apart", c.operations, p.interval())
		}
	}
	j := open(t, Options{Dir: t.TempDir()})
	j.pace.follow(2)
	add(t, j, segment(tenant("a"), "s"), audience.Add, numbers(1, 1)...)
	if j.pace.interval() != 0 {
		t.Error("a group of one holds up the next")
	}
	j.pace.follow(2)
	if every := j.storeOptions(true).WALMinSyncInterval; every == nil || every() != fsyncsApart {
		t.Error("the store does not follow the pace")
	}
}
