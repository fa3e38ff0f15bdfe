package main

import (
	"context"
	"fmt"
	"time"
)

// measureLargePost: posts of 100,000 keys. What is decoding and what is the batch
// comes out of a profile; the journal stands beside it.
func measureLargePost(ctx context.Context, h *house, r *report) error {
	const (
		keys     = 100_000
		segments = 20
	)
	s, address, err := h.profiledSite(ctx, h.ecdsa)
	if err != nil {
		return err
	}
	l := newLedger("large", segments)
	c, err := dial(ctx, s.relay.HTTPS, 0)
	if err != nil {
		return err
	}
	defer c.close()
	var body []byte
	posts, took := 0, time.Duration(0)
	lasting := 2*h.each + time.Second
	sums, err := during(address, lasting-time.Second, func() error {
		for end := time.Now().Add(lasting); time.Now().Before(end) && ctx.Err() == nil; posts++ {
			n := l.take()
			body = l.bodyWith(body, n, keys)
			began := time.Now()
			if err := c.post(body, false); err != nil {
				return err
			}
			took += time.Since(began)
			l.accepted(n, keys)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	posted := float64(posts*keys) * (lasting - time.Second).Seconds() / lasting.Seconds()
	ours := sums["decode the body"] + sums["actors: segment"] + sums["api"]
	rate := posted / ours.Seconds()
	r.check("one post with 100,000 MPIDs: decode and batch", "2,000,000 keys/s of CPU",
		fmt.Sprintf("%.1f million", rate/1e6), rate >= 2e6, rate >= 5e5)
	rows := [][]string{{"stage", "CPU for 100,000 keys"}}
	for _, stage := range stages {
		if sum := sums[stage.name]; sum > 0 {
			rows = append(rows, []string{stage.name, millis(time.Duration(sum.Seconds() / posted * keys * float64(time.Second)))})
		}
	}
	rows = append(rows, []string{"from post to answer (not CPU)", millis(took / time.Duration(max(1, posts)))})
	r.table("post", rows)
	return (&ledgered{s, l}).finish(ctx)
}
