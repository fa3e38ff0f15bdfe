package main

import (
	"context"
	"fmt"
	"time"
)

// The two relays of a pair: what the receipts of deliveries cost, and what the same takes
// without them.
const (
	withoutReceipts = "without receipts"
	withReceipts    = "with receipts"
)

// receiptTurn is longer than the usual interval: so each turn has its share of deliveries.
const receiptTurn = 12 * time.Second

// receiptSettings are the usual ones, or those of a relay that keeps no receipts.
func receiptSettings(kept bool) map[string]any {
	if kept {
		return nil
	}
	return map[string]any{"receiptsMaxAge": 0}
}

// measureReceipts: what the receipts of deliveries cost a post, and what they add to what
// reaches the disk.
func measureReceipts(ctx context.Context, h *house, r *report) error {
	posts, bytes := &turns{}, &turns{}
	var relays []*ledgered
	for _, pair := range []struct {
		name string
		kept bool
	}{{withoutReceipts, false}, {withReceipts, true}} {
		s, err := h.newSite(h.ecdsa, unlimited)
		if err != nil {
			return err
		}
		if err := s.start(receiptSettings(pair.kept)); err != nil {
			return err
		}
		l := newLedger("", manySegments)
		relays = append(relays, &ledgered{s, l})
		posts.add(pair.name, func() (outcome, error) {
			return s.target(l).closedLoop(ctx, keptConnections, of(h.options, receiptTurn, h.each))
		})
		bytes.add(pair.name, func() (outcome, error) {
			return h.pileAndDeliver(ctx, bulk{keys: of(h.options, 1_000_000, 20_000), each: 10_000, segments: 1, tenants: 1, settings: receiptSettings(pair.kept)})
		})
	}
	if err := posts.measure(h.rounds, 1); err != nil {
		return err
	}
	for _, relay := range relays {
		if err := relay.finish(ctx); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("receipts, %d kept connections, %d segments, delivered meanwhile", keptConnections, manySegments)
	ratio := posts.compare(withReceipts, withoutReceipts, costInMicros)
	r.check(what+": CPU a post", "within 3 % of that without", ratio.text("%.2f")+" of it", ratio.median <= 1.03, ratio.median <= 1.5)
	r.turns("receipts", what, posts)

	if err := bytes.measure(of(h.options, sizeRounds, 1), 0); err != nil {
		return err
	}
	for _, limit := range []struct {
		name string
		most float64
	}{{withoutReceipts, 180}, {withReceipts, 260}} {
		written := bytes.spread(limit.name, writtenEach)
		r.check(fmt.Sprintf("keys of one segment, %s: bytes written a key", limit.name), fmt.Sprint(limit.most), written.text("%.0f"), written.median <= limit.most, true)
	}
	r.table("receipts", bytes.rows("keys of one segment", sizeFigures))
	return nil
}
