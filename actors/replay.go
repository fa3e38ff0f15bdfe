package actors

import (
	"context"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// maxActivating is how many segments read their first page at a time during the
// replay, unless memory is short: enough to keep the disk busy, few enough that new
// changes do not queue behind thousands of reads.
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
	const most = 3 // an actor that panics takes a message along: the segment is looked for once more
	for pass := range most {
		activated, failed := r.activateAll(ctx, tenants, proven, pass > 0)
		if ctx.Err() != nil {
			return
		}
		if activated > 0 {
			r.Logger.Info().Int("segments", activated).Msg("pending segments are back from the journal")
		}
		if failed == 0 {
			break
		}
	}
	r.ready.CompareAndSwap(&errReplaying, new(error))
}

// activateAll goes once over the segments and waits until those that have keys have
// read their first page, or have failed.
func (r *Relay) activateAll(ctx context.Context, tenants map[audience.TenantID]journal.KnownTenant, proven map[audience.TenantID]struct{}, again bool) (activated, failed int) {
	loaded := make(chan error, r.MaxActivating)
	activating := 0
	wait := func() {
		select {
		case err := <-loaded:
			if activating--; err != nil {
				failed++
			} else {
				activated++
			}
		case <-ctx.Done():
		}
	}
	for listed, err := range r.Journal.Segments() {
		if ctx.Err() != nil {
			return activated, failed
		}
		if err != nil {
			r.Logger.Error().Err(err).Msg("a segment's record in the journal cannot be read; its keys wait there")
			continue
		}
		known, ok := tenants[listed.Segment.Tenant]
		if !listed.Pending || !ok {
			continue
		}
		if activating == r.MaxActivating {
			if wait(); ctx.Err() != nil {
				return activated, failed
			}
		}
		back := answer{loaded}
		if _, ok := proven[listed.Segment.Tenant]; ok {
			r.system.Root.Send(r.registry, &activate{answer: back, tenant: known.Tenant, segment: listed.Segment, replay: true})
		} else {
			r.system.Root.Send(r.registry, &found{answer: back, tenant: known.Tenant, segment: r.dormantSegment(listed), again: again})
		}
		activating++
	}
	for activating > 0 && ctx.Err() == nil {
		wait()
	}
	return activated, failed
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
