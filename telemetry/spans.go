package telemetry

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"audiences/api"
	"audiences/audience"
	"audiences/splitclient"
)

// answered makes a span of a post, in the trace of its caller where that has sent one.
func (t *Telemetry) answered(p api.Post) {
	caller := propagation.MapCarrier{"traceparent": p.TraceParent, "tracestate": p.TraceState}
	ctx := propagation.TraceContext{}.Extract(context.Background(), caller)
	attributes := append(ofSegment(p.Segment),
		attribute.String("http.request.method", "POST"),
		attribute.String("http.route", "/audiences"),
		attribute.String("url.scheme", "https"),
		attribute.Int("http.response.status_code", p.Status))
	if p.Verb != 0 {
		attributes = append(attributes, attribute.String("audiences.verb", p.Verb.String()), attribute.Int("audiences.keys", p.Keys))
	}
	failed := p.Status >= 500 // of a server's span only these are its own faults
	if failed {
		attributes = append(attributes, attribute.String("error.type", strconv.Itoa(p.Status)))
	}
	_, span := t.tracer.Start(ctx, "POST /audiences", trace.WithTimestamp(p.Began),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	if failed {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(p.Ended))
}

// actions are the ends of the paths that Split's API has for the verbs.
var actions = map[audience.Verb]string{audience.Add: "uploadKeys", audience.Delete: "removeKeys"}

// called makes a span of a call to Split. It begins a trace: its keys come from many
// posts, and which ones is not known any more.
func (t *Telemetry) called(m splitclient.Made) {
	attributes := append(ofSegment(m.Segment),
		attribute.String("http.request.method", "PUT"),
		attribute.String("server.address", t.split),
		attribute.String("audiences.verb", m.Verb.String()),
		attribute.Int("audiences.keys", m.Keys),
		attribute.Int("audiences.attempt", m.Attempt),
		attribute.String("audiences.reason", string(m.Reason)))
	if m.Status != 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", m.Status))
	}
	if m.Transaction != "" {
		attributes = append(attributes, attribute.String("audiences.transaction", m.Transaction))
	}
	failed := m.Reason != splitclient.OK
	if failed {
		attributes = append(attributes, attribute.String("error.type", string(m.Reason)))
	}
	_, span := t.tracer.Start(context.Background(), "PUT "+actions[m.Verb], trace.WithTimestamp(m.Began),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	if failed {
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(m.Ended))
}

// ofSegment names whose it is, as far as that is known.
func ofSegment(s audience.Segment) (attributes []attribute.KeyValue) {
	if s.Tenant != (audience.TenantID{}) {
		attributes = append(attributes, attribute.String("audiences.tenant", s.Tenant.String()))
	}
	if s.Name != "" {
		attributes = append(attributes, attribute.String("audiences.environment", s.Environment), attribute.String("audiences.segment", s.Name))
	}
	return attributes
}
