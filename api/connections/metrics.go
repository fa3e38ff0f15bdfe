package connections

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Closing says why a connection was let go. It is a metric's label.
type Closing string

// The reasons to let a connection go.
const (
	ForFull        Closing = "full"        // another needed its room
	ForAddress     Closing = "address"     // another of the same address needed its room
	ForDescriptors Closing = "descriptors" // the process had no file descriptor left
	ForBusy        Closing = "refused"     // it came when every other one had a request under way
	ForTurn        Closing = "no_turn"     // its request waited in vain for a turn to be read
)

var closings = []Closing{ForFull, ForAddress, ForDescriptors, ForBusy, ForTurn}

// Closings lists all reasons to let a connection go.
func Closings() []Closing { return slices.Clone(closings) }

// metrics are what a gate counts.
type metrics struct {
	closed *prometheus.CounterVec
	failed *prometheus.CounterVec
	accept prometheus.Counter
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
			Help: "Connections that were closed for want of room or of a turn, by reason.",
		}, []string{"reason"}),
		failed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_handshakes_failed_total",
			Help: "TLS handshakes that failed, by reason.",
		}, []string{"reason"}),
	}
	m.accept = factory.NewCounter(prometheus.CounterOpts{
		Name: "audiences_accepts_failed_total",
		Help: "Connections that could not be accepted; most of them are tried again.",
	})
	for _, why := range closings {
		m.closed.WithLabelValues(string(why))
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
