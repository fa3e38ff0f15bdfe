package main

import (
	"context"
	"fmt"
	"math"
)

// growthRate is the fixed rate at which the number of segments grows, in posts a second.
const growthRate = 4_000

// measureGrowth: what a post costs, with more and more segments at the same rate.
// There is a relay for each number of segments, and they are measured in turns.
func measureGrowth(ctx context.Context, h *house, r *report) error {
	t, relays := &turns{}, []*ledgered(nil)
	for segments := 1; segments <= 10_000; segments *= 10 {
		s, err := h.newSite(h.ecdsa, nil)
		if err != nil {
			return err
		}
		if err := s.start(nil); err != nil {
			return err
		}
		l := newLedger("", segments)
		relays = append(relays, &ledgered{s, l})
		t.add(fmt.Sprint(segments), func() (outcome, error) { return s.target(l).openLoop(ctx, keptConnections, growthRate, h.each) })
	}
	if err := t.measure(h.rounds, 1); err != nil { // the first posts start the actors
		return err
	}
	for _, relay := range relays {
		if err := relay.finish(ctx); err != nil {
			return err
		}
	}
	r.growth(t)
	return nil
}

// growth notes the costs by number of segments, as a target, a table and a plot.
func (r *report) growth(t *turns) {
	var points []point
	least, most := math.Inf(1), 0.0
	for _, segments := range t.servers {
		cost := t.spread(segments, costInMicros).median
		least, most = min(least, cost), max(most, cost)
		points = append(points, point{segments, cost})
	}
	r.check(fmt.Sprintf("1 to 10,000 segments at %d posts/s: CPU a post", growthRate), "within 25 % of flat",
		fmt.Sprintf("%.0f %% between least and most", 100*(most/least-1)), most/least <= 1.25, most/least <= 2)
	r.turns("growth", "segments", t)
	r.files["cost-growth.svg"] = plot("CPU a post by number of segments", "segments", "microseconds", points)
}
