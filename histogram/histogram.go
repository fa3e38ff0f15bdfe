// Package histogram makes the histograms of the metrics: classic ones that are native as
// well, whose finer buckets Prometheus takes when it scrapes by protobuf, and one that
// counts many observations of a value at once.
package histogram

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Native adds native buckets to the classic ones of the options: each bound is at most 10 %
// above the one before. Beyond 100 of them the histogram begins anew, or has coarser ones
// where it began less than an hour ago.
func Native(o prometheus.HistogramOpts) prometheus.HistogramOpts {
	o.NativeHistogramBucketFactor = 1.1
	o.NativeHistogramMaxBucketNumber = 100
	o.NativeHistogramMinResetDuration = time.Hour
	return o
}
