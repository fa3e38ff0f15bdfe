package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The parts of the operator's page that ask for themselves, and how often, as its
// templates say.
var partsOfPage = map[string]time.Duration{
	"/admin/dashboard/tenants":        2 * time.Second,
	"/admin/dashboard/segments":       2 * time.Second,
	"/admin/dashboard/parked":         5 * time.Second,
	"/admin/dashboard/events":         5 * time.Second,
	"/admin/api/v1/series?window=24h": 10 * time.Second,
}

// measureViewers: what the operator's page costs a relay with very many segments that have
// keys, and how long it is waited for.
func measureViewers(ctx context.Context, h *house, r *report) error {
	const tenants, viewers, each = 100, 5, 10
	segments := of(h.options, 100_000, 2_000)
	s, err := h.newSite(h.ecdsa, unlimited)
	if err != nil {
		return err
	}
	if err := s.start(map[string]any{"splitTimeout": 300}); err != nil {
		return err
	}
	if err := s.pile(ctx, newLedgerOf("viewed", segments, tenants), segments, each); err != nil {
		return err
	}
	// All segments become due in the first interval, which costs what no viewer is to blame for.
	time.Sleep(of(h.options, 40*time.Second, time.Second))
	lasting := of(h.options, time.Minute, 3*time.Second)
	alone, err := s.spent(ctx, lasting, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	watched, err := s.spent(ctx, lasting, func(ctx context.Context) error { return s.view(ctx, viewers) })
	if err != nil {
		return err
	}
	took, err := s.openPage(ctx, of(h.options, 20, 3))
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the page, %d keys in %d segments of %d tenants", segments*each, segments, tenants)
	slowest, share := took[len(took)-1], watched-alone
	r.check(what+": half, slowest", "200 ms", fmt.Sprintf("%d ms, %d ms", took[len(took)/2].Milliseconds(), slowest.Milliseconds()), slowest < 200*time.Millisecond, true)
	r.check(fmt.Sprintf("... processor for %d viewers", viewers), "5 % of a core",
		fmt.Sprintf("%.1f %% (%.1f %% without them)", 100*share, 100*alone), share < 0.05, true)
	return s.stop()
}

// spent is what share of a core the relay takes while something is done for so long.
func (s *site) spent(ctx context.Context, lasting time.Duration, do func(context.Context) error) (share float64, err error) {
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		return 0, err
	}
	<-ctx.Done()
	after, err := s.usage()
	return (after.cpu - before.cpu).Seconds() / time.Since(began).Seconds(), err
}

// view does what the page does in so many browsers, until ctx ends.
func (s *site) view(ctx context.Context, viewers int) error {
	failed := make(chan error, 1)
	fail := func(err error) {
		if err != nil && ctx.Err() == nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	var all sync.WaitGroup
	for range viewers {
		all.Go(func() { fail(s.fetch(ctx, "/admin/dashboard/stream")) })
		for part, every := range partsOfPage {
			all.Go(func() {
				ticks := time.NewTicker(every)
				defer ticks.Stop()
				for ctx.Err() == nil {
					fail(s.fetch(ctx, part))
					select {
					case <-ticks.C:
					case <-ctx.Done():
					}
				}
			})
		}
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// openPage opens the page so many times, a second apart, and returns how long each took,
// the shortest first.
func (s *site) openPage(ctx context.Context, times int) (took []time.Duration, err error) {
	for range times {
		time.Sleep(time.Second)
		began := time.Now()
		if err := s.fetch(ctx, "/admin/dashboard"); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

func (s *site) fetch(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.relay.Admin+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, response.StatusCode)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
