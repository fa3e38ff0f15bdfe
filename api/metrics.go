package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"audiences/audience"
	"audiences/histogram"
)

// metrics are what this package counts.
type metrics struct {
	requests     *prometheus.CounterVec
	refused      *prometheus.CounterVec
	answers      prometheus.Histogram
	ignoredNull  prometheus.Counter
	ignoredBlank prometheus.Counter
	panics       prometheus.Counter
	accepted     map[audience.Verb]prometheus.Counter
}

// codes are the statuses that this package answers with.
var codes = []int{200, 400, 401, 404, 405, 408, 413, 500, 503}

func newMetrics(registerer prometheus.Registerer, a *admission) *metrics {
	factory := promauto.With(registerer)
	ignored := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_ignored_mpids_total",
		Help: "Entries of mpids that are no key, by what they are.",
	}, []string{"kind"})
	accepted := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "audiences_keys_accepted_total",
		Help: "Keys of posts that were answered 200, by verb.",
	}, []string{"verb"})
	m := &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_requests_total",
			Help: "HTTP requests answered, by status code.",
		}, []string{"code"}),
		refused: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "audiences_requests_refused_total",
			Help: "HTTP requests that were refused, by cause.",
		}, []string{"cause"}),
		answers: factory.NewHistogram(histogram.Native(prometheus.HistogramOpts{
			Name:    "audiences_answer_seconds",
			Help:    "Time from the headers of a post to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		})),
		accepted:     map[audience.Verb]prometheus.Counter{audience.Add: accepted.WithLabelValues("add"), audience.Delete: accepted.WithLabelValues("delete")},
		ignoredNull:  ignored.WithLabelValues("null"),
		ignoredBlank: ignored.WithLabelValues("blank"),
		panics: factory.NewCounter(prometheus.CounterOpts{
			Name: "audiences_request_panics_total",
			Help: "Requests whose handling panicked; each was answered 500.",
		}),
	}
	for _, cause := range Causes() {
		m.refused.WithLabelValues(string(cause))
	}
	for _, code := range codes {
		m.requests.WithLabelValues(strconv.Itoa(code))
	}
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_requests_in_flight",
		Help: "Posts under way, also those whose caller was told that the outcome is unknown.",
	}, func() float64 { return float64(a.requests.Load()) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_body_bytes_in_flight",
		Help: "Bytes that the posts under way hold, as bodies or as keys.",
	}, func() float64 { return float64(a.bytes.Load()) })
	return m
}

func (m *metrics) timeAnswer(since time.Time) { m.answers.Observe(time.Since(since).Seconds()) }

func (m *metrics) answered(status int) { m.requests.WithLabelValues(strconv.Itoa(status)).Inc() }
