package postgres

import (
	"sync"
	"time"

	"audiences/audience"
)

// known is which rows of tenants and segments this node has written lately, and need not
// write again with every change.
//
// Such a row says when it was last seen. It is written anew after freshFor, and is taken
// away when it has no key and was not seen for far longer: so no node counts on a row that
// is gone.
type known struct {
	mu       sync.Mutex
	segments map[segmentID]time.Time
	tenants  map[audience.TenantID]time.Time
}

const (
	freshFor    = 10 * time.Minute
	segmentGone = time.Hour
	lifeGone    = 400 * 24 * time.Hour // no key waits for as long
	tenantGone  = 30 * 24 * time.Hour  // far longer than an actor lives that has nothing to do
)

// fresh is the group's segments whose rows have to be written.
func (k *known) fresh(g *group, now time.Time) (segments []segmentID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range g.segments {
		if now.Sub(k.segments[id]) >= freshFor {
			segments = append(segments, id)
		}
	}
	return segments
}

// wrote notes whose rows were written.
func (k *known) wrote(tenants []audience.Tenant, segments []segmentID, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range tenants {
		k.tenants[t.ID] = now
	}
	for _, id := range segments {
		k.segments[id] = now
	}
}

// isFresh reports whether the tenant's row was written lately.
func (k *known) isFresh(id audience.TenantID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.tenants[id]) < freshFor
}

// drop forgets what is too old to be of use.
func (k *known) drop(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, at := range k.segments {
		if now.Sub(at) >= freshFor {
			delete(k.segments, id)
		}
	}
	for id, at := range k.tenants {
		if now.Sub(at) >= freshFor {
			delete(k.tenants, id)
		}
	}
}
