package telemetry

import (
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The messages of the export requests have the same fields under the same numbers as
// TracesData and MetricsData, by the specification. Those of the requests are in packages
// that bring gRPC along (ADR 17).

// encodeSpans makes a request of spans, one at least, which have the same resource.
func encodeSpans(spans []sdktrace.ReadOnlySpan) *tracepb.TracesData {
	scoped := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: scope}}
	for _, s := range spans {
		scoped.Spans = append(scoped.Spans, encodeSpan(s))
	}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: encodeResource(spans[0].Resource()), ScopeSpans: []*tracepb.ScopeSpans{scoped}}}}
}

func encodeSpan(s sdktrace.ReadOnlySpan) *tracepb.Span {
	traceID, spanID := s.SpanContext().TraceID(), s.SpanContext().SpanID()
	span := &tracepb.Span{
		TraceId: traceID[:], SpanId: spanID[:],
		TraceState:        s.SpanContext().TraceState().String(),
		Flags:             uint32(s.SpanContext().TraceFlags()) | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK),
		Name:              s.Name(),
		Kind:              kinds[s.SpanKind()],
		StartTimeUnixNano: nanos(s.StartTime()), EndTimeUnixNano: nanos(s.EndTime()),
		Attributes: encodeAttributes(s.Attributes()),
	}
	if parent := s.Parent(); parent.IsValid() {
		id := parent.SpanID()
		span.ParentSpanId = id[:]
		if parent.IsRemote() {
			span.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
		}
	}
	if s.Status().Code == codes.Error {
		span.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	return span
}

var kinds = map[trace.SpanKind]tracepb.Span_SpanKind{
	trace.SpanKindServer: tracepb.Span_SPAN_KIND_SERVER,
	trace.SpanKindClient: tracepb.Span_SPAN_KIND_CLIENT,
}

func encodeResource(r *resource.Resource) *resourcepb.Resource {
	return &resourcepb.Resource{Attributes: encodeAttributes(r.Attributes())}
}

// encodeAttributes knows the types that this package uses; a resource has texts alone.
func encodeAttributes(list []attribute.KeyValue) (attributes []*commonpb.KeyValue) {
	for _, a := range list {
		if a.Value.Type() != attribute.INT64 {
			attributes = append(attributes, text(string(a.Key), a.Value.String()))
			continue
		}
		attributes = append(attributes, &commonpb.KeyValue{Key: string(a.Key),
			Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: a.Value.AsInt64()}}})
	}
	return attributes
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

// encodeFamilies makes a request of what was gathered at a time, under the names that
// /metrics has. Of histograms the classic buckets are sent, which /metrics shows as well.
func encodeFamilies(families []*dto.MetricFamily, r *resource.Resource, began, now time.Time) *metricspb.MetricsData {
	scoped := &metricspb.ScopeMetrics{Scope: &commonpb.InstrumentationScope{Name: scope}}
	for _, f := range families {
		m := &metricspb.Metric{Name: f.GetName(), Description: f.GetHelp()}
		points{f.GetMetric(), began, now}.into(m, f.GetType())
		scoped.Metrics = append(scoped.Metrics, m)
	}
	return &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: encodeResource(r), ScopeMetrics: []*metricspb.ScopeMetrics{scoped}}}}
}

// points are the values of a family.
type points struct {
	series     []*dto.Metric
	began, now time.Time
}

const cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE

func (p points) into(m *metricspb.Metric, kind dto.MetricType) {
	switch kind {
	case dto.MetricType_COUNTER:
		m.Data = &metricspb.Metric_Sum{Sum: &metricspb.Sum{AggregationTemporality: cumulative, IsMonotonic: true,
			DataPoints: each(p, func(s *dto.Metric) *metricspb.NumberDataPoint {
				return p.number(s, s.GetCounter().GetValue(), p.since(s.GetCounter().GetCreatedTimestamp()))
			})}}
	case dto.MetricType_HISTOGRAM:
		m.Data = &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{AggregationTemporality: cumulative, DataPoints: each(p, p.histogram)}}
	case dto.MetricType_SUMMARY:
		m.Data = &metricspb.Metric_Summary{Summary: &metricspb.Summary{DataPoints: each(p, p.summary)}}
	default:
		m.Data = &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{
			DataPoints: each(p, func(s *dto.Metric) *metricspb.NumberDataPoint {
				return p.number(s, s.GetGauge().GetValue()+s.GetUntyped().GetValue(), 0) // it has one of them
			})}}
	}
}

func each[T any](p points, encode func(*dto.Metric) T) (all []T) {
	for _, s := range p.series {
		all = append(all, encode(s))
	}
	return all
}

func (p points) number(s *dto.Metric, value float64, since uint64) *metricspb.NumberDataPoint {
	return &metricspb.NumberDataPoint{Attributes: labels(s), StartTimeUnixNano: since, TimeUnixNano: nanos(p.now),
		Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: value}}
}

// histogram has the observations of each bucket alone, where Prometheus adds them up; the
// bucket above the last bound has no bound.
func (p points) histogram(s *dto.Metric) *metricspb.HistogramDataPoint {
	h, below := s.GetHistogram(), uint64(0)
	point := &metricspb.HistogramDataPoint{Attributes: labels(s), StartTimeUnixNano: p.since(h.GetCreatedTimestamp()), TimeUnixNano: nanos(p.now),
		Count: h.GetSampleCount(), Sum: new(h.GetSampleSum())}
	for _, b := range h.GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			continue
		}
		point.ExplicitBounds = append(point.ExplicitBounds, b.GetUpperBound())
		point.BucketCounts = append(point.BucketCounts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	point.BucketCounts = append(point.BucketCounts, point.Count-below)
	return point
}

func (p points) summary(s *dto.Metric) *metricspb.SummaryDataPoint {
	point := &metricspb.SummaryDataPoint{Attributes: labels(s), StartTimeUnixNano: p.since(s.GetSummary().GetCreatedTimestamp()), TimeUnixNano: nanos(p.now),
		Count: s.GetSummary().GetSampleCount(), Sum: s.GetSummary().GetSampleSum()}
	for _, q := range s.GetSummary().GetQuantile() {
		point.QuantileValues = append(point.QuantileValues, &metricspb.SummaryDataPoint_ValueAtQuantile{Quantile: q.GetQuantile(), Value: q.GetValue()})
	}
	return point
}

// since is when a sum began: the time that it was made, or else our start.
func (p points) since(created *timestamppb.Timestamp) uint64 {
	if created.IsValid() && created.AsTime().Unix() > 0 {
		return nanos(created.AsTime())
	}
	return nanos(p.began)
}

func labels(s *dto.Metric) (attributes []*commonpb.KeyValue) {
	for _, l := range s.GetLabel() {
		attributes = append(attributes, text(l.GetName(), l.GetValue()))
	}
	return attributes
}

func nanos(t time.Time) uint64 { return uint64(t.UnixNano()) }
