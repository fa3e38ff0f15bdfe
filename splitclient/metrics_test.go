package splitclient

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/audience"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	good := serve(t, reply{status: 200})
	c := newClientWith(t, Options{BaseURL: good, Registerer: registry})
	if n := testutil.CollectAndCount(registry, "audiences_split_calls_total"); n != len(Reasons()) {
		t.Errorf("%d series of %d reasons before the first call", n, len(Reasons()))
	}
	c.Do(t.Context(), call(audience.Add, "1", "2", "3"))
	c.Do(t.Context(), call(audience.Delete, "1"))
	c.Do(t.Context(), call(audience.Delete))
	c.base = "http://" + refused(t)
	c.Do(t.Context(), call(audience.Add, "1", "2")) // never left: its keys do not count
	for reason, want := range map[Reason]float64{OK: 2, InvalidCall: 1, Unreachable: 1, Timeout: 0} {
		if got := testutil.ToFloat64(c.metrics.calls[reason]); got != want {
			t.Errorf("%v calls %s, want %v", got, reason, want)
		}
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP audiences_split_keys_sent_total Keys in calls that left for Split, whatever became of them; repeated calls count again.
# TYPE audiences_split_keys_sent_total counter
audiences_split_keys_sent_total{verb="add"} 3
audiences_split_keys_sent_total{verb="delete"} 1
`), "audiences_split_keys_sent_total")
	if err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "audiences_split_call_duration_seconds" && f.Metric[0].Histogram.GetSampleCount() != 3 {
			t.Errorf("%d durations of 3 calls tried", f.Metric[0].Histogram.GetSampleCount())
		}
	}
	if _, err := New(Options{BaseURL: good, Registerer: registry}); err == nil {
		t.Error("two clients in one registry")
	}
}
