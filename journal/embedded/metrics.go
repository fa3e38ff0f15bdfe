package embedded

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"audiences/histogram"
)

// metrics are the journal's series; their meaning is in docs/metrics.md.
type metrics struct {
	commitSeconds prometheus.Histogram
	commitOps     prometheus.Histogram
	bytes         prometheus.Counter
	queue         prometheus.Gauge
	setAside      prometheus.Gauge
	free          prometheus.Gauge
	size          prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	with := promauto.With(registerer)
	return &metrics{
		commitSeconds: with.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_seconds",
			Help:    "Time that a commit of the journal took that had to be durable, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), // 0.1 ms to 2.4 s
		})),
		commitOps: with.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_journal_commit_operations",
			Help:    "Operations that were merged into one commit of the journal.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7), // 1 to 4096
		})),
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
		size: with.NewGauge(prometheus.GaugeOpts{
			Name: "audiences_journal_bytes",
			Help: "Bytes of the journal on its disk, once a second.",
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

// Describe implements prometheus.Collector.
func (t *tally) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{keysParkedDesc, segmentsParkedDesc, segmentsPausedDesc, tenantsPausedDesc, uncountedDesc} {
		descs <- desc
	}
}

var (
	keysParkedDesc     = prometheus.NewDesc("audiences_keys_parked", "Keys that are parked, by reason.", []string{"reason"}, nil)
	segmentsParkedDesc = prometheus.NewDesc("audiences_segments_parked", "Segments that are parked, by reason.", []string{"reason"}, nil)
	segmentsPausedDesc = prometheus.NewDesc("audiences_segments_paused", "Segments that an operator has paused.", nil, nil)
	tenantsPausedDesc  = prometheus.NewDesc("audiences_tenants_paused", "Tenants that an operator has paused.", nil, nil)
	uncountedDesc      = prometheus.NewDesc("audiences_journal_uncounted", "1 while what was parked and paused before the start is not counted, or could not be read; else 0.", nil, nil)
)

// Collect implements prometheus.Collector.
func (t *tally) Collect(metrics chan<- prometheus.Metric) {
	now, missing := t.now()
	gauge := func(desc *prometheus.Desc, n int, labels ...string) {
		// Until the scan's end a change may take away what is not counted yet.
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(max(n, 0)), labels...)
	}
	for desc, sum := range map[*prometheus.Desc]map[string]int{keysParkedDesc: now.keys, segmentsParkedDesc: now.segments} {
		for reason, n := range t.byReason(sum) {
			gauge(desc, n, reason)
		}
	}
	gauge(segmentsPausedDesc, inForce(now.paused))
	gauge(tenantsPausedDesc, inForce(now.tenants))
	uncounted := 0
	if missing {
		uncounted = 1
	}
	gauge(uncountedDesc, uncounted)
}

// now is a copy of the sums.
func (t *tally) now() (copied sums, missing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied = newSums()
	copied.add(t.sums)
	return copied, t.missing
}

// otherReason stands for all reasons that this program does not know, so that the
// series stay few.
const otherReason = "other"

func (t *tally) byReason(sum map[string]int) map[string]int {
	out := map[string]int{otherReason: 0}
	for _, reason := range t.reasons {
		out[reason] = sum[reason]
	}
	for reason, n := range sum {
		if _, known := out[reason]; !known || reason == otherReason {
			out[otherReason] += n
		}
	}
	return out
}

// inForce leaves out the pauses that have ended by themselves.
func inForce(pauses map[time.Time]int) (n int) {
	for until, some := range pauses {
		if until.IsZero() || until.After(time.Now()) {
			n += some
		}
	}
	return n
}

// report writes the line that an operator looks for after a restart.
func (s *tallyScan) report() {
	if s.errs > 0 {
		s.j.log.Warn().Int("places", s.errs).Msg("some parked keys or states in the journal could not be read: what is parked and paused is counted too low")
	}
	parkedKeys, keyReasons := s.reasons(s.found.keys)
	parkedSegments, segmentReasons := s.reasons(s.found.segments)
	segments, tenants := inForce(s.found.paused), inForce(s.found.tenants)
	if parkedKeys+parkedSegments+segments+tenants == 0 {
		return
	}
	s.j.log.Info().Int("keysParked", parkedKeys).Int("inSegments", s.within).Dict("keyReasons", keyReasons).
		Int("segmentsParked", parkedSegments).Dict("segmentReasons", segmentReasons).
		Int("segmentsPaused", segments).Int("tenantsPaused", tenants).
		Msg("the journal holds what was parked or paused before this start")
}

func (s *tallyScan) reasons(sum map[string]int) (all int, dict *zerolog.Event) {
	dict = zerolog.Dict()
	byReason := s.j.tally.byReason(sum)
	names := make([]string, 0, len(byReason))
	for reason := range byReason {
		names = append(names, reason)
	}
	slices.Sort(names)
	for _, reason := range names {
		if n := byReason[reason]; n > 0 {
			all += n
			dict = dict.Int(reason, n)
		}
	}
	return all, dict
}
