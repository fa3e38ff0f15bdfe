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

	// Of all nodes alike, see health.go.
	heldSeconds, heldTransactions prometheus.Gauge
	rows, deadRows, indexBytes    prometheus.Gauge
	connections, connectionsLimit prometheus.Gauge

	stuck *stuckMetrics
}

func newMetrics(registerer prometheus.Registerer, reasons []string) *metrics {
	with := promauto.With(registerer)
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: "audiences_database_" + name, Help: help})
	}
	return &metrics{
		stuck: newStuckMetrics(registerer, reasons),
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
		away:             gauge("away", "1 while the journal's database does not answer."),
		heldSeconds:      gauge("oldest_xmin_age_seconds", "Age of the oldest transaction that keeps dead rows from being cleared away, as far as the relay's user may see."),
		heldTransactions: gauge("oldest_xmin_transactions", "Transactions since the oldest snapshot that keeps dead rows from being cleared away, those of replication slots and standbys included."),
		rows:             gauge("rows", "Rows of pending keys, as PostgreSQL estimates them."),
		deadRows:         gauge("dead_rows", "Rows of keys that are not pending any more and were not cleared away yet, as PostgreSQL estimates them."),
		indexBytes:       gauge("index_bytes", "Bytes of the index of pending keys."),
		connections:      gauge("connections", "Connections of clients to the database's server, of whatever program."),
		connectionsLimit: gauge("connections_limit", "Connections that the server allows users like the relay's."),
	}
}

// show takes over what was read.
func (m *metrics) show(h health) {
	m.heldSeconds.Set(h.held.age.Seconds())
	m.heldTransactions.Set(float64(h.held.transactions))
	m.rows.Set(float64(h.rows))
	m.deadRows.Set(float64(h.dead))
	m.indexBytes.Set(float64(h.index))
	m.connections.Set(float64(h.used))
	m.connectionsLimit.Set(float64(h.connections))
	m.stuck.show(h.stuck)
}
