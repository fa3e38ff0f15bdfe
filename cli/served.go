package cli

import (
	"context"
	"errors"

	"audiences/actors"
	"audiences/audience"
	"audiences/status"
)

// served is the relay as the operator's side sees it. What the relay has no method for
// is answered with errors.ErrUnsupported.
type served struct{ *actors.Relay }

func have[T any](s served) (has T, err error) {
	has, ok := any(s.Relay).(T)
	if !ok {
		return has, errors.ErrUnsupported
	}
	return has, nil
}

// Budgets asks the relay.
func (s served) Budgets(ctx context.Context) ([]status.Budget, error) {
	has, err := have[interface {
		Budgets(context.Context) ([]status.Budget, error)
	}](s)
	if err != nil {
		return nil, err
	}
	return has.Budgets(ctx)
}

// Segment asks the relay.
func (s served) Segment(ctx context.Context, in audience.Segment) (status.Detail, error) {
	has, err := have[interface {
		Segment(context.Context, audience.Segment) (status.Detail, error)
	}](s)
	if err != nil {
		return status.Detail{}, err
	}
	return has.Segment(ctx, in)
}

// Parked asks the relay.
func (s served) Parked(ctx context.Context, in audience.Segment, after string, limit int) (status.ParkedPage, error) {
	has, err := have[interface {
		Parked(context.Context, audience.Segment, string, int) (status.ParkedPage, error)
	}](s)
	if err != nil {
		return status.ParkedPage{}, err
	}
	return has.Parked(ctx, in, after, limit)
}

// Where asks the relay.
func (s served) Where(ctx context.Context, in audience.Segment, key audience.Key, after string) (status.Whereabouts, error) {
	has, err := have[interface {
		Where(context.Context, audience.Segment, audience.Key, string) (status.Whereabouts, error)
	}](s)
	if err != nil {
		return status.Whereabouts{}, err
	}
	return has.Where(ctx, in, key, after)
}

// Events asks the relay.
func (s served) Events(ctx context.Context, before uint64, limit int) ([]status.Event, error) {
	has, err := have[interface {
		Events(context.Context, uint64, int) ([]status.Event, error)
	}](s)
	if err != nil {
		return nil, err
	}
	return has.Events(ctx, before, limit)
}

// Note asks the relay.
func (s served) Note(ctx context.Context, event status.Event) error {
	has, err := have[interface {
		Note(context.Context, status.Event) error
	}](s)
	if err != nil {
		return err
	}
	return has.Note(ctx, event)
}

// Remedy asks the relay.
func (s served) Remedy(ctx context.Context, wish status.Wish) (status.Effect, error) {
	has, err := have[interface {
		Remedy(context.Context, status.Wish) (status.Effect, error)
	}](s)
	if err != nil {
		return status.Effect{}, err
	}
	return has.Remedy(ctx, wish)
}
