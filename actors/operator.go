package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"
)

// This is the operator's side of the door. All of it may wait for the disk.

// Remedy carries out an operator's wish and returns once that is durable; with DryRun it
// changes nothing and says what it would do. It looks first what there is: the Effect
// tells what was found then, so keys are about as many. It answers status.ErrUnknown,
// ErrPausedNow, ErrOff, ErrNotNeeded and ErrImpossible.
//
// What concerns many segments is done to some of them at a time. After another error, or
// when ctx ends, part may be done: the Effect tells of that part, and asking again does the
// rest.
func (r *Relay) Remedy(ctx context.Context, wish status.Wish) (effect status.Effect, err error) {
	defer r.caught(&err)
	p, err := r.plan(ctx, wish)
	if err == nil && !wish.DryRun {
		err = r.carryOut(ctx, p)
	}
	if p == nil {
		return status.Effect{}, fmt.Errorf("%s: %w", wish.Remedy, err)
	}
	if err = errors.Join(err, p.missed); err != nil {
		err = fmt.Errorf("%s: %w", wish.Remedy, err)
	}
	effect = p.effect(time.Now())
	if !wish.DryRun && (err == nil || effect.Segments > 0) {
		r.note(p.event(effect))
	}
	return effect, err
}

// carryOut does what was planned. What was not done is taken off the plan.
func (r *Relay) carryOut(ctx context.Context, p *plan) (err error) {
	if p.wish.Remedy == status.Pause {
		r.remindOf(p)
	}
	switch {
	case p.wish.Remedy == status.Move:
		err = r.move(ctx, p)
	case p.onTenant():
		err = r.operateTenant(ctx, p.task(audience.Segment{}))
	default:
		p.subjects, err = r.each(ctx, p.subjects, func(s *subject) error {
			return r.operateSegment(ctx, p.task(s.segment))
		})
		return err
	}
	if err != nil {
		p.subjects = nil
	}
	return err
}

func (r *Relay) operateSegment(ctx context.Context, t task) error {
	return r.ask(ctx, func(a answer) any { return &operate{answer: a, task: t} })
}

// operateTenant pauses or resumes all of a tenant. A pause is on when the calls that were
// about to be made are recalled.
func (r *Relay) operateTenant(ctx context.Context, t task) error {
	var told recalls
	if err := r.ask(ctx, func(a answer) any { return &operate{answer: a, task: t, recalls: &told} }); err != nil {
		return err // told may be written yet
	}
	for range told.segments {
		if err := await(ctx, told.done); err != nil {
			return err
		}
	}
	return nil
}

// Inspect says what a segment is doing and why its keys are where they are. It
// activates the segment, if it was not active.
func (r *Relay) Inspect(ctx context.Context, segment audience.Segment) (SegmentDetail, error) {
	tenant, err := r.tenant(segment.Tenant)
	if err != nil {
		return SegmentDetail{}, err
	}
	var detail SegmentDetail
	err = r.ask(ctx, func(a answer) any {
		return &inspect{answer: a, tenant: tenant.Tenant, segment: segment, detail: &detail}
	})
	if err != nil {
		return SegmentDetail{}, fmt.Errorf("inspect segment: %w", err)
	}
	return detail, nil
}

func (r *Relay) parked(ctx context.Context, segment audience.Segment, after journal.Cursor, limit int) (journal.ParkedPage, error) {
	page, err := reply(ctx, func(done func(journal.ParkedPage)) {
		r.Journal.Parked(journal.ParkedQuery{Segment: segment, After: after, Limit: limit, Done: done})
	})
	if err != nil {
		return journal.ParkedPage{}, fmt.Errorf("list parked keys: %w", err)
	}
	return page, page.Err
}

// reply waits for what the journal answers to a question.
func reply[T any](ctx context.Context, question func(done func(T))) (told T, err error) {
	answers := make(chan T, 1)
	question(func(t T) { answers <- t })
	select {
	case told = <-answers:
		return told, nil
	case <-ctx.Done():
		return told, ctx.Err()
	}
}

// tenant finds a tenant with its token and state. Operators are few and patient: it is
// looked up in the journal each time.
func (r *Relay) tenant(id audience.TenantID) (journal.KnownTenant, error) {
	why := status.ErrUnknown
	for known, err := range r.Journal.Tenants(audience.AllSlots()) {
		switch {
		case err != nil:
			why = err // it may be the one
		case known.Tenant.ID == id:
			return known, nil
		}
	}
	return journal.KnownTenant{}, fmt.Errorf("find tenant %s: %w", id, why)
}

// askAgain is ask for what must not get lost. An actor that crashes with the message
// in hand would leave keys in the journal of which nobody knows: it is sent again.
func (r *Relay) askAgain(message func(answer) any) (err error) {
	for range 3 {
		if err = r.ask(context.Background(), message); !errors.Is(err, ErrCrashed) {
			break
		}
	}
	return err
}
