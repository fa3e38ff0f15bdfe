package actors

import (
	"context"

	"audiences/audience"
)

// maxActivating is how many segments read their first page at a time during the
// replay: enough to keep the disk busy, few enough that new changes do not queue
// behind thousands of reads.
const maxActivating = 256

// replay activates every segment that has keys in the journal. It runs beside
// the intake: a change for a segment that is not back yet activates it early.
func (r *Relay) replay(ctx context.Context) {
	defer close(r.replayed)
	tenants := map[audience.TenantID]audience.Tenant{}
	for listed, err := range r.Journal.Tenants() {
		if err != nil {
			r.Logger.Error().Err(err).Msg("a tenant's record in the journal cannot be read; its keys wait there")
			continue
		}
		tenants[listed.Tenant.ID] = listed.Tenant
	}
	loaded := make(chan struct{}, maxActivating)
	activating, activated := 0, 0
	for listed, err := range r.Journal.Segments() {
		if err != nil {
			r.Logger.Error().Err(err).Msg("a segment's record in the journal cannot be read; its keys wait there")
			continue
		}
		tenant, ok := tenants[listed.Segment.Tenant]
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
		r.system.Root.Send(r.registry, &activate{tenant: tenant, segment: listed.Segment, loaded: loaded})
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
