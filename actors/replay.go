package actors

import (
	"context"
	"errors"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"

	"github.com/rs/zerolog"
)

// maxActivating is how many segments read their first page at a time during the
// replay, unless memory is short: enough to keep the disk busy, few enough that new
// changes do not queue behind thousands of reads.
const maxActivating = 256

// replaying is what a replay brings back.
type replaying struct {
	slots   audience.Slots
	tenants map[audience.TenantID]journal.KnownTenant
	proven  map[audience.TenantID]struct{}
	cause   because // replayed, or takeover
}

// readTenants reads the tenants of slots with their tokens. A pause has to be known before
// the first change arrives, so this is done before the actors start. whole is false where
// the list broke off; a record that cannot be read is left out.
func (r *Relay) readTenants(of audience.Slots) (tenants map[audience.TenantID]journal.KnownTenant, whole bool) {
	tenants, whole = map[audience.TenantID]journal.KnownTenant{}, true
	for known, err := range r.Journal.Tenants(of) {
		if err != nil {
			r.Logger.Error().Err(err).Msg("a tenant's record in the journal cannot be read; its keys wait there")
			whole = whole && known.Tenant.ID != (audience.TenantID{})
			continue
		}
		tenants[known.Tenant.ID] = known
	}
	return tenants, whole
}

// readProven reads which tenants have ever delivered something. Where that cannot be
// read, they have to prove themselves again.
func (r *Relay) readProven(of audience.Slots) map[audience.TenantID]struct{} {
	proven := map[audience.TenantID]struct{}{}
	for id, err := range r.Journal.Proven(of) {
		if err != nil {
			r.Logger.Error().Err(err).Msg("it cannot be read from the journal which tenants have delivered before")
			continue
		}
		proven[id] = struct{}{}
	}
	return proven
}

// replay activates every segment that has keys in the journal, if its tenant is
// proven; of the others the registry is told. It runs beside the intake: a change
// for a segment that is not back yet activates it early.
func (r *Relay) replay(ctx context.Context, of replaying) {
	for _, known := range of.tenants {
		r.remind(known.Tenant, audience.Segment{}, known.State.PausedUntil)
	}
	var rest []rested
	holds := holdings{tenants: len(of.tenants)}
	const most = 3 // an actor that panics takes a message along: the segment is looked for once more
	for n := range most {
		pass := replayPass{Relay: r, replaying: of, holds: holdings{tenants: len(of.tenants)}, again: n > 0, answers: make(chan error, r.MaxActivating)}
		pass.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if pass.activated > 0 {
			r.Logger.Info().Int("segments", pass.activated).Msg("pending segments are back from the journal")
		}
		rest, holds = pass.rest, pass.holds
		if pass.failed == 0 {
			break
		}
	}
	r.ready.CompareAndSwap(&errReplaying, new(error))
	r.readResting(ctx, rest)
	holds.tell(r.Logger)
}

// replayPass goes once over the segments.
type replayPass struct {
	*Relay
	replaying
	again bool // there was a pass before

	answers   chan error // of segments, when their first page is read
	reading   int        // segments that have not answered
	activated int
	failed    int
	rest      []rested // what has nothing pending, but is to be kept in sight
	holds     holdings
}

// run activates the segments and waits until all have read their first page, or
// have failed.
func (p *replayPass) run(ctx context.Context) {
	for listed, err := range p.Journal.Segments(p.slots) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.Logger.Error().Err(err).Msg("a segment's record in the journal cannot be read; its keys wait there")
			continue
		}
		p.holds.add(listed)
		if rests(listed) {
			p.rest = append(p.rest, rested{segment: listed.Segment, phase: phaseOf(listed)})
		}
		known, ok := p.tenants[listed.Segment.Tenant]
		if ok && !p.again {
			p.remind(known.Tenant, listed.Segment, listed.State.PausedUntil)
		}
		if !listed.Pending || !ok {
			continue
		}
		if p.reading == p.MaxActivating && !p.wait(ctx) {
			return
		}
		p.send(known.Tenant, listed)
	}
	for p.reading > 0 && p.wait(ctx) {
	}
}

// send has a segment activated, or the registry told of it, without waiting.
func (p *replayPass) send(tenant audience.Tenant, listed journal.Listed) {
	p.reading++
	back := answer{p.answers}
	if _, ok := p.proven[tenant.ID]; ok {
		p.system.Root.Send(p.registry, &activate{answer: back, tenant: tenant, segment: listed.Segment, why: p.cause})
	} else {
		p.system.Root.Send(p.registry, &found{answer: back, tenant: tenant, segment: p.dormantSegment(listed, p.cause), again: p.again})
	}
}

// wait waits for one segment; false: the replay is to end.
func (p *replayPass) wait(ctx context.Context) bool {
	select {
	case err := <-p.answers:
		if p.reading--; err != nil && !errors.Is(err, ErrElsewhere) {
			p.failed++
		} else {
			p.activated++
		}
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// dormantSegment is a segment as the journal knows it. After a start its keys are
// due when those of an active one are (ADR 4).
func (r *Relay) dormantSegment(l journal.Listed, why because) dormantSegment {
	d := dormantSegment{name: localNameOf(l.Segment), stored: l.Keys, more: l.MoreKeys, described: true}
	now := time.Now()
	d.due = now.Add(r.tuning().FlushInterval)
	if said := recordOf(l.State); said.State != status.Idle {
		d.says = &said
	}
	if l.State.Parked != nil {
		d.due, d.probeAt = now.Add(r.ProbeInterval), now.Add(r.ProbeInterval)
		if !l.State.Paused {
			d.says.Until = d.probeAt
		}
	}
	if l.State.Paused {
		d.due = l.State.PausedUntil
	}
	if why == takeover && d.says == nil {
		d.due = now
	}
	return d
}

// holdings is what the journal holds at the start, for the log.
type holdings struct {
	tenants, segments      int
	pending                int // segments with pending keys
	withParkedKeys, parked int // segments; the second are refused as a whole
	paused                 int // segments; tenants are told of apart
}

func (h *holdings) add(l journal.Listed) {
	count := func(n *int, holds bool) {
		if holds {
			*n++
		}
	}
	h.segments++
	count(&h.pending, l.Pending)
	count(&h.withParkedKeys, l.Parked)
	count(&h.parked, l.State.Parked != nil)
	count(&h.paused, l.State.PausedAt(time.Now()))
}

func (h *holdings) tell(log zerolog.Logger) {
	log.Info().Int("tenants", h.tenants).Int("segments", h.segments).Int("segmentsPending", h.pending).
		Int("segmentsWithParkedKeys", h.withParkedKeys).Int("segmentsParked", h.parked).Int("segmentsPaused", h.paused).Msg("what the journal held at the start")
}
