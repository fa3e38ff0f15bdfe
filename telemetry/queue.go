package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// queueSettings bound what waits to be sent.
type queueSettings struct {
	length int           // spans that wait at most
	batch  int           // spans of one request at most
	delay  time.Duration // until a batch that is not full is sent
}

// queue is the sdktrace.SpanProcessor. The SDK's own one drops without telling.
type queue struct {
	settings queueSettings
	spans    chan sdktrace.ReadOnlySpan
	dropped  prometheus.Counter
	exporter *exporter
	batch    []sdktrace.ReadOnlySpan // of run alone
}

func newQueue(settings queueSettings, dropped prometheus.Counter, exporter *exporter) *queue {
	return &queue{settings: settings, spans: make(chan sdktrace.ReadOnlySpan, settings.length), dropped: dropped, exporter: exporter}
}

// OnStart does nothing.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd takes a span, or drops it where there is no room. It is asked for sampled spans
// alone: no sampler that the environment can choose records others.
func (q *queue) OnEnd(span sdktrace.ReadOnlySpan) {
	select {
	case q.spans <- span:
	default:
		q.dropped.Inc()
	}
}

// Shutdown does nothing; Telemetry.Stop ends run.
func (q *queue) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing; run flushes when it ends.
func (q *queue) ForceFlush(context.Context) error { return nil }

// run sends batches until stopping is closed, and then what is left.
func (q *queue) run(stopping <-chan struct{}) {
	due := time.NewTicker(q.settings.delay)
	defer due.Stop()
	for {
		select {
		case span := <-q.spans:
			q.add(span)
		case <-due.C:
			q.send()
		case <-stopping:
			q.drain()
			return
		}
	}
}

func (q *queue) drain() {
	for {
		select {
		case span := <-q.spans:
			q.add(span)
		default:
			q.send()
			return
		}
	}
}

func (q *queue) add(span sdktrace.ReadOnlySpan) {
	if q.batch = append(q.batch, span); len(q.batch) >= q.settings.batch {
		q.send()
	}
}

// send takes as long as the collector makes it take; the queue fills meanwhile.
func (q *queue) send() {
	if len(q.batch) == 0 {
		return
	}
	if !q.exporter.send(encodeSpans(q.batch)) {
		q.dropped.Add(float64(len(q.batch)))
	}
	clear(q.batch)
	q.batch = q.batch[:0]
}
