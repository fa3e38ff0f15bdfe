package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const loneSync = "one write and fdatasync"

// measureLone: a single caller that waits for each answer, beside what its disk
// takes for one post that is written and made durable.
func measureLone(ctx context.Context, h *house, r *report) error {
	const what = "a lone caller"
	t, s, err := h.beside(h.ecdsa, 1, func(t target) (outcome, error) { return t.closedLoop(ctx, 1, h.each) })
	if err != nil {
		return err
	}
	path, body := filepath.Join(s.site.dir, "sync.log"), s.ledger.body(nil, 0)
	t.add(loneSync, func() (outcome, error) { return syncs(ctx, path, body, h.each) })
	if err := t.measure(h.rounds, 1); err != nil {
		return err
	}
	p50 := latencyAt(0.5)
	sync, answer := t.spread(loneSync, p50), t.spread(relayServer, p50)
	limit := 1.2*sync.median + 0.2
	r.check(what+": p50", "1.2 x one fsync + 0.2 ms", fmt.Sprintf("%s ms, an fsync %s ms", answer.text("%.2f"), sync.text("%.2f")), answer.median <= limit, true)
	r.turns("lone", what, t)
	return s.finish(ctx)
}

// syncs appends a text to a file and makes it durable, again and again.
func syncs(ctx context.Context, path string, text []byte, lasting time.Duration) (o outcome, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return o, fmt.Errorf("open log: %w", err)
	}
	defer file.Close()
	return measured(os.Getpid(), func() ([]time.Duration, error) {
		end := time.Now().Add(lasting)
		return work(ctx, func(context.Context) (time.Time, bool, error) {
			began := time.Now()
			if _, err := file.Write(text); err != nil {
				return began, false, err
			}
			return began, began.Before(end), syscall.Fdatasync(int(file.Fd()))
		})
	})
}
