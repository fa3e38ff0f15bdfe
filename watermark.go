package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// errDiskFull is what callers and /readyz are told.
var errDiskFull = errors.New("disk nearly full")

// lookEvery is how often the disk is looked at. What can be accepted meanwhile is
// far less than a sensible minFreeDiskBytes.
const lookEvery = time.Second

// watermark has changes refused while the journal's disk is nearly full: before a
// write fails, which would end the process. Nothing else stops: what is delivered
// meanwhile makes room again.
type watermark struct {
	free   func() (uint64, error) // (*journal.Journal).Free
	least  uint64                 // 0: never refuse
	logger zerolog.Logger
	gauge  prometheus.Gauge

	full  atomic.Bool
	blind bool // the last look failed
}

// newWatermark looks for the first time, so that no change slips in before.
func newWatermark(free func() (uint64, error), least int64, logger zerolog.Logger, registerer prometheus.Registerer) *watermark {
	w := &watermark{free: free, least: uint64(least), logger: logger,
		gauge: promauto.With(registerer).NewGauge(prometheus.GaugeOpts{
			Name: "audiences_disk_free_bytes",
			Help: "Bytes that the relay may still write to the journal's disk, once a second.",
		})}
	w.look()
	return w
}

// refuse is nil unless the disk is nearly full. It never waits for the disk.
func (w *watermark) refuse() error {
	if w.full.Load() {
		return errDiskFull
	}
	return nil
}

// watch looks at the disk until ctx ends.
func (w *watermark) watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look()
		}
	}
}

// look takes in what the disk has free. A disk that does not tell is no reason to
// refuse, nor to take again: the last answer stands.
func (w *watermark) look() {
	free, err := w.free()
	if err != nil {
		if !w.blind {
			w.logger.Warn().Err(err).Msg("the journal's disk does not tell how much is free")
		}
		w.blind = true
		return
	}
	w.blind = false
	w.gauge.Set(float64(free))
	full := free < w.least
	if w.full.Load() {
		full = free < w.least+w.least/20 // a little more to come back, else it goes to and fro on the mark
	}
	if full == w.full.Swap(full) {
		return
	}
	if full {
		w.logger.Error().Uint64("free", free).Uint64("least", w.least).Msg("disk nearly full: changes are refused until there is room again; deliveries go on")
	} else {
		w.logger.Info().Uint64("free", free).Msg("the disk has room again: changes are taken")
	}
}
