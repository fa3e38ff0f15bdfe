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

	"github.com/asynkron/protoactor-go/actor"
)

// This is what several nodes that share a journal have to do with each other (package
// placement). Every node accepts changes of all tenants. A tenant's actors are on the node
// alone that owns its slot; for the others the registry hands changes to the journal
// itself, and leaves a hint for the owner.

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

// Messages of this file.
type (
	// own gives the registry slots, with what the journal keeps of their tenants; answered
	// when changes of them go to their actors.
	own struct {
		answer
		slots  audience.Slots
		states map[audience.TenantID]journal.TenantState
		proven map[audience.TenantID]struct{}
	}
	// disown takes slots from the registry; answered when it has listed the tenants of them
	// that have an actor. From then on no call of theirs begins.
	disown struct {
		answer
		slots   audience.Slots
		tenants *[]audience.TenantID // are put here
	}
	// letGo ends the actors of tenants that hold no keys any more.
	letGo struct {
		answer
		tenants []audience.TenantID
	}
	// leave has a tenant end once no call is under way.
	leave struct{ down }
	// hinted tells the registry of a segment that has keys which this node did not accept.
	hinted struct {
		hidden[hinted]
		tenant  audience.Tenant
		segment audience.Segment
	}
	// egressOf tells the registry what part of the address's budget is this node's, and until
	// when Split bars the address as other nodes know.
	egressOf struct {
		share   float64
		blocked time.Time
	}
)

// ofTenant are the messages that concern one tenant and are for the node that owns it.
type ofTenant interface{ concerns() audience.TenantID }

func (m *accept) concerns() audience.TenantID       { return m.changes[0].Segment.Tenant }
func (m *activate) concerns() audience.TenantID     { return m.tenant.ID }
func (m *found) concerns() audience.TenantID        { return m.tenant.ID }
func (m *hinted) concerns() audience.TenantID       { return m.tenant.ID }
func (m *operate) concerns() audience.TenantID      { return m.tenant.ID }
func (m *inspect) concerns() audience.TenantID      { return m.tenant.ID }
func (m *regain) concerns() audience.TenantID       { return m.tenant.ID }
func (m *pauseEnds) concerns() audience.TenantID    { return m.tenant.ID }
func (m *seek) concerns() audience.TenantID         { return m.segment.Tenant }
func (m *rested) concerns() audience.TenantID       { return m.segment.Tenant }
func (m *foundResting) concerns() audience.TenantID { return m.segment.Tenant }

// elsewhere takes a message that concerns a tenant of another node. surrender is not among
// them: it is also how the actors of a slot that goes to another node give up their keys.
func (r *registry) elsewhere(ctx actor.Context, message any) (taken bool) {
	m, ok := message.(ofTenant)
	if !ok || r.owned.Has(m.concerns().Slot()) {
		return false
	}
	if m, ok := message.(*accept); ok {
		r.acceptElsewhere(ctx, m)
	} else {
		refuse(message, ErrElsewhere)
	}
	return true
}

// acceptElsewhere accepts changes for the node that owns the tenant. While its actors are
// here still, they hear of them: a call may be under way that carries one of the keys, and
// its settle is not to take the newer change along, which the journal may have given the
// same version as one that the segment knows of.
func (r *registry) acceptElsewhere(ctx actor.Context, m *accept) {
	if c := r.tenants.find(m.concerns()); c != nil {
		m.hint = true
		r.tenants.tell(ctx, c, m)
		return
	}
	r.acceptFor(m)
}

// acceptFor hands changes to the journal for the node that owns the tenant.
func (r *registry) acceptFor(m *accept) {
	changes := make([]journal.Change, len(m.changes))
	for i, c := range m.changes {
		changes[i] = journal.Change{Segment: c.Segment, Verb: c.Verb, Keys: c.Keys, Describe: true}
	}
	r.Journal.PutTenant(m.changes[0].Tenant())
	r.Journal.Append(journal.Append{Tenant: m.changes[0].Segment.Tenant, Changes: changes, Hint: true, Done: through(m.to)})
	m.handed()
}

// own takes slots over.
func (r *registry) own(m *own) {
	for id, state := range m.states {
		r.states[id] = state
	}
	for id := range m.proven {
		r.proven[id] = struct{}{}
	}
	r.owned = r.owned.Or(m.slots)
	m.give(nil)
}

// disown forgets the tenants of slots, but for those that have an actor.
func (r *registry) disown(m *disown) {
	r.owned = r.owned.Without(m.slots)
	for id := range r.tenants.children.All() {
		if m.slots.Has(id.Slot()) {
			r.turns.Cancel(id)
			*m.tenants = append(*m.tenants, id)
		}
	}
	for id := range r.states {
		if m.slots.Has(id.Slot()) {
			delete(r.states, id)
		}
	}
	for id := range r.proven {
		if m.slots.Has(id.Slot()) {
			delete(r.proven, id)
		}
	}
	for id := range r.resting {
		if m.slots.Has(id.Slot()) {
			delete(r.resting, id)
		}
	}
	r.disownDormant(m.slots)
	m.give(nil)
}

// disownDormant forgets the tenants of slots that have no actor, but keys.
func (r *registry) disownDormant(slots audience.Slots) {
	var gone []*dormant
	for id, d := range r.unproven.dormant.All() {
		if slots.Has(id.Slot()) {
			gone = append(gone, d)
		}
	}
	for _, d := range gone {
		r.unproven.dormant.Remove(d.ID)
		r.metrics.dormant.Dec()
		for _, s := range d.What.segments {
			view := s.view(d.ID)
			r.metrics.pending.Sub(float64(view.Adds + view.Deletes + view.Stored))
			r.inMemory.Add(-int64(s.repeat.Weight()))
		}
	}
}

// letGo ends the actors of tenants, behind all that was sent to them.
func (r *registry) letGo(ctx actor.Context, m *letGo) {
	for _, id := range m.tenants {
		c := r.tenants.find(id)
		if c == nil {
			continue // it had nothing to do, and was let go before
		}
		r.tenants.tell(ctx, c, &leave{})
		r.tenants.children.Delete(id)
		r.metrics.tenants.Dec()
		r.turns.Cancel(id)
		r.unproven.active.Remove(id)
		delete(r.records, id)
		delete(r.draining.left, id)
	}
	r.drainedIfDone()
	m.give(nil)
}

// hinted has a segment look at the journal.
func (r *registry) hinted(ctx actor.Context, m *hinted) {
	_, proven := r.proven[m.tenant.ID]
	if c := r.tenants.find(m.tenant.ID); c != nil || proven {
		r.tenants.tell(ctx, r.tenant(ctx, m.tenant, false), &activate{tenant: m.tenant, segment: m.segment, why: hint})
		return
	}
	r.found(ctx, &found{tenant: m.tenant, segment: dormantSegment{name: localNameOf(m.segment), due: time.Now().Add(r.FlushInterval), more: true, described: true}, again: true})
}

// egressOf takes over what other nodes of the address leave and know.
func (r *registry) egressOf(ctx actor.Context, m *egressOf) {
	r.egress.Share(m.share)
	r.egress.Bar(m.blocked)
	r.grant(ctx)
}

// leave ends the tenant's actor when no call is under way: their slots are given back.
func (t *tenant) leave(ctx actor.Context) {
	if t.leaving = true; t.calls.Underway() == 0 {
		t.end(ctx)
	}
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
		known, proven := r.readTenants(slots), r.readProven(slots)
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
			if err := r.surrenderHere(ctx, audience.Tenant{ID: id}, nil); err != nil && !errors.Is(err, ErrCrashed) && !errors.Is(err, ErrElsewhere) { // who crashed, or was let go before, holds nothing
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
}

// rate is the calls that began each second since the last look, and those that wait.
func (d *demand) rate(now time.Time) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	begun, passed := d.begun.Load(), now.Sub(d.at).Seconds()
	rate := float64(d.waiting.Load())
	if !d.at.IsZero() && passed > 0 {
		rate += float64(begun-d.count) / passed
	}
	d.at, d.count = now, begun
	return rate
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
