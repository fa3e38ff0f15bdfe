package histogram

import (
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Weighted is a histogram, classic and native, that takes many observations of one
// value at once: a call has up to 10,000 keys, and the library takes one at a time.
type Weighted struct {
	describe *prometheus.Desc
	bounds   []float64

	mu      sync.Mutex
	classic []uint64       // for each bound, without those below it
	exact   map[int]uint64 // native buckets by their index; schema says how wide they are
	zero    uint64         // observations of 0, and below
	all     uint64
	sum     float64
}

const (
	// schema says how wide the native buckets are: the bound of each is 2 to the power of
	// its index / 2^schema, so 9 % more than that of the one before.
	schema = 3
	// least and most bound the native buckets, and with them their number.
	least, most = 0.01, 1 << 22
)

// NewWeighted makes an empty one, with these upper bounds for the classic buckets, the lowest
// first.
func NewWeighted(name, help string, bounds []float64) *Weighted {
	return &Weighted{describe: prometheus.NewDesc(name, help, nil, nil), bounds: bounds,
		classic: make([]uint64, len(bounds)+1), exact: map[int]uint64{}}
}

// Observe counts a value so many times.
func (h *Weighted) Observe(value float64, times int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, value := uint64(max(0, times)), max(0, value) // a sum that falls looks like a restart
	at, _ := slices.BinarySearch(h.bounds, value)
	h.classic[at] += n
	h.all += n
	h.sum += value * float64(n)
	if value <= 0 {
		h.zero += n
		return
	}
	h.exact[int(math.Ceil(math.Log2(min(max(value, least), most))*(1<<schema)))] += n
}

// Describe tells the one metric.
func (h *Weighted) Describe(to chan<- *prometheus.Desc) { to <- h.describe }

// Collect shows it as it is now.
func (h *Weighted) Collect(to chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	to <- metric{h.describe, &dto.Histogram{
		SampleCount: new(h.all), SampleSum: new(h.sum), Bucket: h.classicBuckets(),
		Schema: new(int32(schema)), ZeroThreshold: new(float64(0)), ZeroCount: new(h.zero),
		PositiveSpan: spansOf(h.exact), PositiveDelta: deltasOf(h.exact),
	}}
}

func (h *Weighted) classicBuckets() (list []*dto.Bucket) {
	below := uint64(0)
	for i, bound := range h.bounds {
		below += h.classic[i]
		list = append(list, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(below)})
	}
	return list
}

// spansOf are the runs of neighbouring buckets. Without any there is one empty span, by
// which a native histogram is known.
func spansOf(buckets map[int]uint64) (spans []*dto.BucketSpan) {
	next := 0
	for i, index := range slices.Sorted(maps.Keys(buckets)) {
		if i == 0 || index != next {
			spans = append(spans, &dto.BucketSpan{Offset: new(int32(index - next)), Length: new(uint32(0))})
		}
		*spans[len(spans)-1].Length++
		next = index + 1
	}
	if len(spans) == 0 {
		spans = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}
	}
	return spans
}

// deltasOf are the counts, each as the difference to the one before.
func deltasOf(buckets map[int]uint64) (deltas []int64) {
	before := int64(0)
	for _, index := range slices.Sorted(maps.Keys(buckets)) {
		count := int64(buckets[index])
		deltas = append(deltas, count-before)
		before = count
	}
	return deltas
}

type metric struct {
	describe  *prometheus.Desc
	histogram *dto.Histogram
}

// Desc describes it.
func (m metric) Desc() *prometheus.Desc { return m.describe }

// Write shows it.
func (m metric) Write(to *dto.Metric) error {
	to.Histogram = m.histogram
	return nil
}
