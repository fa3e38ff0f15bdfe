package memory

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestPressure: changes are refused from the first look that finds more than 95 of
// 100 used even after giving back what can be given back, which is tried
// once a second at most, and taken again from the one that finds no more than 92. A look that fails changes
// nothing.
func TestPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used, garbage, relieved atomic.Int64
		var broken atomic.Bool
		p := NewPressure(Allowance{Limit: 1000, used: func() (int64, error) {
			if broken.Load() {
				return 0, errors.New("input/output error")
			}
			return used.Load() + garbage.Load(), nil
		}}, zerolog.Nop(), nil)
		p.relieve = func() { garbage.Store(0); relieved.Add(1) }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go p.Watch(ctx)
		for _, step := range []struct {
			used, garbage int64
			broken        bool
			refuse        bool
			relieved      int64 // so far
		}{
			{used: 950},
			{used: 900, garbage: 51, relieved: 1},
			{used: 951, garbage: 10, refuse: true, relieved: 1},
			{used: 999, garbage: 1, refuse: true, relieved: 1},
			{used: 921, refuse: true, relieved: 1},
			{broken: true, refuse: true, relieved: 1},
			{used: 920, relieved: 1},
			{used: 999, broken: true, relieved: 1},
			{used: 900, garbage: 51, refuse: true, relieved: 1},
			{used: 0, relieved: 1},
			{used: 920, relieved: 1},
			{used: 900, garbage: 51, relieved: 2}, // ten looks after the first time
			{used: 0, relieved: 2},
		} {
			used.Store(step.used)
			garbage.Store(step.garbage)
			broken.Store(step.broken)
			time.Sleep(feelEvery)
			synctest.Wait()
			if got := p.Refuse() != nil; got != step.refuse || relieved.Load() != step.relieved {
				t.Errorf("%+v: refuse is %v, relieved %d times", step, got, relieved.Load())
			}
		}
	})
}

// TestPressureOff: without a limit nothing is looked at and nothing refused.
func TestPressureOff(t *testing.T) {
	p := NewPressure(Allowance{used: func() (int64, error) { return 1 << 50, nil }}, zerolog.Nop(), nil)
	p.Watch(t.Context()) // returns at once
	if err := p.Refuse(); err != nil {
		t.Error(err)
	}
}
