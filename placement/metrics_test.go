package placement

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shown are the gauges and counters of a registry by the ends of their names.
func shown(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		if m := family.GetMetric()[0]; m.GetHistogram() == nil {
			all = append(all, fmt.Sprint(strings.TrimPrefix(family.GetName(), "audiences_"), " ", m.GetGauge().GetValue()+m.GetCounter().GetValue()))
		}
	}
	return strings.Join(all, ", ")
}

// TestMetrics: what a node shows of itself while it holds all slots, beside another one,
// through an outage that is longer than its lease, and after the death of the other one.
func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		registry := prometheus.NewRegistry()
		expect := func(when string, share float64, held, lapses, slots, nodes, unowned int) {
			t.Helper()
			synctest.Wait()
			want := fmt.Sprintf("node_egress_share %v, node_lease_held %d, node_lease_lapses_total %d, node_slots %d, nodes %d, slots_unowned %d", share, held, lapses, slots, nodes, unowned)
			if got := shown(t, registry); got != want {
				t.Errorf("%s: %s\nwant %s", when, got, want)
			}
		}
		away := func(is bool) {
			in.mu.Lock()
			defer in.mu.Unlock()
			in.away = is
		}
		one := join(t, in, 1, func(o *Options) { o.Registerer = registry })
		time.Sleep(10 * time.Millisecond)
		expect("at work", 1, 1, 0, 256, 1, 0)
		time.Sleep(lease)
		two := join(t, in, 2)
		settle(t, time.Second, one, two)
		owned := one.has().Len()
		expect("with another one", .5, 1, 0, owned, 2, 0)
		away(true)
		time.Sleep(2 * lease)
		expect("in an outage", .5, 0, 1, owned, 2, 0)
		two.end()
		time.Sleep(time.Millisecond)
		away(false)
		time.Sleep(lease / 2)
		expect("when it is back, and may declare nobody dead yet", .5, 1, 1, owned, 2, 256-owned)
		time.Sleep(lease)
		expect("when it has taken over", 1, 1, 1, 256, 1, 0)
		one.end()
		time.Sleep(time.Millisecond)
		if err := one.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		expect("after its leave", 1, 0, 1, 256, 1, 0)
	})
}
