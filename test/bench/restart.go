package main

import (
	"context"
	"fmt"
	"time"

	"audiences/test/harness"
)

// measureRestart: a relay with many pending keys is killed and started again.
func measureRestart(ctx context.Context, h *house, r *report) error {
	segments, each := of(h.options, 10_000, 2_000), 100
	s, l, err := h.laden(ctx, segments, each)
	if err != nil {
		return err
	}
	s.relay.Kill()
	if err := s.fault(""); err != nil {
		return err
	}
	began := time.Now()
	if err := s.start(unlimited); err != nil {
		return err
	}
	err = harness.Until(ctx, time.Minute, "/ping is answered", func() (bool, error) { return s.relay.Ping(ctx) == nil, nil })
	if err != nil {
		return err
	}
	ping := time.Since(began)
	err = harness.Until(ctx, time.Minute, "a call for every segment", func() (bool, error) {
		state, err := s.splitState()
		return state.Applied >= segments, err
	})
	if err != nil {
		return err
	}
	flushed := time.Since(began)
	what := fmt.Sprintf("start with %d keys in %d segments", segments*each, segments)
	r.check(what+": /ping", "1 s", fmt.Sprintf("%.2f s", ping.Seconds()), ping < time.Second, true)
	// All are due one flush interval after they are back.
	flushed -= restartFlush
	r.check("... all due flushes made, the interval left out", "5 s", fmt.Sprintf("%.2f s", flushed.Seconds()), flushed < 5*time.Second, true)
	if err := s.arrived(ctx, l); err != nil {
		return err
	}
	return s.stop()
}

const restartFlush = time.Second

// laden is a relay with so many segments that have keys, before a Split that hangs.
func (h *house) laden(ctx context.Context, segments, each int) (*site, *ledger, error) {
	s, err := h.newSite(h.ecdsa, map[string]any{"segmentsFlushRateInSeconds": restartFlush.Seconds()})
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(nil); err != nil {
		return nil, nil, err
	}
	l := newLedger("laden", segments)
	return s, l, s.pile(ctx, l, segments, each)
}

// measureResident: what a relay with very many pending keys takes, all in.
func measureResident(ctx context.Context, h *house, r *report) error {
	const segments, each = 10_000, 1_000
	s, l, err := h.laden(ctx, segments, each)
	if err != nil {
		return err
	}
	_, peak, err := harness.Resident(s.relay.PID())
	if err != nil {
		return err
	}
	perKey := float64(peak) / (segments * each)
	r.check("10,000,000 keys in 10,000 segments: resident memory a key", "60 bytes",
		fmt.Sprintf("%.0f bytes (%d MB at most)", perKey, peak/1e6), perKey <= 60, perKey <= 100)
	if err := s.fault(""); err != nil {
		return err
	}
	return (&ledgered{s, l}).finish(ctx)
}

// measureIdle: a relay that has nothing to do.
func measureIdle(ctx context.Context, h *house, r *report) error {
	s, err := h.newSite(h.ecdsa, nil)
	if err != nil {
		return err
	}
	if err := s.start(nil); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	before, err := harness.CPU(s.relay.PID())
	if err != nil {
		return err
	}
	lasting := of(h.options, 30*time.Second, 5*time.Second)
	select {
	case <-time.After(lasting):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := harness.CPU(s.relay.PID())
	if err != nil {
		return err
	}
	now, _, err := harness.Resident(s.relay.PID())
	if err != nil {
		return err
	}
	share := (after - before).Seconds() / lasting.Seconds()
	r.check("idle: resident memory", "40 MB", fmt.Sprintf("%.1f MB", float64(now)/1e6), now < 40_000_000, now < 60_000_000)
	r.check("idle: processor", "0.5 % of a core", fmt.Sprintf("%.2f %%", 100*share), share < 0.005, share < 0.03)
	return s.stop()
}
