package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/sdk/resource"
)

// metrics are this package's own.
type metrics struct {
	dropped prometheus.Counter
	failed  map[string]prometheus.Counter // by signal
}

func newMetrics(registerer prometheus.Registerer) metrics {
	dropped := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "audiences_telemetry_spans_dropped_total",
		Help: "Spans that were not sent to the collector: the queue was full, or the collector did not take them.",
	})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_telemetry_exports_failed_total",
		Help: "Requests to the collector that were given up, by signal.",
	}, []string{"signal"})
	registerer.MustRegister(dropped, failed)
	return metrics{dropped, map[string]prometheus.Counter{
		"traces": failed.WithLabelValues("traces"), "metrics": failed.WithLabelValues("metrics")}}
}

// periodic sends what the gatherer has.
type periodic struct {
	gatherer prometheus.Gatherer
	resource *resource.Resource
	began    time.Time // since when counters count that do not say it themselves
	exporter *exporter
}

// run sends at each interval until stopping is closed, and once more then.
func (p *periodic) run(stopping <-chan struct{}, interval time.Duration) {
	due := time.NewTicker(interval)
	defer due.Stop()
	for {
		select {
		case <-due.C:
			p.send()
		case <-stopping:
			p.send()
			return
		}
	}
}

// send needs no queue: all values are sums since the start, so that the next request
// makes up for one that failed. Where something cannot be gathered the rest is sent.
func (p *periodic) send() {
	if families := p.gather(); families != nil {
		p.exporter.send(encodeFamilies(families, p.resource, p.began, time.Now()))
	}
}

// gather waits no longer than the exporter may: some metrics ask actors, which may be busy.
func (p *periodic) gather() []*dto.MetricFamily {
	gathered := make(chan []*dto.MetricFamily, 1)
	go func() {
		families, _ := p.gatherer.Gather()
		gathered <- families
	}()
	select {
	case families := <-gathered:
		return families
	case <-p.exporter.ctx.Done():
		return nil
	}
}
