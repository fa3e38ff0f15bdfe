package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// disk is one that a test fills.
type disk struct {
	free   atomic.Uint64
	broken atomic.Bool
}

func (d *disk) look() (uint64, error) {
	if d.broken.Load() {
		return 0, errors.New("input/output error")
	}
	return d.free.Load(), nil
}

// TestWatermark: changes are refused from the first look that finds too little
// room, and taken again by itself from the one that finds a little more than
// enough. A disk that does not tell changes nothing.
func TestWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disk
		d.free.Store(999)
		w := newWatermark(d.look, 1000, zerolog.Nop(), nil)
		if w.refuse() == nil {
			t.Error("a disk that is full at the start is not noticed")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.watch(ctx)
		for _, step := range []struct {
			free   uint64
			broken bool
			refuse bool
		}{
			{free: 1000, refuse: true}, // back on the mark, but not beyond it
			{free: 1049, refuse: true},
			{free: 1050},
			{free: 1000},
			{free: 0, broken: true},
			{free: 999, refuse: true},
			{free: 5000, broken: true, refuse: true},
			{free: 5000},
		} {
			d.free.Store(step.free)
			d.broken.Store(step.broken)
			time.Sleep(lookEvery)
			synctest.Wait()
			if got := w.refuse() != nil; got != step.refuse {
				t.Errorf("%+v: refuse is %v", step, got)
			}
			if got := testutil.ToFloat64(w.gauge); !step.broken && got != float64(step.free) {
				t.Errorf("%+v: the gauge says %v", step, got)
			}
		}
	})
}

// TestWatermarkOff: no limit refuses nothing, even on a disk without a byte left.
func TestWatermarkOff(t *testing.T) {
	var d disk
	if err := newWatermark(d.look, 0, zerolog.Nop(), nil).refuse(); err != nil {
		t.Error(err)
	}
}
