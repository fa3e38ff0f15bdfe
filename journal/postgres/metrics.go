package postgres

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"audiences/histogram"
)

// metrics are the journal's series; their meaning is in docs/metrics.md. Those that the
// embedded journal has as well have the same names.
type metrics struct {
	commitSeconds prometheus.Histogram
	commitPosts   prometheus.Histogram
	away          prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	with := promauto.With(registerer)
	return &metrics{
		commitSeconds: with.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_seconds",
			Help:    "Time that a commit of the journal took that had to be durable, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), // 0.1 ms to 2.4 s
		})),
		commitPosts: with.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_operations",
			Help:    "Operations that were merged into one commit of the journal.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7), // 1 to 4096
		})),
		away: with.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_database_away",
			Help: "1 while the journal's database does not answer.",
		}),
	}
}
