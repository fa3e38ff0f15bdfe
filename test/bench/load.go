package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"audiences/test/harness"
)

// target is a server that takes posts.
type target struct {
	address string
	pid     int
	ledger  *ledger
	token   string // of a server elsewhere; "": it is one of this bench
}

func (t target) dial(ctx context.Context, n int64) (*connection, error) {
	if t.token != "" {
		return dialTo(ctx, t.address, t.token)
	}
	return dial(ctx, t.address, n)
}

// outcome is what a load has measured.
type outcome struct {
	posts     int
	took      time.Duration
	latencies []time.Duration // in ascending order
	server    time.Duration   // processor time of the target
	client    time.Duration   // processor time of this process
	accepting time.Duration   // processor time of the target before, where that is another step
	database  time.Duration   // processor time of the database, where that was looked at
	written   int             // bytes that the target sent to its disk, where that was looked at
}

func (o outcome) perSecond() float64 { return float64(o.posts) / o.took.Seconds() }

// cost is the target's processor time for one post.
func (o outcome) cost() time.Duration { return o.server / time.Duration(max(1, o.posts)) }

// at is the latency that this share of the posts stays within.
func (o outcome) at(share float64) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[int(share*float64(len(o.latencies)-1))]
}

// poster makes one post and says when its clock began.
type poster func(ctx context.Context) (since time.Time, more bool, err error)

// closedLoop has each of so many connections post as soon as it has an answer.
func (t target) closedLoop(ctx context.Context, connections int, lasting time.Duration) (outcome, error) {
	end := time.Now().Add(lasting)
	return t.load(ctx, connections, func(worker int) (poster, func(), error) {
		c, err := t.dial(ctx, int64(worker))
		if err != nil {
			return nil, nil, err
		}
		var body []byte
		return func(context.Context) (time.Time, bool, error) {
			began := time.Now()
			return began, began.Before(end), t.one(c, &body)
		}, c.close, nil
	})
}

// fresh is closedLoop with a connection for each post, as the lambda does it.
func (t target) fresh(ctx context.Context, workers int, lasting time.Duration) (outcome, error) {
	end := time.Now().Add(lasting)
	return t.load(ctx, workers, func(int) (poster, func(), error) {
		var body []byte
		return func(ctx context.Context) (time.Time, bool, error) {
			began := time.Now()
			n := t.ledger.take()
			c, err := t.dial(ctx, n)
			if err != nil {
				return began, false, err
			}
			defer c.close()
			body = t.ledger.body(body, n)
			if err := c.post(body, true); err != nil {
				return began, false, err
			}
			t.ledger.accepted(n, 1)
			return began, began.Before(end), nil
		}, func() {}, nil
	})
}

// openLoop posts at a fixed rate whether or not there are answers, as long as one
// of so many connections is free. Latency counts from the planned start, so that
// a stall is charged to all the posts that it held up.
func (t target) openLoop(ctx context.Context, connections int, perSecond float64, lasting time.Duration) (outcome, error) {
	var plan sync.Mutex
	var began time.Time // of the first post, when all are connected
	planned, posts := 0, int(perSecond*lasting.Seconds())
	return t.load(ctx, connections, func(worker int) (poster, func(), error) {
		c, err := t.dial(ctx, int64(worker))
		if err != nil {
			return nil, nil, err
		}
		var body []byte
		return func(context.Context) (time.Time, bool, error) {
			plan.Lock()
			if planned == 0 {
				began = time.Now()
			}
			n := planned
			planned++
			plan.Unlock()
			if n >= posts {
				return time.Time{}, false, nil
			}
			due := began.Add(time.Duration(float64(n) / perSecond * float64(time.Second)))
			time.Sleep(time.Until(due))
			return due, true, t.one(c, &body)
		}, c.close, nil
	})
}

// one makes the next post over a connection that is kept.
func (t target) one(c *connection, body *[]byte) error {
	n := t.ledger.take()
	*body = t.ledger.body(*body, n)
	if err := c.post(*body, false); err != nil {
		return err
	}
	t.ledger.accepted(n, 1)
	return nil
}

// load runs so many workers until each has no more to do, and measures.
func (t target) load(ctx context.Context, workers int, prepare func(worker int) (poster, func(), error)) (outcome, error) {
	posters := make([]poster, workers)
	for n := range posters {
		post, done, err := prepare(n)
		if err != nil {
			return outcome{}, err
		}
		defer done()
		posters[n] = post
	}
	return measured(t.pid, func() (latencies []time.Duration, faults error) {
		var mu sync.Mutex
		var group sync.WaitGroup
		for _, post := range posters {
			group.Go(func() {
				own, err := work(ctx, post)
				mu.Lock()
				defer mu.Unlock()
				latencies, faults = append(latencies, own...), errors.Join(faults, err)
			})
		}
		group.Wait()
		return latencies, errors.Join(faults, ctx.Err())
	})
}

// measured is how long work takes, and the processor time of a process and of this
// one meanwhile. Work returns how long each post took.
func measured(pid int, work func() ([]time.Duration, error)) (o outcome, err error) {
	server, err := harness.CPU(pid)
	if err != nil {
		return o, err
	}
	client, began := harness.OwnCPU(), time.Now()
	if o.latencies, err = work(); err != nil {
		return o, err
	}
	o.took, o.client = time.Since(began), harness.OwnCPU()-client
	after, err := harness.CPU(pid)
	o.server, o.posts = after-server, len(o.latencies)
	slices.Sort(o.latencies)
	return o, err
}

// work has one worker post until it has no more to do.
func work(ctx context.Context, post poster) (latencies []time.Duration, err error) {
	for ctx.Err() == nil {
		since, more, err := post(ctx)
		if err != nil {
			return latencies, err
		}
		if !since.IsZero() {
			latencies = append(latencies, time.Since(since))
		}
		if !more {
			break
		}
	}
	return latencies, nil
}
