package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"audiences/audience"
	"audiences/status"
)

// A remedy with a filter is one for each segment that matches.

const (
	mostFailures = 100
	// bulkWorkers is how many remedies of a filter are under way at once: each waits
	// for the disk, which takes what waits in one go.
	bulkWorkers = 16
	// longestBulk is how long the remedies of a filter may take, so that the answer still
	// finds its way before the server's write timeout.
	longestBulk = 50 * time.Second
)

// matching are all segments that a filter lets through, not those of one page.
func (s *snapshot) matching(f Filter) (found []audience.Segment) {
	for i := range s.segments.rows {
		if row := &s.segments.rows[i]; f.segment(row) {
			found = append(found, segmentOf(row.of.ID, *row.Segment))
		}
	}
	return found
}

// bulk carries out a wish for each of many segments. One that it does not concern is
// left out; where that is each of them, the wish is refused. It stops early when who asked
// goes away, or at longestBulk; what is done then stays done.
func (s *Server) bulk(ctx context.Context, wish status.Wish, segments []audience.Segment) (RemedyAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, longestBulk)
	defer cancel()
	sum := RemedyAnswer{Effect: status.Effect{DryRun: wish.DryRun, Until: wish.Until}}
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := make(chan audience.Segment)
	for range min(bulkWorkers, len(segments)) {
		workers.Go(func() {
			for in := range next {
				each := wish
				each.Segment = in
				effect, err := s.options.Relay.Remedy(ctx, each)
				mu.Lock()
				sum.count(in, effect, err)
				mu.Unlock()
			}
		})
	}
	for _, in := range segments {
		if ctx.Err() != nil {
			break
		}
		next <- in
	}
	close(next)
	workers.Wait()
	sum.Sentence = status.SumSentence(wish.Remedy, sum.Effect, sum.Paused, sum.Failures)
	switch {
	case ctx.Err() != nil:
		return sum, fmt.Errorf("stopped after %s: %w; what was done stays done, so ask again for the rest", sum.Sentence, ctx.Err())
	case sum.Segments == 0 && sum.Failures == 0:
		return RemedyAnswer{}, fmt.Errorf("%s: %w", wish.Remedy, status.NothingDone(len(segments), sum.Paused))
	}
	return sum, nil
}

func (a *RemedyAnswer) count(in audience.Segment, effect status.Effect, err error) {
	switch {
	case err == nil:
		a.Segments += effect.Segments
		a.Keys += effect.Keys
		a.Held += effect.Held
		a.More = a.More || effect.More
	case errors.Is(err, status.ErrNotNeeded):
	case errors.Is(err, status.ErrPausedNow):
		a.Paused++
	default:
		if a.Failures++; a.Failures <= mostFailures {
			a.Failed = append(a.Failed, Failure{in.Tenant.String(), in.Environment, in.Name, err.Error()})
		}
	}
}
