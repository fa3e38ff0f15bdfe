package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const (
	keptConnections  = 50
	manySegments     = 10_000
	openRate         = 10_000 // posts a second
	openConnections  = 200    // so that a stall of some does not hide in the load
	handshakeWorkers = 16
)

// measureIntake: posts of one key over connections that are kept, to one segment
// and to many; then at a fixed rate.
func measureIntake(ctx context.Context, h *house, r *report) error {
	rows := [][]string{turnsHeader}
	for _, segments := range []int{1, manySegments} {
		what := fmt.Sprintf("keep-alive, %d connections, %d segments", keptConnections, segments)
		t, s, err := h.beside(ctx, h.ecdsa, segments, func(t target) (outcome, error) { return t.closedLoop(ctx, keptConnections, h.each) })
		if err != nil {
			return err
		}
		p99 := medianOf(t.of(relayServer), func(o outcome) time.Duration { return o.at(0.99) })
		ratio, ofDurable := t.ratio(relayServer, bareServer), t.ratio(relayServer, durableServer)
		r.check(what, "0.75 of the ceiling", fmt.Sprintf("%.2f (%.2f of a bare log)", ratio, ofDurable), ratio >= 0.75, ratio >= 0.2)
		r.check(what+": p99", "10 ms", millis(p99), p99 < 10*time.Millisecond, p99 < time.Second)
		rows = append(rows, t.rows(what)...)
		if segments == manySegments {
			if err := measureOpen(ctx, h, r, s); err != nil {
				return err
			}
		}
		if err := s.finish(ctx); err != nil {
			return err
		}
	}
	r.table("intake", rows)
	return nil
}

func measureOpen(ctx context.Context, h *house, r *report, s *ledgered) error {
	rate := of(h.options, openRate, openRate/4)
	before, err := s.site.metrics()
	if err != nil {
		return err
	}
	o, err := s.site.target(s.ledger).openLoop(ctx, openConnections, float64(rate), of(h.options, 4*h.each, 2*h.each))
	if err != nil {
		return err
	}
	after, err := s.site.metrics()
	if err != nil {
		return err
	}
	const commits = "audiences_journal_commit_seconds"
	slow := 1 - after.since(before, commits+"_bucket{0.009765625}")/max(1, after.since(before, commits+"_count"))
	r.check(fmt.Sprintf("%d posts/s, open loop: p99", rate), "20 ms",
		fmt.Sprintf("%s (p50 %s, %.0f posts/s; %.1f %% of commits over 10 ms)", millis(o.at(0.99)), millis(o.at(0.5)), o.perSecond(), 100*slow),
		o.at(0.99) < 20*time.Millisecond && o.perSecond() > 0.98*float64(rate), o.at(0.5) < time.Second)
	return nil
}

// measureHandshakes: a new connection for each post, as the lambda does it.
func measureHandshakes(ctx context.Context, h *house, r *report) error {
	rows := [][]string{turnsHeader}
	for _, key := range []struct{ name, path string }{{"ECDSA P-256", h.ecdsa}, {"RSA-2048", h.rsa}} {
		what := "new connection per request, " + key.name
		t, s, err := h.beside(ctx, key.path, 200, func(t target) (outcome, error) { return t.fresh(ctx, handshakeWorkers, h.each) })
		if err != nil {
			return err
		}
		ratio, ofDurable := t.ratio(relayServer, bareServer), t.ratio(relayServer, durableServer)
		r.check(what, "0.95 of the ceiling", fmt.Sprintf("%.2f (%.2f of a bare log)", ratio, ofDurable), ratio >= 0.95, ratio >= 0.4)
		rows = append(rows, t.rows(what)...)
		if err := s.finish(ctx); err != nil {
			return err
		}
	}
	r.table("handshake", rows)
	return nil
}

// ledgered is the relay of a pair, with what it has accepted.
type ledgered struct {
	site   *site
	ledger *ledger
}

// beside measures the relay and the ceilings with the same key and load.
func (h *house) beside(ctx context.Context, key string, segments int, load func(target) (outcome, error)) (*turns, *ledgered, error) {
	s, err := h.newSite(key, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(nil); err != nil {
		return nil, nil, err
	}
	l, t := newLedger("", segments), &turns{}
	var loads []func() (outcome, error)
	for _, reference := range []struct {
		name string
		args []string
	}{{bareServer, nil}, {waitingServer, []string{"500us"}}, {durableServer, []string{filepath.Join(s.dir, "bare.log")}}} {
		server, child, err := h.startCeiling(newLedger("", segments), key, reference.args...)
		if err != nil {
			return nil, nil, err
		}
		defer child.kill()
		t.servers, loads = append(t.servers, reference.name), append(loads, func() (outcome, error) { return load(server) })
	}
	t.servers = append(t.servers, relayServer)
	err = t.measure(h.rounds, append(loads, func() (outcome, error) { return load(s.target(l)) })...)
	return t, &ledgered{s, l}, err
}

// finish looks for every accepted key and ends the processes.
func (s *ledgered) finish(ctx context.Context) error {
	if err := s.site.settle(ctx, s.ledger); err != nil {
		return err
	}
	return s.site.stop()
}
