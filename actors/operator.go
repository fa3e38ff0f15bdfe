package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// This is the operator's side of the door. All of it may wait for the disk.

// ErrUnknownTenant answers an operation on a tenant that has never posted.
var ErrUnknownTenant = errors.New("no tenant with this fingerprint is known")

// OperateSegment does something to one segment and waits until it is durable.
// until is for Pause: when it ends by itself; zero: with Resume.
func (r *Relay) OperateSegment(ctx context.Context, segment audience.Segment, op Op, until time.Time) error {
	return r.operate(ctx, segment.Tenant, segment, op, until)
}

// OperateTenant is OperateSegment for everything under one token; it knows
// Pause, Resume and Flush.
func (r *Relay) OperateTenant(ctx context.Context, tenant audience.TenantID, op Op, until time.Time) error {
	return r.operate(ctx, tenant, audience.Segment{}, op, until)
}

func (r *Relay) operate(ctx context.Context, id audience.TenantID, segment audience.Segment, op Op, until time.Time) error {
	tenant, err := r.tenant(id)
	if err != nil {
		return err
	}
	return r.ask(ctx, func(a answer) any {
		return &operate{answer: a, tenant: tenant, segment: segment, op: op, until: until}
	})
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
		return &inspect{answer: a, tenant: tenant, segment: segment, detail: &detail}
	})
	if err != nil {
		return SegmentDetail{}, fmt.Errorf("inspect segment: %w", err)
	}
	return detail, nil
}

// Parked lists a segment's parked keys with their reasons: at most limit, after
// the cursor.
func (r *Relay) Parked(ctx context.Context, segment audience.Segment, after journal.Cursor, limit int) (journal.ParkedPage, error) {
	reply := make(chan journal.ParkedPage, 1)
	r.Journal.Parked(journal.ParkedQuery{Segment: segment, After: after, Limit: limit,
		Done: func(page journal.ParkedPage) { reply <- page }})
	select {
	case page := <-reply:
		return page, page.Err
	case <-ctx.Done():
		return journal.ParkedPage{}, fmt.Errorf("list parked keys: %w", ctx.Err())
	}
}

// MoveTenant makes all pending and parked keys of one tenant pending keys of
// another one: a customer's new token gets what the old one could not deliver.
// Where both have a key pending, the new tenant's stands. It returns how many
// keys were moved. Both tenants must have posted before.
//
// What the new tenant has already delivered is not known any more: a key that
// the customer changed again under the new token, and that is delivered, gets
// the older change once more. So move soon after the rotation.
func (r *Relay) MoveTenant(ctx context.Context, from, to audience.TenantID) (keys int, err error) {
	if from == to {
		return 0, errors.New("move keys: from and to are the same tenant")
	}
	old, errFrom := r.tenant(from)
	successor, errTo := r.tenant(to)
	if err := errors.Join(errFrom, errTo); err != nil {
		return 0, err
	}
	defer r.askAgain(func(a answer) any { return &regain{answer: a, tenant: old} })
	if err := r.surrender(ctx, old); err != nil {
		return 0, fmt.Errorf("move keys: %w", err)
	}
	type result struct {
		segments []audience.Segment
		keys     int
		err      error
	}
	results := make(chan result, 1)
	r.Journal.MoveTenant(from, to, func(segments []audience.Segment, keys int, err error) {
		results <- result{segments, keys, err}
	})
	// Not given up when ctx ends: what is in the journal must be in the actors too.
	res := <-results
	for _, segment := range res.segments {
		segment.Tenant = to
		r.activate(successor, segment)
	}
	if res.err != nil {
		return res.keys, fmt.Errorf("move keys: %w", res.err)
	}
	return res.keys, nil
}

// surrender waits until no segment of the tenant holds keys or makes a call.
func (r *Relay) surrender(ctx context.Context, tenant audience.Tenant) error {
	var told surrendering
	if err := r.ask(ctx, func(a answer) any { return &surrender{answer: a, tenant: tenant, told: &told} }); err != nil {
		return err
	}
	for range told.segments {
		if err := await(ctx, told.done); err != nil {
			return err
		}
	}
	return nil
}

// activate has a segment look at the journal.
func (r *Relay) activate(tenant audience.Tenant, segment audience.Segment) {
	r.askAgain(func(a answer) any { return &activate{answer: a, tenant: tenant, segment: segment} })
}

// askAgain is ask for what must not get lost. An actor that crashes with the message
// in hand would leave keys in the journal of which nobody knows: it is sent again.
func (r *Relay) askAgain(message func(answer) any) {
	for range 3 {
		if err := r.ask(context.Background(), message); !errors.Is(err, ErrCrashed) {
			return
		}
	}
}

// tenant finds a tenant's token. Operators are few and patient: it is looked up
// in the journal each time.
func (r *Relay) tenant(id audience.TenantID) (audience.Tenant, error) {
	why := ErrUnknownTenant
	for known, err := range r.Journal.Tenants() {
		switch {
		case err != nil:
			why = err // it may be the one
		case known.Tenant.ID == id:
			return known.Tenant, nil
		}
	}
	return audience.Tenant{}, fmt.Errorf("find tenant %s: %w", id, why)
}
