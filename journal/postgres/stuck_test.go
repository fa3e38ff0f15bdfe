//go:build e2e

package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/audience"
	"audiences/journal"
)

// TestStuckIsCounted: what waits for an operator is counted by the node that delivers for it.
func TestStuckIsCounted(t *testing.T) {
	c := newCluster(t)
	registry := prometheus.NewRegistry()
	j := c.owner(func(o *Options) { o.Registerer, o.Reasons = registry, []string{"bad_request"} })
	idle := prometheus.NewRegistry()
	other := c.node(func(o *Options) { o.Registerer, o.Reasons = idle, []string{"bad_request"} })
	s, refused := segment(tenant("token"), "s"), segment(tenant("token"), "refused")
	c.park(j, s, audience.Add, covered("1 2", c.accept(j, s, audience.Add, "1 2 3")), "bad_request")
	c.park(j, s, audience.Add, covered("3", j.Newest()), "of a later program")
	set := func(s audience.Segment, state journal.SegmentState) {
		t.Helper()
		if err := wait(c, func(done func(error)) { j.SetSegmentState(s, state, done) }); err != nil {
			t.Fatal(err)
		}
	}
	set(s, journal.SegmentState{Paused: true})
	set(refused, journal.SegmentState{Parked: &journal.Refusal{Reason: "bad_request"}})
	if err := wait(c, func(done func(error)) { j.SetTenantState(s.Tenant, journal.TenantState{Paused: true}, done) }); err != nil {
		t.Fatal(err)
	}
	j.readHealth()
	other.readHealth()
	for from, counts := range map[*prometheus.Registry][]any{registry: {2, 1, 1, 0, 1, 1}, idle: {0, 0, 0, 0, 0, 0}} {
		want := fmt.Sprintf(`
# HELP audiences_keys_parked Keys that are parked, by reason.
# TYPE audiences_keys_parked gauge
audiences_keys_parked{reason="bad_request"} %d
audiences_keys_parked{reason="other"} %d
# HELP audiences_segments_parked Segments that are parked, by reason.
# TYPE audiences_segments_parked gauge
audiences_segments_parked{reason="bad_request"} %d
audiences_segments_parked{reason="other"} %d
# HELP audiences_segments_paused Segments that an operator has paused.
# TYPE audiences_segments_paused gauge
audiences_segments_paused %d
# HELP audiences_tenants_paused Tenants that an operator has paused.
# TYPE audiences_tenants_paused gauge
audiences_tenants_paused %d
`, counts...)
		if err := testutil.GatherAndCompare(from, strings.NewReader(want), "audiences_keys_parked", "audiences_segments_parked", "audiences_segments_paused", "audiences_tenants_paused"); err != nil {
			t.Error(err)
		}
	}
}
