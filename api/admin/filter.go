package admin

import (
	"context"
	"strings"
	"time"

	"audiences/status"
)

// Filter is which segments are meant. An empty field lets all through.
type Filter struct {
	Tenant string       `json:"tenant,omitempty"` // a fingerprint, a beginning of it that no other has, or a name
	State  status.State `json:"state,omitempty"`
	Search string       `json:"search,omitempty"` // a part of the segment's or the environment's name, in any case; of tenants: of the name or the fingerprint
	parked bool         // only what is parked, or has parked keys
}

func (f Filter) check() error {
	if f.State != "" && f.State.Rank() == len(status.States()) {
		var names []string
		for _, s := range status.States() {
			names = append(names, string(s))
		}
		return bad("state is one of " + strings.Join(names, ", "))
	}
	return nil
}

// resolved is a filter whose tenant is a fingerprint: that of the one tenant which a target
// of the same text names. Until then a filter with a tenant may let nothing through.
func (s *snapshot) resolved(f Filter) (Filter, error) {
	if f.Tenant == "" {
		return f, nil
	}
	tenant, err := s.tenant(f.Tenant)
	if err == nil {
		f.Tenant = tenant.Tenant
	}
	return f, err
}

// filtered is a snapshot to be shown, with a filter resolved in it. Where the tenant is not
// in it, the relay is asked: one that came a moment ago is found too.
func (s *Server) filtered(ctx context.Context, f Filter) (now *snapshot, resolved Filter, err error) {
	began := time.Now()
	if now, err = s.current(ctx); err != nil {
		return nil, f, err
	}
	if resolved, err = now.resolved(f); !isMissing(err) {
		return now, resolved, err
	}
	if now, err = s.snapshots.askedSince(ctx, began); err != nil {
		return nil, f, err
	}
	resolved, err = now.resolved(f)
	return now, resolved, err
}

func (f Filter) ofTenant(fingerprint string) bool {
	return f.Tenant == "" || f.Tenant == fingerprint
}

func (f Filter) segment(s *segmentRow) bool {
	return f.ofTenant(s.of.Tenant) && (f.State == "" || s.Is(f.State)) && f.finds(s.Segment.Segment, s.Environment) && (!f.parked || isParked(s))
}

// isParked reports whether a segment, or a key of it, is parked.
func isParked(row *segmentRow) bool { return row.Parked > 0 || row.Is(status.Parked) }

func (f Filter) tenantRow(t *status.Tenant) bool {
	return f.ofTenant(t.Tenant) && (f.State == "" || t.Is(f.State)) && f.finds(t.Tenant, t.Name)
}

// finds looks for Search in either name, whatever their case.
func (f Filter) finds(one, other string) bool {
	if f.Search == "" {
		return true
	}
	search := strings.ToLower(f.Search)
	return strings.Contains(strings.ToLower(one), search) || strings.Contains(strings.ToLower(other), search)
}
