package actors

import (
	"audiences/audience"
	"audiences/histogram"
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
	callKeys          prometheus.Histogram
	freshness         *histogram.Weighted
	waited            map[waitReason]prometheus.Observer
	crashes           prometheus.Counter
	undelivered       prometheus.Counter
	dormant           prometheus.Gauge
	delivered         map[audience.Verb]prometheus.Counter
	parkedKeys        *prometheus.CounterVec
	parkedSegments    *prometheus.CounterVec
	off               prometheus.Gauge
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
		flushLag: prometheus.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name: "audiences_flush_lag_seconds", Help: "From a batch being due to its call being sent.",
			Buckets: []float64{.001, .005, .025, .1, .25, 1, 5, 30, 120, 600}})),
		callKeys: prometheus.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name: "audiences_call_keys", Help: "Keys of a call to Split; repetitions do not count again.",
			Buckets: []float64{1, 3, 10, 30, 100, 300, 1000, 3000, 10000}})),
		freshness: histogram.NewWeighted("audiences_freshness_seconds", "From a key's being accepted to Split's confirming it; of a call all keys count as the oldest of them.",
			[]float64{1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120, 300, 900, 3600, 14400, 86400}),
		waited: map[waitReason]prometheus.Observer{},
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
		off: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_delivery_off", Help: "1 while deliver is false in the configuration, and no call to Split is made; else 0."}),
	}
	waited := prometheus.NewHistogramVec(histogram.Native(prometheus.HistogramOpts{
		Name: "audiences_waited_seconds", Help: "How long tenants that wanted to call could not, by what kept them.",
		Buckets: []float64{.01, .1, 1, 5, 30, 120, 600, 3600, 14400, 86400}}), []string{"reason"})
	for _, reason := range waitReasons {
		m.waited[reason] = waited.WithLabelValues(string(reason))
	}
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		m.delivered[verb] = delivered.WithLabelValues(verb.String())
	}
	for _, reason := range splitclient.Reasons() {
		m.parkedKeys.WithLabelValues(string(reason))
		m.parkedSegments.WithLabelValues(string(reason))
	}
	if r != nil {
		r.MustRegister(m.tenants, m.segments, m.pending, m.uncounted, m.flushLag, m.callKeys, m.freshness, waited, m.crashes, m.undelivered, m.dormant, delivered, m.parkedKeys, m.parkedSegments, m.off)
	}
	return m
}
