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

// move makes all pending and parked keys of one tenant pending keys of another one: a
// customer's new token gets what the old one could not deliver. Where both have a key
// pending, the new tenant's stands. The old tenant is left paused: what is still posted
// under the old token waits, and is not sent with a token that is dead. A segment that is
// paused by itself stays paused under the new one.
//
// What the new tenant has already delivered is not known any more: a key that
// the customer changed again under the new token, and that is delivered, gets
// the older change once more. So move soon after the rotation.
func (r *Relay) move(ctx context.Context, p *plan) error {
	old, successor := p.tenant.Tenant, p.successor.Tenant
	defer func() {
		_ = r.askAgain(func(a answer) any { return &regain{answer: a, tenant: old} }) // a relay that ends begins anew
	}()
	if err := r.surrender(ctx, old, nil); err != nil {
		return err
	}
	moved, err := r.moveHeld(ctx, p)
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

// moveHeld moves the keys. A segment of the new tenant that takes those of a paused one is
// paused by that, and its actor must not find the keys before it knows: so it gives up its
// own keys for the move, and then begins with what the journal has.
func (r *Relay) moveHeld(ctx context.Context, p *plan) (moved []audience.Segment, err error) {
	old, successor := p.tenant.Tenant.ID, p.successor.Tenant
	heirs, err := r.heirs(ctx, old, successor)
	if err != nil {
		return nil, err
	}
	if len(heirs) > 0 {
		defer func() {
			r.regain(successor)
		}()
		if err := r.surrender(ctx, successor, heirs); err != nil {
			return nil, err
		}
	}
	return r.moveKeys(old, successor.ID)
}

// heirs are the segments that take the keys of paused ones. Those of the old tenant have
// given up their keys, so their records do not change before the move is over: an operator
// who wants something of them waits (segment.operate).
func (r *Relay) heirs(ctx context.Context, old audience.TenantID, successor audience.Tenant) (heirs []audience.Segment, err error) {
	// The list shows what is written; a question is answered behind all that was handed in.
	if _, err := r.parked(ctx, audience.Segment{Tenant: old}, journal.Cursor{}, 1); err != nil {
		return nil, err
	}
	now := time.Now()
	for listed, err := range r.Journal.SegmentsOf(old) {
		unnamed := listed.Segment == audience.Segment{} // the move cannot know it either
		if unnamed || err == nil && !listed.State.PausedAt(now) {
			continue
		}
		heir := listed.Segment
		heir.Tenant = successor.ID
		heirs = append(heirs, heir)
		r.remind(successor, heir, listed.State.PausedUntil)
	}
	return heirs, nil
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

// regain ends a surrender. A relay that ends begins anew.
func (r *Relay) regain(tenant audience.Tenant) {
	if err := r.regainHere(tenant); errors.Is(err, ErrElsewhere) && r.Sharing != nil {
		_ = r.Sharing.Peers.Regain(r.ctx, tenant.ID)
	}
}

// surrender waits until no segment of the tenant holds keys or makes a call; with only,
// none of those. The tenant may be another node's.
func (r *Relay) surrender(ctx context.Context, tenant audience.Tenant, only []audience.Segment) error {
	err := r.surrenderHere(ctx, tenant, only)
	if errors.Is(err, ErrElsewhere) && r.Sharing != nil {
		return r.Sharing.Peers.Surrender(ctx, tenant.ID, only)
	}
	return err
}

func (r *Relay) surrenderHere(ctx context.Context, tenant audience.Tenant, only []audience.Segment) error {
	var told surrendering
	if err := r.ask(ctx, func(a answer) any { return &surrender{answer: a, tenant: tenant, only: only, told: &told} }); err != nil {
		return err
	}
	var failed error
	for range told.answers {
		if err := await(ctx, told.done); ctx.Err() != nil {
			return err
		} else if err != nil {
			failed = err
		}
	}
	return failed
}

// activate has a segment look at the journal.
func (r *Relay) activate(tenant audience.Tenant, segment audience.Segment) {
	_ = r.askAgain(func(a answer) any { return &activate{answer: a, tenant: tenant, segment: segment} }) // a relay that ends begins anew
}
