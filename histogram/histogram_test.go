package histogram

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func written(t *testing.T, c prometheus.Collector) *dto.Histogram {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetHistogram()
}

// TestWeightedIsAsTheLibrarys: observations of a value at once are what as many by
// themselves are in a histogram of the library, bucket by bucket.
func TestWeightedIsAsTheLibrarys(t *testing.T) {
	bounds := []float64{.1, 1, 10}
	ours := NewWeighted("x", "help", bounds)
	options := Native(prometheus.HistogramOpts{Name: "x", Help: "help", Buckets: bounds})
	options.NativeHistogramMaxBucketNumber = 1000
	theirs := prometheus.NewHistogram(options)
	if h := written(t, ours); h.GetSampleCount() != 0 || len(h.GetPositiveSpan()) != 1 || len(h.GetBucket()) != 3 {
		t.Errorf("empty: %v", h)
	}
	for value, times := range map[float64]int{0: 2, .1: 3, .5: 1, .51: 4, 1: 2, 3: 10_000, 3.01: 1, 10: 1, 1000: 7, 20000: 1} {
		ours.Observe(value, times)
		for range times {
			theirs.Observe(value)
		}
	}
	got, want := written(t, ours), written(t, theirs)
	if got.GetSampleCount() != want.GetSampleCount() || math.Abs(got.GetSampleSum()-want.GetSampleSum()) > 1e-6*want.GetSampleSum() || got.GetSchema() != want.GetSchema() || got.GetZeroCount() != want.GetZeroCount() {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for i, bucket := range want.GetBucket() {
		if got.GetBucket()[i].GetCumulativeCount() != bucket.GetCumulativeCount() || got.GetBucket()[i].GetUpperBound() != bucket.GetUpperBound() {
			t.Errorf("got %v, want %v", got.GetBucket()[i], bucket)
		}
	}
	// The library writes a small gap as empty buckets, so the counts are compared by index.
	if got, want := counts(got), counts(want); len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	} else {
		for index, n := range want {
			if got[index] != n {
				t.Errorf("bucket %d: %d, want %d", index, got[index], n)
			}
		}
	}
}

// counts are those of the native buckets that are not empty.
func counts(h *dto.Histogram) map[int32]int64 {
	found := map[int32]int64{}
	index, count, next := int32(0), int64(0), 0
	for _, span := range h.GetPositiveSpan() {
		index += span.GetOffset()
		for range span.GetLength() {
			count += h.GetPositiveDelta()[next]
			if next++; count > 0 {
				found[index] = count
			}
			index++
		}
	}
	return found
}

// TestWeightedIsBounded: whatever is observed, there are no more than some hundred buckets.
func TestWeightedIsBounded(t *testing.T) {
	h := NewWeighted("x", "help", []float64{1})
	for value := 1e-9; value < 1e12; value *= 1.05 {
		h.Observe(value, 1)
	}
	h.Observe(-1, 1)
	h.Observe(5, -1)
	got := written(t, h)
	if n := len(counts(got)); n > 250 || got.GetZeroCount() != 1 {
		t.Errorf("%d buckets, %d at zero", n, got.GetZeroCount())
	}
	sum := int64(1)
	for _, n := range counts(got) {
		sum += n
	}
	if uint64(sum) != got.GetSampleCount() {
		t.Errorf("%d in the buckets of %d", sum, got.GetSampleCount())
	}
}

// TestWeightedSumNeverFalls, also where a clock that was set back makes a time negative.
func TestWeightedSumNeverFalls(t *testing.T) {
	h := NewWeighted("x", "help", []float64{1})
	h.Observe(5, 1)
	h.Observe(-1, 2)
	if got := written(t, h); got.GetSampleSum() != 5 || got.GetSampleCount() != 3 || got.GetZeroCount() != 2 || got.GetBucket()[0].GetCumulativeCount() != 2 {
		t.Errorf("%v", got)
	}
}
