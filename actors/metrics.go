package actors

import (
	"audiences/audience"
	"audiences/splitclient"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the actors; docs/metrics.md lists them. No tenant, segment or key
// is a label: their number has no bound.
type metrics struct {
	tenants, segments prometheus.Gauge
	pending           prometheus.Gauge
	uncounted         prometheus.Gauge
	flushLag          prometheus.Histogram
	crashes           prometheus.Counter
	undelivered       prometheus.Counter
	dormant           prometheus.Gauge
	delivered         map[audience.Verb]prometheus.Counter
	parkedKeys        *prometheus.CounterVec
	parkedSegments    *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	delivered := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_keys_delivered_total", Help: "Keys that Split confirmed, by verb."}, []string{"verb"})
	m := &metrics{
		tenants: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_tenants_active", Help: "Tenants whose actor is in memory."}),
		segments: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_segments_active", Help: "Segments whose actor is in memory."}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_keys_pending", Help: "Keys accepted and not settled, of active segments and dormant tenants; an upper bound once audiences_segments_uncounted is 0."}),
		uncounted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_segments_uncounted", Help: "Active segments whose keys in the journal are being counted."}),
		flushLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "audiences_flush_lag_seconds", Help: "From a batch being due to its call being sent.",
			Buckets: []float64{.001, .005, .025, .1, .25, 1, 5, 30, 120, 600}}),
		crashes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "audiences_actor_crashes_total", Help: "Panics in actors and calls; each one is a bug."}),
		undelivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "audiences_undelivered_messages_total", Help: "Messages to actors that had ended."}),
		dormant: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_tenants_dormant", Help: "Tenants with pending keys that never delivered anything and wait without an actor for their turn."}),
		delivered: map[audience.Verb]prometheus.Counter{},
		parkedKeys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_keys_parked_total", Help: "Keys that Split refused for good, by reason."}, []string{"reason"}),
		parkedSegments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_segments_parked_total", Help: "Segments that Split refused for good, by reason."}, []string{"reason"}),
	}
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		m.delivered[verb] = delivered.WithLabelValues(verb.String())
	}
	for _, reason := range splitclient.Reasons() {
		m.parkedKeys.WithLabelValues(string(reason))
		m.parkedSegments.WithLabelValues(string(reason))
	}
	if r != nil {
		r.MustRegister(m.tenants, m.segments, m.pending, m.uncounted, m.flushLag, m.crashes, m.undelivered, m.dormant, delivered, m.parkedKeys, m.parkedSegments)
	}
	return m
}
