package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// growthRate is the fixed rate at which the number of segments grows, in posts a second.
const growthRate = 4_000

// measureGrowth: what a post costs, with more and more segments at the same rate.
// There is a relay for each number of segments, and they are measured in turns.
func measureGrowth(ctx context.Context, h *house, r *report) error {
	var relays []*ledgered
	for segments := 1; segments <= 10_000; segments *= 10 {
		s, err := h.newSite(h.ecdsa, nil)
		if err != nil {
			return err
		}
		if err := s.start(nil); err != nil {
			return err
		}
		relays = append(relays, &ledgered{s, newLedger("", segments)})
	}
	found := make([][]outcome, len(relays))
	for round := range h.rounds + 1 {
		for i, relay := range relays {
			o, err := relay.site.target(relay.ledger).openLoop(ctx, keptConnections, growthRate, h.each)
			if err != nil {
				return err
			}
			if round > 0 { // the first posts start the actors
				found[i] = append(found[i], o)
			}
		}
	}
	for _, relay := range relays {
		if err := relay.finish(ctx); err != nil {
			return err
		}
	}
	r.growth(relays, found)
	return nil
}

// growth notes the costs by number of segments, as a target, a table and a plot.
func (r *report) growth(relays []*ledgered, found [][]outcome) {
	rows := [][]string{{"segments", "CPU a post", "p50", "p99"}}
	var points []point
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for i, relay := range relays {
		segments, cost := fmt.Sprint(len(relay.ledger.names)), medianOf(found[i], outcome.cost)
		least, most = min(least, cost), max(most, cost)
		points = append(points, point{segments, cost.Seconds() * 1e6})
		at := func(share float64) string {
			return millis(medianOf(found[i], func(o outcome) time.Duration { return o.at(share) }))
		}
		rows = append(rows, []string{segments, micros(cost), at(0.5), at(0.99)})
	}
	spread := float64(most)/float64(least) - 1
	r.check(fmt.Sprintf("1 to 10,000 segments at %d posts/s: CPU a post", growthRate), "within 25 % of flat",
		fmt.Sprintf("%.0f %% between least and most", 100*spread), spread <= 0.25, spread <= 1)
	r.table("growth", rows)
	r.files["cost-growth.svg"] = plot("CPU a post by number of segments", "segments", "microseconds", points)
}
