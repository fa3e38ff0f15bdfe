package actors

import (
	"context"
	"fmt"

	"audiences/audience"
	"audiences/status"
)

// move makes all pending and parked keys of one tenant pending keys of another one: a
// customer's new token gets what the old one could not deliver. Where both have a key
// pending, the new tenant's stands. The old tenant is left paused: what is still posted
// under the old token waits, and is not sent with a token that is dead.
//
// What the new tenant has already delivered is not known any more: a key that
// the customer changed again under the new token, and that is delivered, gets
// the older change once more. So move soon after the rotation.
func (r *Relay) move(ctx context.Context, p *plan) error {
	old, successor := p.tenant.Tenant, p.successor.Tenant
	defer func() {
		_ = r.askAgain(func(a answer) any { return &regain{answer: a, tenant: old} }) // a relay that ends begins anew
	}()
	if err := r.surrender(ctx, old); err != nil {
		return err
	}
	moved, err := r.moveKeys(old.ID, successor.ID)
	if err == nil {
		// Before the old tenant's segments look at what was posted meanwhile.
		err = r.pauseMoved(p)
	}
	for _, segment := range moved {
		segment.Tenant = successor.ID
		r.activate(successor, segment)
	}
	return err
}

// moveKeys has the journal move the keys, and is not given up when the operator goes away:
// what is in the journal must be in the actors too.
func (r *Relay) moveKeys(from, to audience.TenantID) (segments []audience.Segment, err error) {
	done := make(chan error, 1)
	r.Journal.MoveTenant(from, to, func(moved []audience.Segment, _ int, err error) {
		segments = moved
		done <- err
	})
	err = <-done
	return segments, err
}

// pauseMoved pauses the old tenant. It is not given up either.
func (r *Relay) pauseMoved(p *plan) error {
	t := p.task(audience.Segment{})
	t.remedy = status.Pause
	err := r.askAgain(func(a answer) any {
		return &operate{answer: a, task: t, recalls: &recalls{}}
	})
	if err != nil {
		return fmt.Errorf("the keys are moved, but the old tenant is not paused: %w", err)
	}
	return nil
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
	_ = r.askAgain(func(a answer) any { return &activate{answer: a, tenant: tenant, segment: segment} }) // a relay that ends begins anew
}
