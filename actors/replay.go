package actors

import (
	"context"

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

// replay activates every segment that has keys in the journal. It runs beside
// the intake: a change for a segment that is not back yet activates it early.
func (r *Relay) replay(ctx context.Context, tenants map[audience.TenantID]journal.KnownTenant) {
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
		r.system.Root.Send(r.registry, &activate{answer: answer{loaded}, tenant: known.Tenant, segment: listed.Segment, replay: true})
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
