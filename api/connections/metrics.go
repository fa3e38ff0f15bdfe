package connections

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Reasons why a connection was let go.
const (
	reasonFull        = "full"        // another needed its room
	reasonAddress     = "address"     // another of the same address needed its room
	reasonDescriptors = "descriptors" // the process had no file descriptor left
	reasonRefused     = "refused"     // it came when every other one had a request under way
)

// metrics are what a gate counts.
type metrics struct {
	closed *prometheus.CounterVec
	failed *prometheus.CounterVec
}

func newMetrics(g *Gate) *metrics {
	registerer := g.options.Registerer
	if registerer != nil {
		registerer = prometheus.WrapRegistererWith(prometheus.Labels{"port": g.options.Port}, registerer)
	}
	factory := promauto.With(registerer)
	m := &metrics{
		closed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_connections_closed_total",
			Help: "Connections that were closed for want of room, by reason.",
		}, []string{"reason"}),
		failed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_handshakes_failed_total",
			Help: "TLS handshakes that failed, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{reasonFull, reasonAddress, reasonDescriptors, reasonRefused} {
		m.closed.WithLabelValues(reason)
	}
	for _, why := range failures {
		m.failed.WithLabelValues(string(why))
	}
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_connections_limit",
		Help: "Connections that may be open at once.",
	}, func() float64 { return float64(g.options.Max) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_handshakes_waiting",
		Help: "Connections of strangers that wait for their turn to compute.",
	}, func() float64 { return float64(g.turns.waiting()) })
	gauge := func(state string, count func(Census) int) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "audiences_connections",
			Help:        "Open connections, by what they do.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count(g.Census())) })
	}
	gauge("handshaking", func(c Census) int { return c.Handshaking })
	gauge("stranger", func(c Census) int { return c.Strangers })
	gauge("idle", func(c Census) int { return c.Idle })
	gauge("busy", func(c Census) int { return c.Busy })
	return m
}
