package main

import (
	"context"
	"fmt"
	"time"

	"audiences/test/harness"
)

// hang has the look-alike hold every call.
const hang = `{"kind":"hang"}`

// pile has so many keys accepted while Split hangs, in posts of each keys.
func (s *site) pile(ctx context.Context, l *ledger, posts, each int) error {
	if err := s.fault(hang); err != nil {
		return err
	}
	return s.post(ctx, l, posts, each)
}

// post makes so many posts of each keys, as fast as they are answered.
func (s *site) post(ctx context.Context, l *ledger, posts, each int) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	first := l.next.Add(int64(posts)) - int64(posts)
	var callers [16]struct {
		*connection
		body []byte
	}
	return harness.Each(len(callers), posts, func(worker, i int) (err error) {
		c, n := &callers[worker], first+int64(i)
		if c.connection == nil {
			if c.connection, err = dial(ctx, s.relay.HTTPS, int64(worker)); err != nil {
				return err
			}
			context.AfterFunc(ctx, c.close)
		}
		c.body = l.bodyWith(c.body, n, each)
		if err := c.post(c.body, false); err != nil {
			return err
		}
		l.accepted(n, each)
		return nil
	})
}

// measureDelivery: a million keys of one segment wait, then Split comes back and
// answers at once.
func measureDelivery(ctx context.Context, h *house, r *report) error {
	const (
		perPost = 10_000
		perCall = 10_000
	)
	keys := of(h.options, 1_000_000, 200_000)
	s, err := h.newSite(h.ecdsa, unlimited)
	if err != nil {
		return err
	}
	if err := s.start(nil); err != nil {
		return err
	}
	l := newLedger("one", 1)
	if err := s.pile(ctx, l, keys/perPost, perPost); err != nil {
		return err
	}
	before, err := harness.CPU(s.relay.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.fault(""); err != nil {
		return err
	}
	if err := s.arrived(ctx, l); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := harness.CPU(s.relay.PID())
	if err != nil {
		return err
	}
	state, err := s.splitState()
	if err != nil {
		return err
	}
	used := after - before
	r.check(fmt.Sprintf("%d keys of one segment: calls", keys), fmt.Sprint(keys/perCall),
		fmt.Sprint(state.Applied), state.Applied == keys/perCall, state.Applied <= keys/perCall+1)
	limit := time.Duration(keys) * 2 * time.Microsecond
	r.check("... the relay's CPU", limit.String(), fmt.Sprintf("%.2f s (in %.1f s)", used.Seconds(), took.Seconds()), used < limit, true)
	return s.stop()
}

// measureDue: many segments get their first key in the same second, so that all
// are due in the same second, and no limit is in the way.
func measureDue(ctx context.Context, h *house, r *report) error {
	segments := of(h.options, 10_000, 2_000)
	settings := map[string]any{"segmentsFlushRateInSeconds": 4}
	for name, value := range unlimited {
		settings[name] = value
	}
	s, err := h.newSite(h.ecdsa, settings)
	if err != nil {
		return err
	}
	if err := s.start(nil); err != nil {
		return err
	}
	l := newLedger("due", segments)
	// The actors exist, so that only their becoming due is measured.
	for range 2 {
		if _, err := s.target(l).openLoop(ctx, keptConnections, float64(segments), time.Second); err != nil {
			return err
		}
		if err := s.arrived(ctx, l); err != nil {
			return err
		}
	}
	before, err := s.relay.Metrics()
	if err != nil {
		return err
	}
	if _, err := s.target(l).openLoop(ctx, keptConnections, float64(segments), time.Second); err != nil {
		return err
	}
	if err := s.arrived(ctx, l); err != nil {
		return err
	}
	after, err := s.relay.Metrics()
	if err != nil {
		return err
	}
	within := func(bound string) float64 {
		const lag = "audiences_flush_lag_seconds"
		return after.Since(before, lag+"_bucket{"+bound+"}") / max(1, after.Since(before, lag+"_count"))
	}
	r.check(fmt.Sprintf("%d segments due in one second: flush lag", segments), "p99 under 250 ms",
		fmt.Sprintf("%.1f %% under 250 ms, %.1f %% under 1 s", 100*within("0.25"), 100*within("1")), within("0.25") >= 0.99, true)
	return s.stop()
}
