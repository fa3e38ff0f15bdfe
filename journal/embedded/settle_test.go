package embedded

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/audience"
)

// TestUnparkWhereParked: a change supersedes the parked keys of its segment, also
// those parked before a restart (I2), and costs nothing where there are none.
func TestUnparkWhereParked(t *testing.T) {
	options := inMemory()
	j, fresh, troubled := open(t, options), segment(tenant("a"), "fresh"), segment(tenant("a"), "troubled")
	park(t, j, troubled, audience.Add, numbers(0, 1000)...)
	written := func(seg audience.Segment, from int) float64 {
		before := testutil.ToFloat64(j.metrics.bytes)
		add(t, j, seg, audience.Add, numbers(from, 500)...) // with Unpark
		return testutil.ToFloat64(j.metrics.bytes) - before
	}
	if without, with := written(fresh, 0), written(troubled, 0); with < 1.5*without {
		t.Errorf("%.0f bytes written for a segment without parked keys, %.0f for one with", without, with)
	}
	if left := count(j, troubled); left.Parked != 500 {
		t.Errorf("%d parked keys, want 500", left.Parked)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options)
	written(troubled, 500)
	if left := count(j, troubled); left.Parked != 0 {
		t.Errorf("%d parked keys after a restart, want none", left.Parked)
	}
}
