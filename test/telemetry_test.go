package test

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"audiences/sandbox"
	"audiences/test/harness"
)

// collector stands in for an OpenTelemetry collector.
type collector struct {
	mu      sync.Mutex
	bodies  [][]byte
	keys    []string // what the header api-key held
	spans   []*tracepb.Span
	metrics *metricspb.ScopeMetrics // the latest
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies, c.keys = append(c.bodies, body), append(c.keys, r.Header.Get("Api-Key"))
	var traces tracepb.TracesData
	var metrics metricspb.MetricsData
	switch {
	case err != nil || r.Method != http.MethodPost:
		w.WriteHeader(http.StatusBadRequest)
	case r.URL.Path == "/v1/traces" && proto.Unmarshal(body, &traces) == nil:
		for _, s := range traces.GetResourceSpans() {
			c.spans = append(c.spans, s.GetScopeSpans()[0].GetSpans()...)
		}
	case r.URL.Path == "/v1/metrics" && proto.Unmarshal(body, &metrics) == nil:
		c.metrics = metrics.GetResourceMetrics()[0].GetScopeMetrics()[0]
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

// find returns the span of that name.
func (c *collector) find(name string) *tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := slices.IndexFunc(c.spans, func(s *tracepb.Span) bool { return s.GetName() == name }); at >= 0 {
		return c.spans[at]
	}
	return nil
}

// values are the latest metrics in the form of harness.Metrics.
func (c *collector) values() harness.Metrics {
	c.mu.Lock()
	defer c.mu.Unlock()
	values := harness.Metrics{}
	for _, m := range c.metrics.GetMetrics() {
		for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
			var labels []string
			for _, a := range p.GetAttributes() {
				labels = append(labels, a.GetValue().GetStringValue())
			}
			full := m.GetName()
			if len(labels) > 0 {
				full += "{" + strings.Join(labels, ",") + "}"
			}
			values[full] = p.GetAsDouble()
		}
		for _, p := range m.GetHistogram().GetDataPoints() {
			values[m.GetName()+"_sum"], values[m.GetName()+"_count"] = p.GetSum(), float64(p.GetCount())
		}
	}
	return values
}

// TestTelemetry: a collector that the environment names gets the span of a post in its
// caller's trace, the span of the call that follows, and what /metrics shows; and no key
// and no token. What is left at a stop is sent.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	c := &collector{}
	front := httptest.NewServer(c)
	t.Cleanup(front.Close)
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.LaunchWith([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + front.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=sekrit-header",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRIC_EXPORT_INTERVAL=200"})
	p.Listening()
	change := harness.Change{Segment: "sTraced", Keys: []string{"mpid-sekrit-1", "8887776665554443332"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+p.HTTPS+"/audiences", strings.NewReader(string(change.Body())))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", harness.AuthToken)
	request.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	response, err := harness.Lambda.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	harness.Eventually(t, harness.Patience, "both spans come", func() bool {
		return c.find("POST /audiences") != nil && c.find("PUT uploadKeys") != nil
	})
	if s := c.find("POST /audiences"); hex.EncodeToString(s.GetTraceId()) != "4bf92f3577b34da6a3ce929d0e0e4736" || hex.EncodeToString(s.GetParentSpanId()) != "00f067aa0ba902b7" {
		t.Errorf("not in its caller's trace: %v", s)
	}
	for _, a := range c.find("PUT uploadKeys").GetAttributes() {
		want := map[string]int64{"audiences.attempt": 1, "audiences.keys": 2, "http.response.status_code": 200}
		if n, counted := want[a.GetKey()]; counted && a.GetValue().GetIntValue() != n {
			t.Errorf("of the call: %v", a)
		}
	}
	harness.Eventually(t, harness.Patience, "the metrics are those of /metrics", func() bool {
		shown, err := p.Metrics()
		if err != nil {
			return false
		}
		sent := c.values()
		return sent["audiences_keys_accepted_total{add}"] == 2 && len(differences(shown, sent)) == 0
	})
	p.MustPost(harness.Change{Segment: "sLast", Keys: []string{"1"}})
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(c.spans); n != 4 { // of this process nothing comes any more
		t.Errorf("%d spans of two posts and two calls", n)
	}
	fingerprint := harness.Fingerprint(t, harness.APIToken)
	for _, body := range c.bodies {
		mustNotShow(t, "what was sent", string(body), "mpid-sekrit", "8887776665554443332", harness.APIToken)
	}
	if !slices.ContainsFunc(c.bodies, func(body []byte) bool { return strings.Contains(string(body), fingerprint) }) {
		t.Error("no span names its tenant")
	}
	mustNotShow(t, "the log", p.Log(), "sekrit")
	if slices.ContainsFunc(c.keys, func(key string) bool { return key != "sekrit-header" }) {
		t.Errorf("the header was %q", c.keys)
	}
}

// differences are where the values of our own counters and histograms differ, and names
// that one of both lacks.
func differences(shown, sent harness.Metrics) (found []string) {
	for name := range maps.Keys(shown) {
		ours := strings.HasPrefix(name, "audiences_") && (strings.Contains(name, "_total") || strings.HasSuffix(name, "_count"))
		got, there := sent[name]
		bucket := strings.Contains(name, "_bucket{")
		if quantile := strings.HasPrefix(name, "go_gc_duration_seconds"); !there && !bucket && !quantile && shown[name] != 0 || ours && got != shown[name] {
			found = append(found, fmt.Sprintf("%s: %v, sent %v", name, shown[name], got))
		}
	}
	for name := range maps.Keys(sent) {
		if _, there := shown[name]; !there {
			found = append(found, name+" is not shown")
		}
	}
	return found
}

// TestTelemetryOfAStop: what a stop has delivered is in the last spans and metrics.
// What the SDK says of variables, with their values, is not in the log.
func TestTelemetryOfAStop(t *testing.T) {
	t.Parallel()
	c := &collector{}
	front := httptest.NewServer(c)
	t.Cleanup(front.Close)
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.LaunchWith([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + front.URL, "OTEL_TRACES_SAMPLER=sekrit-sampler", "OTEL_RESOURCE_ATTRIBUTES=sekrit-resource,a=sekrit%zz",
		"OTEL_BSP_SCHEDULE_DELAY=3600000", "OTEL_METRIC_EXPORT_INTERVAL=3600000"})
	p.Listening()
	p.MustPost(harness.Change{Segment: "sLast", Keys: []string{"1", "2", "3"}})
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := c.values()["audiences_keys_delivered_total{add}"]; got != 3 || c.find("PUT uploadKeys") == nil {
		t.Errorf("%v keys are delivered by the last metrics; spans: %v", got, c.spans)
	}
	mustNotShow(t, "the log", p.Log(), "sekrit")
	if !strings.Contains(p.Log(), "OTEL_TRACES_SAMPLER") || !strings.Contains(p.Log(), "OTEL_RESOURCE_ATTRIBUTES") {
		t.Error("nothing is said of variables that are wrong")
	}
}

// TestTelemetryHoldsNothingUp: a collector that takes requests and never answers delays
// no post, no delivery, and a stop by two seconds at most.
func TestTelemetryHoldsNothingUp(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case hanging <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	t.Cleanup(front.Close)
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.LaunchWith([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + front.URL, "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_BSP_MAX_QUEUE_SIZE=10", "OTEL_EXPORTER_OTLP_TIMEOUT=600000"})
	p.Listening()
	p.MustPost(harness.Change{Segment: "sFirst", Keys: []string{"1"}})
	select {
	case <-hanging:
	case <-time.After(harness.Patience):
		t.Fatal("nothing is sent")
	}
	for i := range 50 {
		p.MustPost(harness.Change{Segment: "sNext", Keys: []string{fmt.Sprint(i)}})
	}
	harness.Eventually(t, harness.Patience, "all is delivered", func() bool { return len(s.Members("sNext")) == 50 })
	if p.Metric("audiences_telemetry_spans_dropped_total") < 1 {
		t.Error("no span was dropped, or it is not counted")
	}
	began := time.Now()
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > harness.Patience/2 {
		t.Errorf("the stop took %v", took)
	}
}

// TestTelemetryOfAStartThatFails: what was begun ends in order, and the reason is told.
func TestTelemetryOfAStartThatFails(t *testing.T) {
	t.Parallel()
	c := &collector{}
	front := httptest.NewServer(c)
	t.Cleanup(front.Close)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": taken.Addr().String()})
	p := s.LaunchWith([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + front.URL})
	if code := p.Wait(harness.Patience); code != 1 || !strings.Contains(p.Log(), "open admin address") {
		t.Errorf("exit code %d", code)
	}
	if len(c.bodies) != 1 {
		t.Errorf("%d requests, want the last metrics alone", len(c.bodies))
	}
}
