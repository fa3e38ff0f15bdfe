package embedded

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the journal's series; their meaning is in docs/metrics.md.
type metrics struct {
	commitSeconds prometheus.Histogram
	commitOps     prometheus.Histogram
	bytes         prometheus.Counter
	queue         prometheus.Gauge
	setAside      prometheus.Gauge
	free          prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	with := promauto.With(registerer)
	return &metrics{
		commitSeconds: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_seconds",
			Help:    "Time that a commit of the journal took that had to be durable, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), // 0.1 ms to 2.4 s

			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}),
		commitOps: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_operations",
			Help:    "Operations that were merged into one commit of the journal.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7), // 1 to 4096
		}),
		bytes: with.NewCounter(prometheus.CounterOpts{
			Name: "audiences_journal_written_bytes_total",
			Help: "Bytes of the records that were handed to the journal's store.",
		}),
		queue: with.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_journal_queue_operations",
			Help: "Operations that wait for the journal's committer.",
		}),
		setAside: with.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_journal_set_aside",
			Help: "Damaged stores that were set aside in the journal's directory and wait for an operator.",
		}),
		free: with.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_disk_free_bytes",
			Help: "Bytes that the relay may still write to the journal's disk, once a second.",
		}),
	}
}

func (m *metrics) committed(took time.Duration, operations, bytes int, durable bool) {
	if durable {
		m.commitSeconds.Observe(took.Seconds())
	}
	m.commitOps.Observe(float64(operations))
	m.bytes.Add(float64(bytes))
}
