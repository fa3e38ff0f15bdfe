package placement

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"audiences/audience"
	"audiences/histogram"
)

// metrics are a node's series; their meaning is in docs/metrics.md. What the table told
// stays while it does not answer.
type metrics struct {
	slots, unowned prometheus.Gauge
	nodes          prometheus.Gauge
	share          prometheus.Gauge
	beat           prometheus.Histogram
	lapses         prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, lease *Lease) *metrics {
	with := promauto.With(registerer)
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: "audiences_node_lease_held", Help: "1 while this node has its lease, and may call Split for its tenants; else 0."}, func() float64 {
		if lease.Held() != nil {
			return 0
		}
		return 1
	})
	return &metrics{
		slots:   gauge("audiences_node_slots", "Slots whose tenants this node delivers for, of 256."),
		unowned: gauge("audiences_slots_unowned", "Slots whose owner has no lease, or that no node owns, as this one saw it last."),
		nodes:   gauge("audiences_nodes", "Nodes that share the journal, as this one saw them last, itself among them."),
		share:   gauge("audiences_node_egress_share", "Part of its address's budget that this node may use, from 0 to 1."),
		beat: with.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name: "audiences_node_beat_seconds", Help: "Time of a beat, which renews the lease, from being sent to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		})),
		lapses: with.NewCounter(prometheus.CounterOpts{
			Name: "audiences_node_lease_lapses_total", Help: "How often this node's lease was over before it was renewed."}),
	}
}

// saw takes over what the table told.
func (m *metrics) saw(view *View, owned audience.Slots, share float64) {
	m.slots.Set(float64(owned.Len()))
	m.unowned.Set(float64(view.unowned()))
	m.nodes.Set(float64(len(view.Members)))
	m.share.Set(share)
}

// unowned is how many slots nobody can deliver for at the moment: their owner is gone, or its
// lease is over.
func (v *View) unowned() (n int) {
	serving := map[NodeID]bool{}
	for _, m := range v.Members {
		serving[m.ID] = m.Expires.After(v.Now)
	}
	for _, owner := range v.Owners {
		if !serving[owner] {
			n++
		}
	}
	return n
}
