package main

import (
	"context"
	"fmt"
	"path/filepath"
)

const (
	keptConnections  = 50
	manySegments     = 10_000
	openRate         = 8_000 // posts a second
	openConnections  = 200   // so that a stall of some does not hide in the load
	handshakeWorkers = 16
)

// measureIntake: posts of one key over connections that are kept, to one segment
// and to many; then at a fixed rate.
func measureIntake(ctx context.Context, h *house, r *report) error {
	for _, segments := range []int{1, manySegments} {
		what := fmt.Sprintf("%d kept connections, %d segments", keptConnections, segments)
		t, s, err := h.beside(h.ecdsa, segments, func(t target) (outcome, error) { return t.closedLoop(ctx, keptConnections, h.each) })
		if err != nil {
			return err
		}
		if err := t.measure(h.rounds, 1); err != nil {
			return err
		}
		r.atLeast(what, t, durableServer, 1, 0.15)
		r.atLeast(what, t, bareServer, 0.59, 0.05)
		cost := t.spread(relayServer, costInMicros)
		r.check(what+": CPU a post", "40 us", cost.text("%.0f")+" us", cost.median <= 40, true)
		r.turns("intake", what, t)
		if err := s.finish(ctx); err != nil {
			return err
		}
	}
	return measureOpen(ctx, h, r)
}

// measureOpen: posts at a fixed rate. Each turn is a load of its own.
func measureOpen(ctx context.Context, h *house, r *report) error {
	rate := of(h.options, openRate, openRate/4)
	t, s, err := h.beside(h.ecdsa, manySegments, func(t target) (outcome, error) {
		return t.openLoop(ctx, openConnections, float64(rate), h.each)
	})
	if err != nil {
		return err
	}
	before, err := s.site.relay.Metrics()
	if err != nil {
		return err
	}
	if err := t.measure(h.rounds, 1); err != nil {
		return err
	}
	after, err := s.site.relay.Metrics()
	if err != nil {
		return err
	}
	const commits = "audiences_journal_commit_seconds"
	slow := 1 - after.Since(before, commits+"_bucket{0.009765625}")/max(1, after.Since(before, commits+"_count"))
	what := fmt.Sprintf("%d posts/s, open loop, %d segments", rate, manySegments)
	reached, p50, p99 := t.spread(relayServer, outcome.perSecond), t.spread(relayServer, latencyAt(0.5)), t.spread(relayServer, latencyAt(0.99))
	kept := reached.median > 0.98*float64(rate)
	r.check(what+": p50", "2 ms", p50.text("%.2f")+" ms", p50.median < 2 && kept, true)
	r.check(what+": p99", "10 ms", fmt.Sprintf("%s ms; %.1f %% of commits over 10 ms", p99.text("%.1f"), 100*slow), p99.median < 10 && kept, true)
	r.turns("intake", what, t)
	return s.finish(ctx)
}

// measureHandshakes: a new connection for each post, as the lambda does it.
func measureHandshakes(ctx context.Context, h *house, r *report) error {
	for _, key := range []struct{ name, path string }{{"ECDSA P-256", h.ecdsa}, {"RSA-2048", h.rsa}} {
		what := "a new connection for each post, " + key.name
		t, s, err := h.beside(key.path, 200, func(t target) (outcome, error) { return t.fresh(ctx, handshakeWorkers, h.each) })
		if err != nil {
			return err
		}
		if err := t.measure(h.rounds, 1); err != nil {
			return err
		}
		r.atLeast(what, t, bareServer, 0.95, 0.2)
		r.turns("handshake", what, t)
		if err := s.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ledgered is the relay of a pair, with what it has accepted.
type ledgered struct {
	site   *site
	ledger *ledger
}

// beside starts the relay and what it is compared with, all with the same key. The
// turns have the load of each, and are still to be measured.
func (h *house) beside(key string, segments int, load func(target) (outcome, error)) (*turns, *ledgered, error) {
	s, err := h.newSite(key, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(nil); err != nil {
		return nil, nil, err
	}
	t := &turns{}
	for _, reference := range []struct {
		name string
		role []string
	}{
		{bareServer, []string{ceilingRole, key}},
		{waitingServer, []string{ceilingRole, key, "500us"}},
		{durableServer, []string{ceilingRole, key, filepath.Join(s.dir, "bare.log")}},
		{leanServer, []string{leanRole, key, filepath.Join(s.dir, "lean.log")}},
	} {
		server, child, err := h.startReference(newLedger("", segments), reference.role...)
		if err != nil {
			return nil, nil, err
		}
		t.stop = append(t.stop, child.Kill)
		t.add(reference.name, func() (outcome, error) { return load(server) })
	}
	if h.before != "" {
		if err := h.addBefore(t, key, segments, load); err != nil {
			return nil, nil, err
		}
	}
	l := newLedger("", segments)
	t.add(relayServer, func() (outcome, error) { return load(s.target(l)) })
	return t, &ledgered{s, l}, nil
}

// addBefore has another version of the relay measured too.
func (h *house) addBefore(t *turns, key string, segments int, load func(target) (outcome, error)) error {
	s, err := h.newSite(key, nil)
	if err != nil {
		return err
	}
	if s.binary, err = filepath.Abs(h.before); err != nil {
		return err
	}
	if err := s.start(nil); err != nil {
		return err
	}
	l := newLedger("", segments)
	t.stop = append(t.stop, func() { _ = s.stop() }) // what it accepted is not looked for
	t.add(beforeServer, func() (outcome, error) { return load(s.target(l)) })
	return nil
}

// finish looks for every accepted key and ends the processes.
func (s *ledgered) finish(ctx context.Context) error {
	if err := s.site.settle(ctx, s.ledger); err != nil {
		return err
	}
	return s.site.stop()
}
