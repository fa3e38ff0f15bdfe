package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"audiences/api"
	"audiences/audience"
	"audiences/splitclient"
)

const endpoint = "https://collector:4318"

// traces and metricsOnly are the usual variables of these tests.
var (
	traces      = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "none"}
	metricsOnly = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none"}
)

// with are these variables and others.
func with(vars map[string]string, more ...string) map[string]string {
	all := maps.Clone(vars)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func segment() audience.Segment {
	return audience.Segment{Environment: "e", Name: "sDemo", Tenant: audience.TenantID{1, 2, 3}}
}

func post() api.Post {
	return api.Post{Began: time.Now(), Ended: time.Now().Add(3 * time.Millisecond), Status: 200, Segment: segment(), Verb: audience.Add, Keys: 7}
}

// TestOff: without a word in the environment, or with a word against it, nothing runs
// and nobody is to be told of anything.
func TestOff(t *testing.T) {
	for _, vars := range []map[string]string{
		{},
		{"OTEL_SERVICE_NAME": "relay", "OTEL_TRACES_SAMPLER": "always_on", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{}
			sent, _, log := begin(t, c, vars)
			if sent.Answered() != nil || sent.Called() != nil {
				t.Errorf("%v: it is on", vars)
			}
			if warned := strings.Contains(log.String(), "this signal is off"); warned != (vars["OTEL_EXPORTER_OTLP_PROTOCOL"] != "" || vars["OTEL_EXPORTER_OTLP_ENDPOINT"] == "collector:4318") {
				t.Errorf("%v: %s", vars, log)
			}
			time.Sleep(time.Hour)
			if len(c.requests) > 0 {
				t.Errorf("%v: %d requests", vars, len(c.requests))
			}
			// It is not stopped: a goroutine would be left in the bubble, which is a failure.
		})
	}
}

// TestSpanOfAPost: it is in the trace of the caller, and has what is known of the post.
func TestSpanOfAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, _, _ := begin(t, c, with(traces, "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.name=other", "OTEL_SERVICE_NAME", "relay"))
		p := post()
		p.TraceParent, p.TraceState = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=x"
		sent.Answered()(p)
		unsampled := post()
		unsampled.TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
		sent.Answered()(unsampled) // its caller wants no trace
		alone := api.Post{Began: time.Now(), Ended: time.Now(), Status: 503, TraceParent: "garbage"}
		sent.Answered()(alone)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		sent.Stop(t.Context())
		if len(c.spans) != 2 {
			t.Fatalf("%d spans", len(c.spans))
		}
		s := c.spans[0]
		if hex.EncodeToString(s.GetTraceId()) != "4bf92f3577b34da6a3ce929d0e0e4736" || hex.EncodeToString(s.GetParentSpanId()) != "00f067aa0ba902b7" ||
			len(s.GetSpanId()) != 8 || s.GetTraceState() != "vendor=x" || s.GetFlags() != 0x301 {
			t.Errorf("not in its caller's trace: %v", s)
		}
		if s.GetName() != "POST /audiences" || s.GetKind() != tracepb.Span_SPAN_KIND_SERVER || s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano() != 3e6 || s.GetStatus() != nil {
			t.Errorf("%v", s)
		}
		want := map[string]any{"http.request.method": "POST", "http.route": "/audiences", "url.scheme": "https", "http.response.status_code": int64(200),
			"audiences.tenant": segment().Tenant.String(), "audiences.environment": "e", "audiences.segment": "sDemo", "audiences.verb": "add", "audiences.keys": int64(7)}
		if got := plain(s.GetAttributes()); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		s = c.spans[1]
		if len(s.GetParentSpanId()) != 0 || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || plain(s.GetAttributes())["error.type"] != "503" {
			t.Errorf("%v", s)
		}
		of := plain(c.traced[0].GetResource().GetAttributes())
		if of["service.name"] != "relay" || of["service.version"] != "1.2.3" || of["service.instance.id"] != "host:5010" || of["deployment.environment.name"] != "prod" {
			t.Errorf("resource: %v", of)
		}
	})
}

// TestSpanOfACall has what became of it.
func TestSpanOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, _, _ := begin(t, c, traces)
		sent.Called()(splitclient.Made{Segment: segment(), Verb: audience.Delete, Keys: 10_000, Attempt: 2, Reason: splitclient.ThrottledOrg,
			Status: 429, Transaction: "x-1", Began: time.Now(), Ended: time.Now().Add(time.Second)})
		sent.Called()(splitclient.Made{Segment: segment(), Verb: audience.Add, Keys: 1, Attempt: 1, Reason: splitclient.OK, Status: 200, Began: time.Now(), Ended: time.Now()})
		sent.Stop(t.Context())
		if len(c.spans) != 2 {
			t.Fatalf("%d spans", len(c.spans))
		}
		s := c.spans[0]
		want := map[string]any{"http.request.method": "PUT", "http.response.status_code": int64(429), "server.address": "api.split.io", "error.type": "throttled_org",
			"audiences.tenant": segment().Tenant.String(), "audiences.environment": "e", "audiences.segment": "sDemo", "audiences.verb": "delete",
			"audiences.keys": int64(10_000), "audiences.attempt": int64(2), "audiences.reason": "throttled_org", "audiences.transaction": "x-1"}
		if got := plain(s.GetAttributes()); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		if s.GetName() != "PUT removeKeys" || s.GetKind() != tracepb.Span_SPAN_KIND_CLIENT || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano() != 1e9 {
			t.Errorf("%v", s)
		}
		if c.spans[1].GetStatus() != nil || c.spans[1].GetName() != "PUT uploadKeys" {
			t.Errorf("%v", c.spans[1])
		}
	})
}

// TestSampler: the environment chooses which traces are sent.
func TestSampler(t *testing.T) {
	for _, c := range []struct {
		sampler, arg string
		least, most  int
	}{{"always_off", "", 0, 0}, {"parentbased_traceidratio", "0.5", 50, 150}, {"traceidratio", "0", 0, 0}, {"nonsense", "", 200, 200}} {
		synctest.Test(t, func(t *testing.T) {
			stand := &collector{}
			sent, _, log := begin(t, stand, with(traces, "OTEL_TRACES_SAMPLER", c.sampler, "OTEL_TRACES_SAMPLER_ARG", c.arg))
			for range 200 {
				sent.Answered()(post())
			}
			sent.Stop(t.Context())
			if n := len(stand.spans); n < c.least || n > c.most {
				t.Errorf("%s %s: %d spans", c.sampler, c.arg, n)
			}
			if strings.Contains(log.String(), "OTEL_TRACES_SAMPLER is not known") != (c.sampler == "nonsense") {
				t.Errorf("%s: %s", c.sampler, log)
			}
		})
	}
}

// TestBatches: a full batch is sent at once, another one after the delay.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, _, _ := begin(t, c, with(traces, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10", "OTEL_BSP_SCHEDULE_DELAY", "700"))
		for range 15 {
			sent.Answered()(post())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := []time.Duration{0, 700 * time.Millisecond}; !slices.Equal(c.at, want) || len(c.spans) != 15 {
			t.Errorf("%d spans at %v, want %v", len(c.spans), c.at, want)
		}
		sent.Stop(t.Context())
	})
}

// TestCollectorAway: who posts does not wait, the queue stays bounded, what finds no room
// is counted, and the log has a line for many failures.
func TestCollectorAway(t *testing.T) {
	for name, a := range map[string]answer{"refused": {err: errors.New("connection refused")}, "hangs": {hangs: true}, "busy": {status: 503}} {
		synctest.Test(t, func(t *testing.T) {
			away := true
			c := &collector{answer: func(int) answer {
				if away {
					return a
				}
				return answer{status: 200}
			}}
			sent, registry, log := begin(t, c, with(traces, "OTEL_BSP_MAX_QUEUE_SIZE", "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"))
			began := time.Now()
			for range 1000 {
				sent.Answered()(post())
			}
			if time.Since(began) != 0 {
				t.Errorf("%s: posts waited for %v", name, time.Since(began))
			}
			synctest.Wait()
			if dropped := value(t, registry, "audiences_telemetry_spans_dropped_total"); dropped < 900 || dropped > 950 {
				t.Errorf("%s: %v spans dropped", name, dropped)
			}
			time.Sleep(3 * time.Minute)
			if failed := value(t, registry, "audiences_telemetry_exports_failed_total"); failed < 1 || failed > 3 {
				t.Errorf("%s: %v requests given up in three minutes", name, failed)
			}
			if lines := strings.Count(log.String(), "telemetry could not be sent"); lines < 1 || lines > 3 {
				t.Errorf("%s: %d lines: %s", name, lines, log)
			}
			c.mu.Lock()
			away = false
			c.mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
			sent.Stop(t.Context())
			if all := float64(len(c.spans)) + value(t, registry, "audiences_telemetry_spans_dropped_total"); all != 1000 || len(c.spans) == 0 {
				t.Errorf("%s: %d sent, %v with those that were dropped", name, len(c.spans), all)
			}
		})
	}
}

// TestThrottled: a collector is asked again no sooner than it wants.
func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(n int) answer {
			switch n {
			case 1:
				return answer{status: 429, header: http.Header{"Retry-After": {"17"}}}
			case 2:
				return answer{status: 503, header: http.Header{"Retry-After": {time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)}}}
			}
			return answer{status: 200}
		}}
		sent, registry, log := begin(t, c, with(traces, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"))
		sent.Answered()(post())
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, 17 * time.Second, 37 * time.Second}; !slices.Equal(c.at, want) || len(c.spans) != 1 {
			t.Errorf("%d spans, asked at %v, want %v", len(c.spans), c.at, want)
		}
		if value(t, registry, "audiences_telemetry_exports_failed_total") != 0 || strings.Contains(log.String(), "could not") {
			t.Errorf("it came through: %s", log)
		}
		sent.Stop(t.Context())
	})
}

// TestRepeats: waits grow from one attempt to the next, and after a minute the next batch
// is tried.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(int) answer { return answer{status: 502} }}
		sent, registry, _ := begin(t, c, with(traces, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"))
		sent.Answered()(post())
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		for i := 1; i < len(c.at); i++ {
			most := min(time.Second<<(i-1), maxWait)
			if wait := c.at[i] - c.at[i-1]; wait < most/2 || wait > most {
				t.Errorf("wait %d took %v, want %v to %v", i, wait, most/2, most)
			}
		}
		if n := len(c.at); n < 6 || n > 8 || c.at[n-1] > giveUp || value(t, registry, "audiences_telemetry_exports_failed_total") != 1 {
			t.Errorf("asked at %v", c.at)
		}
		sent.Stop(t.Context())
	})
}

// TestThrottledForVeryLong: a collector is believed five minutes at most.
func TestThrottledForVeryLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(int) answer { return answer{status: 429, header: http.Header{"Retry-After": {"86400"}}} }}
		sent, _, _ := begin(t, c, with(traces, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"))
		sent.Answered()(post())
		sent.Answered()(post())
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, 5 * time.Minute}; !slices.Equal(c.at, want) {
			t.Errorf("asked at %v, want %v", c.at, want)
		}
		sent.Stop(t.Context())
	})
}

// TestCompression is as the environment wants it.
func TestCompression(t *testing.T) {
	for _, how := range []string{"", "none", "gzip"} {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{}
			sent, _, _ := begin(t, c, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": how})
			sent.Answered()(post())
			sent.Stop(t.Context())
			if len(c.spans) != 1 || len(c.metrics) != 1 || (c.requests[0].Header.Get("Content-Encoding") == "gzip") != (how == "gzip") {
				t.Errorf("%q: %d spans, %v", how, len(c.spans), c.requests[0].Header)
			}
		})
	}
}

// TestRefused: what a collector does not want is not sent again, and nothing follows a
// redirect, which would carry the headers along.
func TestRefused(t *testing.T) {
	for _, status := range []int{400, 401, 404, 500, 307} {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{answer: func(int) answer {
				return answer{status: status, header: http.Header{"Location": {"https://elsewhere/"}}}
			}}
			sent, registry, _ := begin(t, c, with(traces, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"))
			sent.Answered()(post())
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(c.requests) != 1 || value(t, registry, "audiences_telemetry_exports_failed_total") != 1 || value(t, registry, "audiences_telemetry_spans_dropped_total") != 1 {
				t.Errorf("%d: %d requests", status, len(c.requests))
			}
			sent.Stop(t.Context())
		})
	}
}

// TestStopFlushes: a stop sends what is left, and takes two seconds at most.
func TestStopFlushes(t *testing.T) {
	both := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, _, _ := begin(t, c, both)
		sent.Answered()(post())
		began := time.Now()
		sent.Stop(t.Context())
		sent.Stop(t.Context())
		if len(c.spans) != 1 || len(c.metrics) != 1 || time.Since(began) != 0 {
			t.Errorf("%d spans, %d requests with metrics after %v", len(c.spans), len(c.metrics), time.Since(began))
		}
	})
	for name, a := range map[string]answer{"hangs": {hangs: true}, "busy": {status: 503, header: http.Header{"Retry-After": {"60"}}}, "refused": {err: errors.New("connection refused")}} {
		synctest.Test(t, func(t *testing.T) {
			sent, registry, _ := begin(t, &collector{answer: func(int) answer { return a }}, both)
			for range 600 {
				sent.Answered()(post())
			}
			synctest.Wait() // the first batch is on its way
			began := time.Now()
			sent.Stop(context.Background())
			if took := time.Since(began); took > FlushFor {
				t.Errorf("%s: the stop took %v", name, took)
			}
			if dropped := value(t, registry, "audiences_telemetry_spans_dropped_total"); dropped != 600 {
				t.Errorf("%s: %v spans were counted", name, dropped)
			}
		})
	}
}

// TestStopWhileMetricsHang: also metrics that cannot be read hold up no stop.
func TestStopWhileMetricsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, registry, _ := begin(t, c, metricsOnly)
		busy := make(chan struct{})
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "g"}, func() float64 { <-busy; return 1 }))
		began := time.Now()
		sent.Stop(context.Background())
		if took := time.Since(began); took != FlushFor || len(c.requests) != 0 {
			t.Errorf("the stop took %v, with %d requests", took, len(c.requests))
		}
		close(busy)
	})
}

// TestHeadersAreSecret: they are sent as they are meant and never logged, and neither is
// the endpoint's path.
func TestHeadersAreSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(int) answer { return answer{status: 403} }}
		sent, _, log := begin(t, c, map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT":        endpoint + "/sekrit-path/",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint + "/sekrit-own",
			"OTEL_EXPORTER_OTLP_HEADERS":         "api-key=sekrit%20general, other = x ,sekrit-bad,bad name=sekrit,bad=sekrit%0A",
			"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "api-key=sekrit-metrics",
		})
		sent.Answered()(post())
		sent.Stop(t.Context())
		paths := map[string]string{}
		for _, r := range c.requests {
			paths[r.URL.Path] = r.Header.Get("Api-Key") + r.Header.Get("Other")
			if r.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("%v", r.Header)
			}
		}
		if want := map[string]string{"/sekrit-own": "sekrit generalx", "/sekrit-path/v1/metrics": "sekrit-metrics"}; !maps.Equal(paths, want) {
			t.Errorf("got %v, want %v", paths, want)
		}
		if strings.Contains(log.String(), "sekrit") || !strings.Contains(log.String(), "OTEL_EXPORTER_OTLP_HEADERS must be") {
			t.Errorf("%s", log)
		}
	})
}

// TestEnvironment: what is wrong is told by the variable's name, and the default counts.
func TestEnvironment(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"OTEL_METRIC_EXPORT_INTERVAL", "1m"}, {"OTEL_METRIC_EXPORT_INTERVAL", "0"}, {"OTEL_BSP_MAX_QUEUE_SIZE", "-1"}, {"OTEL_EXPORTER_OTLP_TIMEOUT", "sekrit"},
		{"OTEL_TRACES_SAMPLER_ARG", "2"}, {"OTEL_METRICS_EXPORTER", "prometheus"}, {"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/sekrit.pem"}, {"OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/sekrit.pem"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://user:sekrit@host"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			t.Setenv(c.name, c.value)
			s, problems := readEnvironment()
			if len(problems) != 1 || !strings.HasPrefix(problems[0], c.name+" ") || strings.Contains(strings.Join(problems, ""), "sekrit") {
				t.Errorf("%v", problems)
			}
			if s.interval != time.Minute || s.queue.length != 2048 || s.traces.on && s.traces.timeout != 10*time.Second || !s.traces.on && !s.metrics.on {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	s, problems := readEnvironment()
	if len(problems) > 0 || s.traces.url != "http://localhost:4318/v1/traces" || s.metrics.on {
		t.Errorf("%+v %v", s, problems)
	}
}

// TestMetrics: each kind of metric goes out as what it is, with its labels and values,
// once an interval.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		sent, registry, _ := begin(t, c, with(metricsOnly, "OTEL_METRIC_EXPORT_INTERVAL", "20000"))
		time.Sleep(time.Second)
		counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "Counts."}, []string{"verb"})
		gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})
		histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{1, 10}, NativeHistogramBucketFactor: 1.1})
		summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Objectives: map[float64]float64{.5: .1}})
		registry.MustRegister(counter, gauge, histogram, summary,
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "f_total"}, func() float64 { return 3 }))
		counter.WithLabelValues("add").Add(5)
		counter.WithLabelValues("delete").Add(1)
		gauge.Set(-2.5)
		for _, v := range []float64{.5, 1, 3, 100, 100} {
			histogram.Observe(v)
		}
		summary.Observe(7)
		time.Sleep(44 * time.Second)
		synctest.Wait()
		if want := []time.Duration{20 * time.Second, 40 * time.Second}; !slices.Equal(c.at, want) {
			t.Fatalf("sent at %v, want %v", c.at, want)
		}
		sent.Stop(t.Context())
		got := map[string]*metricspb.Metric{}
		for _, m := range c.metrics[0].GetScopeMetrics()[0].GetMetrics() {
			got[m.GetName()] = m
		}
		sum := got["c_total"].GetSum()
		if !sum.GetIsMonotonic() || sum.GetAggregationTemporality() != cumulative || len(sum.GetDataPoints()) != 2 || got["c_total"].GetDescription() != "Counts." {
			t.Fatalf("%v", got["c_total"])
		}
		if p := sum.GetDataPoints()[0]; p.GetAsDouble() != 5 || plain(p.GetAttributes())["verb"] != "add" || p.GetTimeUnixNano()-p.GetStartTimeUnixNano() != 19e9 {
			t.Errorf("%v", p)
		}
		if p := got["f_total"].GetSum().GetDataPoints()[0]; p.GetAsDouble() != 3 || p.GetTimeUnixNano()-p.GetStartTimeUnixNano() != 20e9 {
			t.Errorf("it does not say since when it counts, so it is since the start: %v", p)
		}
		if p := got["g"].GetGauge().GetDataPoints()[0]; p.GetAsDouble() != -2.5 {
			t.Errorf("%v", p)
		}
		if p := got["h"].GetHistogram().GetDataPoints()[0]; p.GetCount() != 5 || p.GetSum() != 204.5 || !slices.Equal(p.GetExplicitBounds(), []float64{1, 10}) || !slices.Equal(p.GetBucketCounts(), []uint64{2, 1, 2}) {
			t.Errorf("%v", p)
		}
		if p := got["s"].GetSummary().GetDataPoints()[0]; p.GetCount() != 1 || p.GetSum() != 7 || p.GetQuantileValues()[0].GetValue() != 7 {
			t.Errorf("%v", p)
		}
		if of := plain(c.metrics[0].GetResource().GetAttributes()); of["service.name"] != "audiences" {
			t.Errorf("%v", of)
		}
	})
}
