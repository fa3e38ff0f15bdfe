package actors

import (
	"context"
	"fmt"
	"sort"
	"time"

	"audiences/actors/standing"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"
)

// What the relay says of itself: a segment publishes its phase where its tenant can
// read it, the tenant and the registry add what keeps all segments from calling, and
// package status makes conditions and sentences of the three.

// Status is the state of every tenant with its segments, the tenants by fingerprint and
// the segments by their names. A tenant that never delivered anything and has nothing
// pending may be missing. A segment that was let go is missing, if nothing of it is
// pending or parked, and nobody paused it. Segments are without their sentences.
func (r *Relay) Status(ctx context.Context) ([]status.Tenant, error) {
	listing, err := r.Listing(ctx)
	if err != nil {
		return nil, err
	}
	return Status(listing), nil
}

// Listing is what a relay tells of its tenants, for Status: it can be sent to another node.
type Listing struct {
	Node    string // of the relay, where it has a name
	Address status.AddressGate
	Tenants []TenantListing
}

// TenantListing is one tenant in it.
type TenantListing struct {
	ID    audience.TenantID
	Gate  status.TenantGate
	Views []SegmentView
}

// Listing lists what Status is made of.
func (r *Relay) Listing(ctx context.Context) (l Listing, err error) {
	asked, err := r.list(ctx, audience.Segment{})
	if err != nil {
		return l, fmt.Errorf("list segments: %w", err)
	}
	l.Address = asked.address
	for _, t := range asked.all() {
		l.Tenants = append(l.Tenants, TenantListing{ID: t.id, Gate: t.gate, Views: t.views})
	}
	return l, nil
}

// Status is the state of the tenants of several relays, in the order of Relay.Status.
func Status(listings ...Listing) (all []status.Tenant) {
	now := time.Now()
	for _, l := range listings {
		for _, t := range l.Tenants {
			tenant := describe(t.ID, t.Gate, l.Address, t.Views, now)
			tenant.Node = l.Node
			all = append(all, tenant)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Tenant < all[j].Tenant })
	return all
}

func describe(id audience.TenantID, gate status.TenantGate, address status.AddressGate, views []SegmentView, now time.Time) status.Tenant {
	segments := make([]status.Segment, 0, len(views))
	for _, v := range views {
		counts := status.Counts{Pending: v.Adds + v.Deletes + v.Stored, More: v.Uncounted, Parked: v.Phase.Parked}
		condition := status.Resolve(v.Phase, gate, address, counts.Pending, now)
		segments = append(segments, status.Segment{
			Workspace: v.Segment.Workspace, Environment: v.Segment.Environment, TrafficType: v.Segment.TrafficType, Segment: v.Segment.Name,
			Condition: condition, Counts: counts, Oldest: v.Phase.Oldest,
		})
	}
	t := status.NewTenant(id.String(), gate, segments, now)
	t.ID = id
	return t
}

// list asks the registry and all tenants, or one of them, or that for one segment.
func (r *Relay) list(ctx context.Context, of audience.Segment) (*listing, error) {
	return r.listOf(ctx, list{of: of})
}

// gates asks all tenants with an actor what keeps them from calling. It costs little,
// however many segments there are.
func (r *Relay) gates(ctx context.Context) (*listing, error) {
	return r.listOf(ctx, list{gates: true})
}

func (r *Relay) listOf(ctx context.Context, what list) (*listing, error) {
	var asked listing
	err := r.ask(ctx, func(a answer) any {
		what.answer, what.asked = a, &asked
		return &what
	})
	if err != nil {
		return nil, err
	}
	for range asked.tenants {
		if err := await(ctx, asked.done); err != nil {
			return nil, err
		}
	}
	return &asked, nil
}

// all is what all tenants list, those without an actor too.
func (l *listing) all() []listedTenant {
	all := l.tenants
	absent := map[audience.TenantID]int{} // where in all
	for _, t := range l.resting {
		absent[t.id] = len(all)
		all = append(all, listedTenant{id: t.id, gate: t.gate, views: t.views})
	}
	for _, d := range l.dormant {
		at, ok := absent[d.tenant]
		if !ok {
			at = len(all)
			all = append(all, listedTenant{id: d.tenant, gate: d.gate})
		}
		for i := range d.segments {
			all[at].views = append(all[at].views, d.segments[i].view(d.tenant))
		}
	}
	return all
}

// say publishes what the segment is about, where that has changed. Who is idle says
// nothing: there may be a million of these.
func (s *segment) say(now time.Time) {
	next, before := s.phase(now), s.survivor.said.Load()
	next.Oldest = s.acceptedAt(s.batch.Oldest())
	if next.State == status.Idle && next.Parked == 0 {
		if before != nil {
			s.survivor.said.Store(nil)
		}
		return
	}
	if next.Since.IsZero() && next.State != status.Idle && next.State != status.Paused {
		next.Since = now
		if before != nil && before.State == next.State {
			next.Since = before.Since
		}
	}
	if before == nil || *before != next {
		s.survivor.said.Store(&next)
	}
}

// acceptedAt is when a version was given; zero: not known. The journal is asked for each
// version until it knows: of a new one it does once that is on its way to the disk.
func (s *segment) acceptedAt(version journal.Version) time.Time {
	switch {
	case version == 0:
		return time.Time{}
	case version != s.oldest.version:
		if at, ok := s.Journal.Since(version); ok {
			s.oldest = datedVersion{version, at}
		} else {
			return time.Time{}
		}
	}
	return s.oldest.at
}

// datedVersion is a version with its time; zero: not known.
type datedVersion struct {
	version journal.Version
	at      time.Time
}

// phase is what the segment knows of itself. One that Split refuses is parked, whatever it
// does.
func (s *segment) phase(now time.Time) status.Phase {
	c, st := s.does(now), &s.standing
	if st.ParkedSegment() {
		parked := parkedFor(*st.Record().Parked)
		if parked.OnlyAdds = st.DeletesOnly(); s.batch.Pending() > 0 {
			parked.Until = st.ProbeAt()
		}
		c = parked.Besides(c)
	}
	return status.Phase{Condition: c, Asked: st.Waiting(), Parked: st.ParkedKeys()}
}

// does is what the segment does, or what it waits for.
func (s *segment) does(now time.Time) status.Condition {
	b, st := &s.batch, &s.standing
	switch flight := b.Flight(); {
	case st.Calling():
		return status.Condition{State: status.Calling}
	case st.Paused():
		return pauseOf(st.Record())
	case st.Fetching(), !st.Known(), b.Drawing() && b.Held() == 0:
		return status.Condition{State: status.Reading}
	case b.Pending() == 0:
		return status.Condition{State: status.Idle}
	case flight != nil && flight.Attempts > 0 && !s.tenantWaits():
		return status.Condition{State: status.Repeating, Until: b.Repeat(), Attempts: flight.Attempts, Reason: string(s.survivor.last)}
	case st.Waiting():
		return status.Condition{State: status.Waiting}
	case b.Held() == 0:
		return status.Condition{State: status.Waiting, WaitsFor: status.ForInterval, Until: s.callAt(now)}
	}
	return status.Condition{State: status.Gathering, Until: s.callAt(now)}
}

// tenantWaits: what became of the last call concerns the tenant, which waits for it.
func (s *segment) tenantWaits() bool {
	switch s.survivor.last {
	case splitclient.ThrottledIP, splitclient.ThrottledOrg, splitclient.ThrottledUnsaid, splitclient.Unauthorized:
		return true
	}
	return false
}

// pauseOf is what a segment says that an operator keeps from calling.
func pauseOf(s journal.SegmentState) status.Condition {
	return status.Condition{State: status.Paused, By: s.PausedBy, Since: s.PausedSince, Until: s.PausedUntil}
}

// parkedFor is what a segment says that Split refuses. It does not know when it is tried.
func parkedFor(why journal.Refusal) status.Condition {
	return status.Condition{State: status.Parked, Since: why.At, Reason: why.Reason, OnlyAdds: standing.AsFull(why),
		Status: why.Status, Transaction: why.Transaction, Message: why.Shown}
}

// recordOf is what the journal's record says of a segment; Idle: nothing.
func recordOf(s journal.SegmentState) status.Condition {
	c := status.Condition{State: status.Idle}
	if s.Paused {
		c = pauseOf(s)
	}
	if s.Parked != nil {
		c = parkedFor(*s.Parked).Besides(c)
	}
	return c
}

// phase is what is known of a segment without an actor.
func (d *dormantSegment) phase() status.Phase {
	switch {
	case d.says != nil:
		return status.Phase{Condition: *d.says}
	case d.repeat != nil:
		return status.Phase{Condition: status.Condition{State: status.Repeating, Until: d.due, Reason: string(d.last)}, Asked: true}
	}
	return status.Phase{Condition: status.Condition{State: status.Waiting, Until: d.due}, Asked: true}
}

// gate is what keeps all segments of the tenant from calling.
func (t *tenant) gate(now time.Time) status.TenantGate {
	g := t.calls.Gate(now)
	return status.TenantGate{
		Off: g.Off, Paused: g.Paused, PausedUntil: g.PausedUntil, PausedSince: g.PausedSince, PausedBy: g.PausedBy,
		Refused: g.Refused, RefusedAt: g.RefusedSince, RefusedTry: g.Blocked, ByAddress: g.ByAddress,
		Blocked: g.Blocked, Waiting: g.Waiting,
	}
}

// gateOf is the gate of a tenant of which nothing is known but its record.
func (s *settings) gateOf(record journal.TenantState, now time.Time) status.TenantGate {
	g := status.TenantGate{Off: s.Deliver == nil}
	if record.PausedAt(now) {
		g.Paused, g.PausedUntil, g.PausedSince, g.PausedBy = true, record.PausedUntil, record.PausedSince, record.PausedBy
	}
	return g
}
