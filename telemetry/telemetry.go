// Package telemetry sends traces and metrics to an OpenTelemetry collector, in OTLP over
// HTTP. It is off unless the environment names a collector (environment.go), and then
// there is no goroutine and nothing is called for a post.
//
// A post or a call that is over is told to spans.go, which makes a span of it for the
// queue (queue.go). metrics.go gathers what /metrics shows. Both have one goroutine, which
// encodes a batch (encoding.go) and sends it (exporter.go). Nobody waits for these: what
// finds the queue full is dropped and counted.
//
// No key, no token and no word of Split's answers goes out, and no header that the
// environment gave is logged (I7).
package telemetry

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"audiences/api"
	"audiences/logging"
	"audiences/splitclient"
)

// FlushFor is how long Stop takes at most, for a context without an earlier end.
const FlushFor = 2 * time.Second

// Options say what is sent. The environment says whereto.
type Options struct {
	Gatherer   prometheus.Gatherer   // what is sent as metrics. Required
	Registerer prometheus.Registerer // of the metrics of this package, which are there also while it is off. Required
	Version    string                // service.version
	SplitURL   string                // server.address of calls is its host
	Instance   string                // service.instance.id: tells relays of the same name apart
	Logger     zerolog.Logger
	Transport  http.RoundTripper // nil: one of its own, with the environment's proxy
}

// Telemetry is what was started; one that is off has no parts.
type Telemetry struct {
	tracer   trace.Tracer  // nil: no traces
	split    string        // Split's host
	stopping chan struct{} // closed: send what there is, and end
	stopOnce sync.Once
	cancel   context.CancelFunc // cuts off what is being sent
	running  sync.WaitGroup
	failures *logging.Gathered[failure]
}

// Start begins to send, if the environment wants it. What of the environment it does not
// understand is a warning in the log and leaves that part off: such variables are often
// set for all programs of a place, and must not keep a relay from its work.
func Start(o Options) *Telemetry {
	counted := newMetrics(o.Registerer)
	set, problems := readEnvironment()
	for _, problem := range problems {
		o.Logger.Warn().Msg("telemetry: " + problem)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Telemetry{stopping: make(chan struct{}), cancel: cancel, failures: gatherFailures(o.Logger)}
	if !set.traces.on && !set.metrics.on {
		return t
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	described, err := describe(ctx, o)
	if err != nil {
		o.Logger.Warn().Msg("telemetry: OTEL_RESOURCE_ATTRIBUTES is not a list of key=value, some of it is ignored")
	}
	out := func(to destination, signal string) *exporter {
		return &exporter{ctx: ctx, to: to, transport: o.Transport, stopping: t.stopping, signal: signal,
			failed: counted.failed[signal], failures: t.failures}
	}
	if set.traces.on {
		if u, err := url.Parse(o.SplitURL); err == nil {
			t.split = u.Hostname()
		}
		q := newQueue(set.queue, counted.dropped, out(set.traces, "traces"))
		provider := sdktrace.NewTracerProvider(sdktrace.WithResource(described), sdktrace.WithSpanProcessor(q))
		t.tracer = provider.Tracer(scope)
		t.running.Go(func() { q.run(t.stopping) })
	}
	if set.metrics.on {
		p := &periodic{gatherer: o.Gatherer, resource: described, began: time.Now(), exporter: out(set.metrics, "metrics")}
		t.running.Go(func() { p.run(t.stopping, set.interval) })
	}
	o.Logger.Info().Str("traces", set.traces.shown()).Str("metrics", set.metrics.shown()).Msg("telemetry is sent")
	return t
}

// scope names who made spans and metrics.
const scope = "audiences"

// describe says which relay this is. The environment's word goes before ours.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "audiences"),
			attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Instance)),
		resource.WithFromEnv())
}

// Answered is for api.Options: nil while no traces are sent.
func (t *Telemetry) Answered() func(api.Post) {
	if t.tracer == nil {
		return nil
	}
	return t.answered
}

// Called is for splitclient.Options: nil while no traces are sent.
func (t *Telemetry) Called() func(splitclient.Made) {
	if t.tracer == nil {
		return nil
	}
	return t.called
}

// Stop sends what is left and ends. It takes until the end of ctx at most, or FlushFor;
// what was not sent by then is dropped and counted. Later calls do nothing.
func (t *Telemetry) Stop(ctx context.Context) {
	if t == nil {
		return
	}
	t.stopOnce.Do(func() {
		limited, cancel := context.WithTimeout(ctx, FlushFor)
		defer cancel()
		defer context.AfterFunc(limited, t.cancel)() // the exporters give up then, and so the wait ends
		close(t.stopping)
		t.running.Wait()
		t.cancel()
		t.failures.Flush()
	})
}
