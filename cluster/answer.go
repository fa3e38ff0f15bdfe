package cluster

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"

	"audiences/actors"
	"audiences/audience"
	"audiences/status"
)

// kind is what a node is asked for.
type kind uint8

const (
	askPresence kind = iota + 1
	askListing
	askBudgets
	askSegment
	askRemedy
	askWhere
	askSurrender
	askRegain
)

// question is what one node asks another. It and its answer travel as rows of the
// database, which has no token in clear (I7), and are taken away at once.
type question struct {
	audience.Hidden[question]
	Kind     kind
	Segment  audience.Segment
	Segments []audience.Segment
	Wish     status.Wish
	Key      string
	After    string
}

// answer is what comes back.
type answer struct {
	Problem string // why there is nothing; "": there is
	Cause   int    // which of causes it is, counted from 1; 0: none of them
	Listing actors.Listing
	Budgets []status.Budget
	Detail  status.Detail
	Effect  status.Effect
	Where   status.Whereabouts
}

// causes are the errors that mean something to who asks.
var causes = []error{status.ErrUnknown, status.ErrPausedNow, status.ErrOff, status.ErrNotNeeded, status.ErrImpossible, actors.ErrElsewhere, actors.ErrCrashed}

// failure is the error that came as an answer.
func (a *answer) failure() error {
	switch {
	case a.Problem == "":
		return nil
	case a.Cause > 0 && a.Cause <= len(causes):
		return remote{a.Problem, causes[a.Cause-1]}
	}
	return errors.New(a.Problem)
}

// remote is an error of another node, in its words.
type remote struct {
	text  string
	cause error
}

func (r remote) Error() string { return r.text }
func (r remote) Unwrap() error { return r.cause }

// Answer answers what another node asks.
func (r *Relay) Answer(ctx context.Context, text []byte) []byte {
	a := answer{}
	q, err := decode[question](text)
	if err == nil {
		err = r.answer(ctx, &q, &a)
	}
	if err != nil {
		a.Problem = err.Error()
		for i, cause := range causes {
			if errors.Is(err, cause) {
				a.Cause = i + 1
				break
			}
		}
	}
	text, err = encode(a)
	if err != nil { // all of it can be encoded
		text, _ = encode(answer{Problem: err.Error()})
	}
	return text
}

func (r *Relay) answer(ctx context.Context, q *question, a *answer) (err error) {
	switch q.Kind {
	case askPresence:
	case askListing:
		a.Listing, err = r.Listing(ctx)
	case askBudgets:
		a.Budgets, err = r.Relay.Budgets(ctx)
	case askSegment:
		a.Detail, err = r.Relay.Segment(ctx, q.Segment)
	case askRemedy:
		a.Effect, err = r.Relay.Remedy(ctx, q.Wish)
	case askWhere:
		key, bad := audience.ParseKey(q.Key)
		if bad != nil {
			return bad
		}
		a.Where, err = r.Relay.Where(ctx, q.Segment, key, q.After)
	case askSurrender:
		return r.Relay.SurrenderHere(ctx, q.Segment.Tenant, q.Segments)
	case askRegain:
		return r.Relay.RegainHere(q.Segment.Tenant)
	default:
		return fmt.Errorf("this node does not know the question %d: it has an older program", q.Kind)
	}
	return err
}

func encode(v any) ([]byte, error) {
	var text bytes.Buffer
	err := gob.NewEncoder(&text).Encode(v)
	return text.Bytes(), err
}

func decode[T any](text []byte) (v T, err error) {
	err = gob.NewDecoder(bytes.NewReader(text)).Decode(&v)
	return v, err
}
