package telemetry

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector stands in for a collector, as the transport: so all of it lives in a
// synctest bubble.
type collector struct {
	answer func(n int) answer // to the request of that number, from 1; nil: 200

	mu       sync.Mutex
	began    time.Time
	at       []time.Duration // when requests came
	requests []*http.Request
	spans    []*tracepb.Span
	traced   []*tracepb.ResourceSpans
	metrics  []*metricspb.ResourceMetrics
}

// answer is what a collector does with a request. What it refuses it does not keep.
type answer struct {
	status int
	header http.Header
	err    error
	hangs  bool // until the request is cut off
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := c.decide(r)
	if a.hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		if body, err = io.ReadAll(plain); err != nil {
			panic(err)
		}
	}
	if a.status == 200 {
		c.keep(r.URL.Path, body)
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (c *collector) decide(r *http.Request) answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.at = append(c.requests, r), append(c.at, time.Since(c.began))
	if c.answer == nil {
		return answer{status: 200}
	}
	return c.answer(len(c.requests))
}

func (c *collector) keep(path string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case "/v1/traces":
		var data tracepb.TracesData
		if err := proto.Unmarshal(body, &data); err != nil {
			panic(err)
		}
		for _, r := range data.GetResourceSpans() {
			c.traced = append(c.traced, r)
			for _, s := range r.GetScopeSpans() {
				c.spans = append(c.spans, s.GetSpans()...)
			}
		}
	case "/v1/metrics":
		var data metricspb.MetricsData
		if err := proto.Unmarshal(body, &data); err != nil {
			panic(err)
		}
		c.metrics = append(c.metrics, data.GetResourceMetrics()...)
	default:
		panic(path)
	}
}

// begin starts telemetry that goes to the collector, with these variables alone.
func begin(t *testing.T, c *collector, vars map[string]string) (*Telemetry, *prometheus.Registry, *logBuffer) {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"} {
		t.Setenv(name, vars[name])
	}
	for name, value := range vars {
		t.Setenv(name, value)
	}
	registry, log := prometheus.NewRegistry(), &logBuffer{}
	c.began = time.Now()
	return Start(Options{Gatherer: registry, Registerer: registry, Version: "1.2.3", Instance: "host:5010", SplitURL: "https://api.split.io",
		Logger: zerolog.New(log), Transport: c}), registry, log
}

// logBuffer is a log that may be read while others write to it.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// value of a metric without labels, or the sum over them.
func value(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// plain is attributes as text, by name.
func plain(attributes []*commonpb.KeyValue) map[string]any {
	all := map[string]any{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = v.IntValue
		}
	}
	return all
}
