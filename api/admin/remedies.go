package admin

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"audiences/api/admin/access"
	"audiences/status"
)

// RemedyRequest is the body of POST /admin/api/v1/remedies/...: it names a tenant, a
// segment, or with Filter all segments that match.
type RemedyRequest struct {
	Target
	Filter *Filter    `json:"filter,omitempty"`
	Until  *time.Time `json:"until,omitempty"` // of a pause; without it and For: until somebody resumes. The zero time is one in the past
	For    string     `json:"for,omitempty"`   // the same as a length of time from now, such as 2h or 1h30m
	To     string     `json:"to,omitempty"`    // of move: the new tenant
	DryRun bool       `json:"dryRun,omitempty"`
}

// RemedyAnswer is what was done, or what would be. With a filter it is the sum.
type RemedyAnswer struct {
	status.Effect
	Paused   int       `json:"paused,omitempty"`   // segments that were left alone, as they are paused
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

const longestPause = 366 * 24 * time.Hour

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
	if now.partial != nil {
		return done, now.partial
	}
	filter, err := now.resolved(*asked.Filter)
	if err != nil {
		return done, err
	}
	return s.bulk(ctx, wish, now.matching(filter))
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

// until is when a pause ends; zero: with a resume.
func (asked RemedyRequest) until(now time.Time) (at time.Time, err error) {
	switch {
	case asked.For != "":
		span, err := time.ParseDuration(asked.For)
		if err != nil || span <= 0 || asked.Until != nil {
			return at, bad("for is a length of time such as 2h or 1h30m, without until")
		}
		at = now.Add(span)
	case asked.Until != nil:
		at = *asked.Until
	default:
		return at, nil
	}
	if !at.After(now) || at.Sub(now) > longestPause {
		return at, bad("a pause ends in the future, in a year at most; without until and for it ends with resume")
	}
	return at, nil
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
