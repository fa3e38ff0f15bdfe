package admin

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/status"
)

// scrapePatience is how long a scrape waits for the relay's state. Then it shows what the
// one before has shown.
const scrapePatience = 2 * time.Second

// states shows how many tenants and segments are in each state, and what the limit of
// the address leaves. A scrape asks the relay at most once a second, as all others do.
type states struct {
	relay             Relay
	snapshots         *snapshots
	tenants, segments *prometheus.Desc
	blocked, waiting  *prometheus.Desc
	oldest            *prometheus.Desc

	mu    sync.Mutex
	shown counted
}

// counted is what a scrape shows.
type counted struct {
	tenants, segments map[status.State]int
	blocked           time.Time
	waiting           int
	oldest            time.Time // when the oldest pending key was accepted; zero: none is known
}

// states are those of this node. Where it is alone, a scrape and a page share what they see.
func (s *Server) states() *states {
	if s.options.Own == nil {
		return newStates(s.options.Relay, &s.snapshots)
	}
	return newStates(s.options.Own, &snapshots{relay: s.options.Own, names: s.names})
}

func newStates(relay Relay, from *snapshots) *states {
	return &states{relay: relay, snapshots: from,
		tenants:  prometheus.NewDesc("audiences_tenants", "Tenants by what they are about.", []string{"state"}, nil),
		segments: prometheus.NewDesc("audiences_segments", "Segments by what they are about; those that were let go with nothing pending or parked are missing.", []string{"state"}, nil),
		blocked:  prometheus.NewDesc("audiences_egress_blocked_seconds", "How long no tenant may call, for the limit of the relay's address.", nil, nil),
		waiting:  prometheus.NewDesc("audiences_egress_waiting", "Tenants that wait for a call, for whatever reason.", nil, nil),
		oldest:   prometheus.NewDesc("audiences_oldest_pending_seconds", "Age of the oldest pending key in memory, at most; 0: none is pending.", nil, nil),
	}
}

// Describe tells the five metrics.
func (m *states) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.tenants, m.segments, m.blocked, m.waiting, m.oldest} {
		to <- d
	}
}

// Collect shows them, every state from the start.
func (m *states) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
	defer cancel()
	now, err := m.count(ctx)
	m.mu.Lock()
	if err == nil {
		m.shown = now
	}
	shown := m.shown
	m.mu.Unlock()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, state := range status.States() {
		gauge(m.tenants, float64(shown.tenants[state]), string(state))
		gauge(m.segments, float64(shown.segments[state]), string(state))
	}
	gauge(m.blocked, max(0, time.Until(shown.blocked).Seconds()))
	gauge(m.waiting, float64(shown.waiting))
	age := 0.0
	if !shown.oldest.IsZero() {
		age = max(0, time.Since(shown.oldest).Seconds())
	}
	gauge(m.oldest, age)
}

func (m *states) count(ctx context.Context) (c counted, err error) {
	found, err := m.snapshots.current(ctx)
	if err != nil {
		return c, err
	}
	budgets, err := m.relay.Budgets(ctx)
	if err != nil {
		return c, err
	}
	c = counted{tenants: map[status.State]int{}, segments: map[status.State]int{}, oldest: found.oldest}
	for _, t := range found.list {
		c.tenants[t.State]++
		for state, n := range t.States {
			c.segments[state] += n
		}
	}
	if len(budgets) > 0 {
		c.blocked, c.waiting = budgets[0].Blocked, budgets[0].Waiting
	}
	return c, nil
}
