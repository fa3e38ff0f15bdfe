package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"audiences/api/admin/access"
	"audiences/audience"
	"audiences/status"
)

// RemedyRequest is the body of POST /admin/api/v1/remedies/...: it names a tenant, a
// segment, or with Filter all segments that match.
type RemedyRequest struct {
	Target
	Filter *Filter   `json:"filter,omitempty"`
	Until  time.Time `json:"until,omitzero"` // of a pause; without it and For: until somebody resumes
	For    string    `json:"for,omitempty"`  // the same as a length of time from now, such as 2h or 1h30m
	To     string    `json:"to,omitempty"`   // of move: the new tenant
	DryRun bool      `json:"dryRun,omitempty"`
}

// RemedyAnswer is what was done, or what would be. With a filter it is the sum.
type RemedyAnswer struct {
	status.Effect
	Failures int       `json:"failures,omitempty"` // segments with which it failed
	Failed   []Failure `json:"failed,omitempty"`   // the first 100 of them
}

// Failure is a segment with which a remedy failed.
type Failure struct {
	Tenant      string `json:"tenant"`
	Environment string `json:"environment"`
	Segment     string `json:"segment"`
	Error       string `json:"error"`
}

const (
	longestPause = 366 * 24 * time.Hour
	mostFailures = 100
	// bulkWorkers is how many remedies of a filter are under way at once: each waits
	// for the disk, which takes what waits in one go.
	bulkWorkers = 16
	// longestBulk is how long the remedies of a filter may take, so that the answer still
	// finds its way before the server's write timeout.
	longestBulk = 50 * time.Second
)

// remedy carries out one of the remedies.
func (s *Server) remedy(remedy status.Remedy) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		asked := RemedyRequest{}
		if err := read(r, &asked); err != nil {
			return nil, err
		}
		return s.remedyOf(r.Context(), remedy, asked)
	}
}

func (s *Server) remedyOf(ctx context.Context, remedy status.Remedy, asked RemedyRequest) (done RemedyAnswer, err error) {
	wish, err := asked.wish(remedy, time.Now())
	if err != nil {
		return done, err
	}
	wish.Who = access.From(ctx).Name
	if !wish.DryRun {
		defer s.snapshots.forget()
	}
	if asked.Filter == nil {
		return s.single(ctx, wish, asked)
	}
	now, err := s.snapshots.askedSince(ctx, time.Now()) // nothing that is about to be shown is missed
	if err != nil {
		return done, err
	}
	return s.bulk(ctx, wish, now.matching(*asked.Filter))
}

// wish checks what goes together.
func (asked RemedyRequest) wish(remedy status.Remedy, now time.Time) (w status.Wish, err error) {
	w = status.Wish{Remedy: remedy, DryRun: asked.DryRun}
	if w.Until, err = asked.until(now); err != nil {
		return w, err
	}
	switch {
	case remedy != status.Pause && !w.Until.IsZero():
		return w, bad("until and for are of a pause")
	case remedy != status.Move && asked.To != "":
		return w, bad("to is the new tenant of a move")
	case remedy == status.Move && (asked.To == "" || asked.Filter != nil || !asked.whole()):
		return w, bad("a move is of a whole tenant: name tenant, and the new one as to")
	case asked.Filter == nil:
		return w, nil
	case asked.Target != Target{}:
		return w, bad("name a tenant or a segment, or a filter, not both")
	case *asked.Filter == Filter{}:
		return w, bad("the filter lets everything through: say tenant, state or search")
	}
	return w, asked.Filter.check()
}

func (asked RemedyRequest) until(now time.Time) (at time.Time, err error) {
	if asked.For != "" {
		span, err := time.ParseDuration(asked.For)
		if err != nil || span <= 0 || !asked.Until.IsZero() {
			return at, bad("for is a length of time such as 2h or 1h30m, without until")
		}
		asked.Until = now.Add(span)
	}
	if !asked.Until.IsZero() && (!asked.Until.After(now) || asked.Until.Sub(now) > longestPause) {
		return at, bad("a pause ends in the future, in a year at most; without until and for it ends with resume")
	}
	return asked.Until, nil
}

func (s *Server) single(ctx context.Context, wish status.Wish, asked RemedyRequest) (done RemedyAnswer, err error) {
	if wish.Segment, _, err = s.find(ctx, asked.Target); err != nil {
		return done, err
	}
	if asked.To != "" {
		to, _, err := s.find(ctx, Target{Tenant: asked.To})
		if err != nil {
			return done, err
		}
		if wish.To = to.Tenant; wish.To == wish.Segment.Tenant {
			return done, bad("to is the tenant itself")
		}
	}
	done.Effect, err = s.options.Relay.Remedy(ctx, wish)
	return done, err
}

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
// left out. It stops early when who asked goes away, or at longestBulk; what is done
// then stays done.
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
	sum.Sentence = status.SumSentence(wish.Remedy, sum.Effect, sum.Failures)
	if ctx.Err() != nil {
		return sum, fmt.Errorf("stopped after %s: %w; what was done stays done, so ask again for the rest", status.SumSentence(wish.Remedy, sum.Effect, sum.Failures), ctx.Err())
	}
	return sum, nil
}

func (a *RemedyAnswer) count(in audience.Segment, effect status.Effect, err error) {
	switch {
	case err == nil:
		a.Segments += effect.Segments
		a.Keys += effect.Keys
		a.More = a.More || effect.More
	case errors.Is(err, status.ErrNotNeeded):
	default:
		if a.Failures++; a.Failures <= mostFailures {
			a.Failed = append(a.Failed, Failure{in.Tenant.String(), in.Environment, in.Name, err.Error()})
		}
	}
}

// read takes a body, which is one JSON object with no field but those of into. Its
// errors repeat nothing of the body, where a key may stand (I7).
func read[T any](r *http.Request, into *T) error {
	err := json.UnmarshalRead(r.Body, into, json.RejectUnknownMembers(true))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refusal{http.StatusRequestEntityTooLarge, "the body is too large"}
	case err != nil:
		return bad("the body must be one JSON object, with no fields but " + strings.Join(fieldsOf(reflect.TypeFor[T]()), ", ") + ", each of its type (see openapi.json)")
	}
	return nil
}

func fieldsOf(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			names = append(names, fieldsOf(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
