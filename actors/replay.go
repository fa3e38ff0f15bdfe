package actors

import (
	"context"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// maxActivating is how many segments read their first page at a time during the
// replay: enough to keep the disk busy, few enough that new changes do not queue
// behind thousands of reads.
const maxActivating = 256

// readTenants reads the tenants with their tokens. A pause has to be known before
// the first change arrives, so this is done before the actors start.
func (r *Relay) readTenants() map[audience.TenantID]journal.KnownTenant {
	tenants := map[audience.TenantID]journal.KnownTenant{}
	for known, err := range r.Journal.Tenants() {
		if err != nil {
			r.Logger.Error().Err(err).Msg("a tenant's record in the journal cannot be read; its keys wait there")
			continue
		}
		tenants[known.Tenant.ID] = known
	}
	return tenants
}

// readProven reads which tenants have ever delivered something. Where that cannot be
// read, they have to prove themselves again.
func (r *Relay) readProven() map[audience.TenantID]struct{} {
	proven := map[audience.TenantID]struct{}{}
	for id, err := range r.Journal.Proven() {
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
func (r *Relay) replay(ctx context.Context, tenants map[audience.TenantID]journal.KnownTenant, proven map[audience.TenantID]struct{}) {
	defer close(r.replayed)
	loaded := make(chan error, maxActivating)
	activating, activated := 0, 0
	for listed, err := range r.Journal.Segments() {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.Logger.Error().Err(err).Msg("a segment's record in the journal cannot be read; its keys wait there")
			continue
		}
		known, ok := tenants[listed.Segment.Tenant]
		if !listed.Pending || !ok {
			continue
		}
		if activating == maxActivating {
			select {
			case <-loaded:
				activating--
			case <-ctx.Done():
				return
			}
		}
		back := answer{loaded}
		if _, ok := proven[listed.Segment.Tenant]; ok {
			r.system.Root.Send(r.registry, &activate{answer: back, tenant: known.Tenant, segment: listed.Segment, replay: true})
		} else {
			r.system.Root.Send(r.registry, &lodge{answer: back, tenant: known.Tenant, segment: r.dormantSegment(listed)})
		}
		activating++
		activated++
	}
	for ; activating > 0; activating-- {
		select {
		case <-loaded:
		case <-ctx.Done():
			return
		}
	}
	if activated > 0 {
		r.Logger.Info().Int("segments", activated).Msg("pending segments are back from the journal")
	}
	r.ready.CompareAndSwap(&errReplaying, new(error))
}

// dormantSegment is a segment as the journal knows it. After a start its keys are
// due when those of an active one are (ADR 4).
func (r *Relay) dormantSegment(l journal.Listed) dormantSegment {
	d := dormantSegment{name: localNameOf(l.Segment), stored: l.Keys, more: l.MoreKeys}
	switch now := time.Now(); {
	case l.State.Paused:
		d.due = l.State.PausedUntil
	case l.State.Parked != nil:
		d.due = now.Add(r.ProbeInterval)
		d.probeAt = d.due
	default:
		d.due = now.Add(r.FlushInterval)
	}
	return d
}
