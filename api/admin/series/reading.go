package series

import (
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// reading is what the metrics say at one time. Counters are those since the start of
// the process.
type reading struct {
	at                       time.Time
	taken, delivered         float64 // keys
	refused                  float64 // posts
	calls, throttled, failed float64 // calls to Split: all, answered 429, failed for now
	pending, parked          float64 // keys
	oldest                   float64 // seconds
	fresh                    histogram
}

// histogram has the counts of its classic buckets, each with those below it.
type histogram struct {
	bounds []float64 // upper ones, in seconds, without infinity
	counts []float64
	all    float64
}

// read picks the figures out of the registry's families. What is missing is 0.
func read(families []*dto.MetricFamily, at time.Time) reading {
	r := reading{at: at}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			r.add(family.GetName(), m)
		}
	}
	return r
}

func (r *reading) add(name string, m *dto.Metric) {
	switch name {
	case "audiences_keys_accepted_total":
		r.taken += m.GetCounter().GetValue()
	case "audiences_keys_delivered_total":
		r.delivered += m.GetCounter().GetValue()
	case "audiences_requests_refused_total":
		r.refused += m.GetCounter().GetValue()
	case "audiences_split_calls_total":
		r.addCall(label(m, "reason"), m.GetCounter().GetValue())
	case "audiences_keys_pending":
		r.pending += m.GetGauge().GetValue()
	case "audiences_oldest_pending_seconds":
		r.oldest = m.GetGauge().GetValue()
	case "audiences_keys_parked":
		r.parked += m.GetGauge().GetValue()
	case "audiences_freshness_seconds":
		r.fresh = histogramOf(m.GetHistogram())
	}
}

// addCall sorts calls by what the charts mark: the limits of Split, and what fails and is repeated.
func (r *reading) addCall(reason string, n float64) {
	r.calls += n
	switch reason {
	case "throttled", "throttled_ip", "throttled_org":
		r.throttled += n
	case "server_error", "timeout", "connection_lost", "unreachable", "dns_failure", "tls_failure", "egress_refused", "request_timeout", "unexpected_answer", "unconfirmed", "redirected":
		r.failed += n
	}
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

func histogramOf(from *dto.Histogram) (h histogram) {
	h.all = float64(from.GetSampleCount())
	for _, bucket := range from.GetBucket() {
		if math.IsInf(bucket.GetUpperBound(), 1) {
			continue
		}
		h.bounds = append(h.bounds, bucket.GetUpperBound())
		h.counts = append(h.counts, float64(bucket.GetCumulativeCount()))
	}
	return h
}

// since is what came after an earlier one of the same process.
func (h histogram) since(before histogram) histogram {
	if len(before.counts) != len(h.counts) {
		return h
	}
	made := histogram{bounds: h.bounds, counts: make([]float64, len(h.counts)), all: h.all - before.all}
	for i := range h.counts {
		made.counts[i] = h.counts[i] - before.counts[i]
	}
	return made
}

// quantile is where this share of the observations ends, between the bounds of its bucket
// by proportion, as Prometheus does it; above the last bound it is that bound. Without
// observations it is 0.
func (h histogram) quantile(share float64) float64 {
	below, from := 0.0, 0.0
	for i, upTo := range h.bounds {
		if wanted := share * h.all; h.counts[i] >= wanted && h.counts[i] > 0 {
			return from + (upTo-from)*(wanted-below)/(h.counts[i]-below)
		}
		below, from = h.counts[i], upTo
	}
	if h.all == 0 {
		return 0
	}
	return from
}

// within is the share of the observations up to a bound, which is the first one that is not
// below the one that is asked for. Without observations, or without such a bound, both are 0.
func (h histogram) within(asked float64) (bound, share float64) {
	for i, upTo := range h.bounds {
		if upTo >= asked && h.all > 0 {
			return upTo, h.counts[i] / h.all
		}
	}
	return 0, 0
}
