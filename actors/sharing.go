package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

// This is the door of a relay that shares its journal: what package placement has it do, what
// other nodes ask of it, and what it tells them.

// ErrElsewhere answers an operator's wish that concerns a tenant of another node.
var ErrElsewhere = errors.New("another node owns this tenant")

// Sharing is what a relay needs to know where several nodes share its journal.
type Sharing struct {
	// Lease is nil while this node may act as the owner of its slots, and Within ends when
	// it no longer may (F3). Both are called before each call to Split.
	Lease  func() error
	Within func() context.Context
	// Peers are the other nodes.
	Peers Peers
}

// Peers are what other nodes do for a move to a tenant of theirs.
type Peers interface {
	// Surrender has these segments of the tenant give up their keys, and returns when they
	// hold none.
	Surrender(ctx context.Context, tenant audience.TenantID, only []audience.Segment) error
	// Regain has them look at the journal, with their states, again.
	Regain(ctx context.Context, tenant audience.TenantID) error
}

// SurrenderHere and RegainHere are what Peers ask of the node that owns the tenant.
func (r *Relay) SurrenderHere(ctx context.Context, tenant audience.TenantID, only []audience.Segment) error {
	known, err := r.tenant(tenant)
	if err != nil {
		return err
	}
	return r.surrenderHere(ctx, known.Tenant, only)
}

// RegainHere ends SurrenderHere.
func (r *Relay) RegainHere(tenant audience.TenantID) error {
	known, err := r.tenant(tenant)
	if err != nil {
		return err
	}
	return r.regainHere(known.Tenant)
}

func (r *Relay) regainHere(tenant audience.Tenant) error {
	return r.askAgain(func(a answer) any { return &regain{answer: a, tenant: tenant} })
}

// Claim takes over the tenants of slots that are this node's from now on: their keys are
// due at once, since the node that owned them may have let them wait for long. It returns
// at once.
func (r *Relay) Claim(slots audience.Slots) {
	r.place(func(ctx context.Context) {
		known, whole := r.readTenants(slots)
		for !whole { // a pause may be among what is missing
			select {
			case <-time.After(r.FirstBackoff):
			case <-ctx.Done():
				return
			}
			known, whole = r.readTenants(slots)
		}
		proven := r.readProven(slots)
		err := r.ask(ctx, func(a answer) any {
			return &own{answer: a, slots: slots, states: statesOf(known), proven: proven}
		})
		if err == nil {
			r.placing.unlessEnded(func() {
				r.replays.Go(func() { r.replay(ctx, replaying{slots: slots, tenants: known, proven: proven, cause: takeover}) })
			})
		}
	})
}

// Release lets the tenants of slots go: no call of theirs begins any more, and done is
// called when none is under way and what this node knew of them is forgotten. Their keys
// are in the journal. It returns at once. Where the relay stops meanwhile done is not
// called, and this node's lease has to end before another one calls.
func (r *Relay) Release(slots audience.Slots, done func()) {
	r.place(func(ctx context.Context) {
		var tenants []audience.TenantID
		if r.ask(ctx, func(a answer) any { return &disown{answer: a, slots: slots, tenants: &tenants} }) != nil {
			return
		}
		for _, id := range tenants {
			if err := r.surrenderHere(ctx, audience.Tenant{ID: id}, nil); err != nil && !errors.Is(err, ErrCrashed) && !errors.Is(err, ErrElsewhere) { // who crashed, or was let go before, holds nothing, and its call has ended
				return
			}
		}
		if r.ask(ctx, func(a answer) any { return &letGo{answer: a, tenants: tenants} }) == nil {
			done()
		}
	})
}

// Hint has a segment that this node owns look at the journal: another node has taken keys of
// it. It returns at once.
func (r *Relay) Hint(tenant audience.Tenant, segment audience.Segment) {
	r.system.Root.Send(r.registry, &hinted{tenant: tenant, segment: segment})
}

// Egress says what part of the address's budget this node may use, and until when Split
// bars the address as far as other nodes know; zero: it does not.
func (r *Relay) Egress(share float64, blocked time.Time) {
	r.system.Root.Send(r.registry, &egressOf{share: share, blocked: blocked})
}

// Demand is how many calls a second this node would make, and until when Split bars its
// address.
func (r *Relay) Demand() (rate float64, blocked time.Time) {
	return r.demand.rate(time.Now()), r.demand.blockedUntil()
}

// place has something done when all that was handed in before is.
func (r *Relay) place(f func(context.Context)) { r.placing.then(func() { f(r.bringing) }) }

// inTurn does one thing after the other, each in a goroutine of its own.
type inTurn struct {
	mu    sync.Mutex
	last  <-chan struct{} // closed when the last thing that was handed in is done; nil: there was none
	ended bool            // nothing is begun any more that a stop would have to wait for
}

// unlessEnded calls f before end, or not at all.
func (t *inTurn) unlessEnded(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		f()
	}
}

func (t *inTurn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

func (t *inTurn) then(f func()) {
	t.mu.Lock()
	before, done := t.last, make(chan struct{})
	t.last = done
	t.mu.Unlock()
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		f()
	}()
}

// demand measures how many calls this node would make. The registry writes it.
type demand struct {
	begun, waiting atomic.Int64
	blocked        atomic.Pointer[time.Time]

	mu    sync.Mutex
	at    time.Time // of the last look
	count int64     // of begun, then
	last  float64   // calls that began each second, then
}

// demandOver is the time that calls are counted for at least: in a shorter one a call or two
// more or less would move shares to and fro.
const demandOver = 900 * time.Millisecond

// rate is the calls that began each second since the last look, and the tenants that wait.
func (d *demand) rate(now time.Time) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if passed := now.Sub(d.at); passed >= demandOver {
		begun := d.begun.Load()
		if !d.at.IsZero() {
			d.last = float64(begun-d.count) / passed.Seconds()
		}
		d.at, d.count = now, begun
	}
	return d.last + float64(d.waiting.Load())
}

func (d *demand) blockedUntil() time.Time {
	if until := d.blocked.Load(); until != nil {
		return *until
	}
	return time.Time{}
}

// note takes over what the registry's limiter and turns say.
func (d *demand) note(egress *pace.Limiter, turns *pace.Turns) {
	until := egress.BlockedUntil()
	d.blocked.Store(&until)
	d.waiting.Store(int64(turns.Waiting()))
}

func statesOf(known map[audience.TenantID]journal.KnownTenant) map[audience.TenantID]journal.TenantState {
	states := map[audience.TenantID]journal.TenantState{}
	for id, k := range known {
		if k.State != (journal.TenantState{}) {
			states[id] = k.State
		}
	}
	return states
}

// underLease makes the call under this node's lease, where it needs one.
func (s *settings) underLease(call splitclient.Call) splitclient.Outcome {
	if s.Sharing == nil {
		return s.Deliver(s.ctx, call)
	}
	if s.Sharing.Lease() != nil {
		return splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Cancelled}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.Sharing.Within(), cancel)()
	return s.Deliver(ctx, call)
}
