package splitclient

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/audience"
	"audiences/histogram"
)

// metrics count calls, never per tenant or segment: such labels grow without
// bound and name customers.
type metrics struct {
	calls    map[Reason]prometheus.Counter
	keys     map[audience.Verb]prometheus.Counter
	duration prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_split_calls_total",
		Help: "Calls to Split by what became of them; invalid_call was never made.",
	}, []string{"reason"})
	keys := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_split_keys_sent_total",
		Help: "Keys in calls that left for Split, whatever became of them; repeated calls count again.",
	}, []string{"verb"})
	m := &metrics{
		calls: make(map[Reason]prometheus.Counter, len(reasons)),
		keys:  make(map[audience.Verb]prometheus.Counter, 2),
		duration: prometheus.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_split_call_duration_seconds",
			Help:    "Time of one call to Split, from dialling to the answer's last byte or the failure.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		})),
	}
	for _, r := range reasons {
		m.calls[r] = calls.WithLabelValues(string(r))
	}
	for _, v := range []audience.Verb{audience.Add, audience.Delete} {
		m.keys[v] = keys.WithLabelValues(v.String())
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{calls, keys, m.duration} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// refused counts a call that was not made.
func (m *metrics) refused(out Outcome) { m.calls[out.Reason].Inc() }

// called counts a call that was made, or tried.
func (m *metrics) called(out Outcome, call Call, sent bool, took time.Duration) {
	m.calls[out.Reason].Inc()
	m.duration.Observe(took.Seconds())
	if sent {
		m.keys[call.Verb].Add(float64(call.Keys.Len()))
	}
}
