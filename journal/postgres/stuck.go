package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"audiences/audience"
	"audiences/journal"
)

// stuck is what waits for an operator, of the tenants that this node delivers for: so the sum
// over all nodes is what there is.
type stuck struct {
	keys, segments                map[string]int // parked, by reason
	pausedSegments, pausedTenants int
}

// mostStuck is where each of these counts stops.
const mostStuck = 100_000

func (s *stuck) read(ctx context.Context, tx pgx.Tx, owned audience.Slots) error {
	*s = stuck{keys: map[string]int{}, segments: map[string]int{}}
	froms, tos := bounds(owned)
	rows, err := tx.Query(ctx, `SELECT coalesce(refusal->>'reason', ''), count(*)
		FROM (SELECT p.refusal FROM `+ranges+`, LATERAL (SELECT refusal FROM parked WHERE segment > lo AND segment <= hi LIMIT $3) p LIMIT $3) listed GROUP BY 1`,
		froms, tos, mostStuck)
	if err != nil {
		return err
	}
	for rows.Next() {
		var reason string
		var n int
		if err := rows.Scan(&reason, &n); err != nil {
			return err
		}
		s.keys[reason] += n
	}
	if err := rows.Err(); err != nil {
		return err
	}
	now := time.Now()
	states, err := tx.Query(ctx, `SELECT s.state FROM `+ranges+`, LATERAL (SELECT state FROM segment WHERE state IS NOT NULL AND id > lo AND id <= hi) s LIMIT $3`, froms, tos, mostStuck)
	err = eachState(states, err, func(state journal.SegmentState) {
		if state.PausedAt(now) {
			s.pausedSegments++
		}
		if state.Parked != nil {
			s.segments[state.Parked.Reason]++
		}
	})
	if err != nil {
		return err
	}
	states, err = tx.Query(ctx, `SELECT state FROM tenant WHERE state IS NOT NULL AND slot = ANY($1) LIMIT $2`, numbers(owned), mostStuck)
	return eachState(states, err, func(state journal.TenantState) {
		if state.PausedAt(now) {
			s.pausedTenants++
		}
	})
}

// eachState looks at the states that a query returned. One that is damaged counts as none.
func eachState[T any](rows pgx.Rows, err error, look func(T)) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var record []byte
		if err := rows.Scan(&record); err != nil {
			return err
		}
		var state T
		if parseState(record, &state) == nil {
			look(state)
		}
	}
	return rows.Err()
}

// stuckMetrics are the series of it, which the embedded journal has as well.
type stuckMetrics struct {
	reasons        []string
	keys, segments *prometheus.GaugeVec
	paused         prometheus.Gauge
	tenants        prometheus.Gauge
}

// otherReason stands for all reasons that this program does not know.
const otherReason = "other"

func newStuckMetrics(registerer prometheus.Registerer, reasons []string) *stuckMetrics {
	with := promauto.With(registerer)
	m := &stuckMetrics{
		reasons:  append([]string{otherReason}, reasons...),
		keys:     with.NewGaugeVec(prometheus.GaugeOpts{Name: "audiences_keys_parked", Help: "Keys that are parked, by reason."}, []string{"reason"}),
		segments: with.NewGaugeVec(prometheus.GaugeOpts{Name: "audiences_segments_parked", Help: "Segments that are parked, by reason."}, []string{"reason"}),
		paused:   with.NewGauge(prometheus.GaugeOpts{Name: "audiences_segments_paused", Help: "Segments that an operator has paused."}),
		tenants:  with.NewGauge(prometheus.GaugeOpts{Name: "audiences_tenants_paused", Help: "Tenants that an operator has paused."}),
	}
	m.show(stuck{})
	return m
}

func (m *stuckMetrics) show(s stuck) {
	m.byReason(m.keys, s.keys)
	m.byReason(m.segments, s.segments)
	m.paused.Set(float64(s.pausedSegments))
	m.tenants.Set(float64(s.pausedTenants))
}

func (m *stuckMetrics) byReason(gauges *prometheus.GaugeVec, counts map[string]int) {
	others := 0
	for _, n := range counts {
		others += n
	}
	for _, reason := range m.reasons[1:] {
		others -= counts[reason]
		gauges.WithLabelValues(reason).Set(float64(counts[reason]))
	}
	gauges.WithLabelValues(otherReason).Set(float64(others))
}
