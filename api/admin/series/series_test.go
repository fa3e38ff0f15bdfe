package series

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// relay has the metrics that the series read.
type relay struct {
	registry                         *prometheus.Registry
	taken, delivered, refused, calls *prometheus.CounterVec
	parked                           *prometheus.GaugeVec
	pending, oldest                  prometheus.Gauge
	fresh                            prometheus.Histogram
}

func newRelay() *relay {
	counter := func(name, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, []string{label})
	}
	gauge := func(name string) prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts{Name: name}) }
	r := &relay{registry: prometheus.NewRegistry(),
		taken: counter("audiences_keys_accepted_total", "verb"), delivered: counter("audiences_keys_delivered_total", "verb"),
		refused: counter("audiences_requests_refused_total", "cause"), calls: counter("audiences_split_calls_total", "reason"),
		parked:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "audiences_keys_parked"}, []string{"reason"}),
		pending: gauge("audiences_keys_pending"), oldest: gauge("audiences_oldest_pending_seconds"),
		fresh: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "audiences_freshness_seconds", Buckets: []float64{1, 10, 30, 60}})}
	r.registry.MustRegister(r.taken, r.delivered, r.refused, r.calls, r.parked, r.pending, r.oldest, r.fresh)
	return r
}

func (r *relay) families(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

var start = time.Date(2026, 3, 14, 14, 0, 0, 0, time.UTC)

// TestPoints: rates are of the step, gauges of its end, and all labels of a metric count.
func TestPoints(t *testing.T) {
	m, ring := newRelay(), &Ring{}
	ring.Add(m.families(t), start)
	if got := ring.Since(time.Time{}, 10); len(got) != 0 {
		t.Errorf("a point without a step: %+v", got)
	}
	m.taken.WithLabelValues("add").Add(150)
	m.taken.WithLabelValues("delete").Add(50)
	m.delivered.WithLabelValues("add").Add(100)
	m.refused.WithLabelValues("token").Add(30)
	m.calls.WithLabelValues("throttled_org").Add(2)
	m.calls.WithLabelValues("throttled_ip").Add(1)
	m.calls.WithLabelValues("server_error").Add(4)
	m.calls.WithLabelValues("delivered").Add(9)
	m.calls.WithLabelValues("not_found").Add(1)
	m.parked.WithLabelValues("bad_request").Set(3)
	m.parked.WithLabelValues("refused").Set(4)
	m.pending.Set(100)
	m.oldest.Set(12)
	ring.Add(m.families(t), start.Add(10*time.Second))
	want := Point{At: start.Add(10 * time.Second), Taken: 20, Delivered: 10, Refused: 3, Throttled: 3, Failed: 4, Pending: 100, Oldest: 12, Parked: 7}
	if got := ring.Since(start, 10); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Nothing more comes in the step after, which is longer since a reading failed.
	ring.Add(m.families(t), start.Add(30*time.Second))
	want = Point{At: start.Add(30 * time.Second), Pending: 100, Oldest: 12, Parked: 7}
	if got := ring.Since(start.Add(10*time.Second), 10); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestNow: rates are of the last half minute, refusals and ages of the last five.
func TestNow(t *testing.T) {
	m, ring := newRelay(), &Ring{}
	if got := ring.Now(30 * time.Second); got != (Now{}) {
		t.Errorf("before the first reading: %+v", got)
	}
	m.fresh.Observe(55) // before the first reading: of no interest
	ring.Add(m.families(t), start)
	at := start
	for range 60 { // ten minutes
		at = at.Add(Step)
		m.taken.WithLabelValues("add").Add(100)
		m.refused.WithLabelValues("disk").Add(1)
		for range 98 {
			m.fresh.Observe(5)
		}
		m.fresh.Observe(20)
		m.fresh.Observe(40)
		ring.Add(m.families(t), at)
	}
	m.pending.Set(70)
	got := ring.Now(25 * time.Second)
	want := Now{At: at, Taken: 10, Refused: 30, Within: 30, Fresh: 0.99, Measured: 3000}
	want.P50, want.P99 = got.P50, got.P99
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if math.Abs(got.P50-(1+9*0.5/0.98)) > 1e-9 || math.Abs(got.P99-30) > 1e-9 {
		t.Errorf("p50 %v, p99 %v", got.P50, got.P99)
	}
	m.taken.WithLabelValues("add").Add(600)
	ring.Add(m.families(t), at.Add(Step))
	if got := ring.Now(time.Hour); got.Taken != 800.0/30 || got.Within != 0 || got.Fresh != 0 || got.Pending != 70 {
		t.Errorf("got %+v", got)
	}
}

// TestQuantiles beyond the last bucket, and of nothing.
func TestQuantiles(t *testing.T) {
	h := histogram{bounds: []float64{1, 10}, counts: []float64{0, 1}, all: 4}
	if got := h.quantile(0.99); got != 10 {
		t.Errorf("beyond: %v", got)
	}
	if got := h.quantile(0.125); got != 1+9*0.5 {
		t.Errorf("within: %v", got)
	}
	if got := (histogram{bounds: []float64{1}, counts: []float64{0}}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if bound, share := h.within(2); bound != 10 || share != 0.25 {
		t.Errorf("within 2: %v %v", bound, share)
	}
}

// TestADayIsKept and no more, in its order; what is asked for is thinned without hiding a peak.
func TestADayIsKept(t *testing.T) {
	m, ring := newRelay(), &Ring{}
	families := m.families(t)
	at := start
	for range capacity + 100 {
		at = at.Add(Step)
		ring.Add(families, at)
	}
	m.pending.Set(500)
	m.calls.WithLabelValues("throttled").Add(7)
	m.taken.WithLabelValues("add").Add(100)
	at = at.Add(Step)
	ring.Add(m.families(t), at)
	all := ring.Since(time.Time{}, capacity)
	if len(all) != capacity || !all[len(all)-1].At.Equal(at) || !all[0].At.Equal(at.Add(-Longest+Step)) {
		t.Fatalf("%d points from %v to %v", len(all), all[0].At, all[len(all)-1].At)
	}
	for i := 1; i < len(all); i++ {
		if !all[i].At.After(all[i-1].At) {
			t.Fatalf("point %d is not after the one before", i)
		}
	}
	if len(ring.recent) > int(freshWindow/Step)+2 {
		t.Errorf("%d readings are kept", len(ring.recent))
	}
	few := ring.Since(time.Time{}, 720)
	last := few[len(few)-1]
	if len(few) != 720 || last.Pending != 500 || last.Throttled != 7 || math.Abs(last.Taken-10.0/12) > 1e-9 || !last.At.Equal(at) {
		t.Errorf("%d points, the last %+v", len(few), last)
	}
	if got := ring.Since(at.Add(-time.Minute), 720); len(got) != 6 {
		t.Errorf("%d points of a minute", len(got))
	}
}

// TestRun: a reading at once and every step; what cannot be read is left out.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ring := newRelay(), &Ring{}
		asked := 0
		ctx, cancel := context.WithCancel(t.Context())
		go ring.Run(ctx, func() ([]*dto.MetricFamily, error) {
			if asked++; asked == 3 {
				return nil, errors.New("not now")
			}
			return m.registry.Gather()
		})
		time.Sleep(4*Step + time.Second)
		cancel()
		synctest.Wait()
		if points := ring.Since(time.Time{}, 100); asked != 5 || len(points) != 3 || points[1].At.Sub(points[0].At) != 2*Step {
			t.Errorf("asked %d times: %+v", asked, points)
		}
	})
}
