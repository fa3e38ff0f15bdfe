package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"audiences/audience"
	"audiences/status"
)

// errNoTenant: the snapshot has no such tenant.
var errNoTenant = refusal{http.StatusNotFound, "no such tenant is known here"}

// tenant finds the one that is called so: by its name, its fingerprint, or a beginning of
// the fingerprint that no other has. A name is never taken for such a beginning, even
// while the tenant that has it is not known.
func (s *snapshot) tenant(called string) (*status.Tenant, error) {
	for fingerprint, name := range s.names {
		if name == called {
			called = fingerprint
			break
		}
	}
	var begins []*status.Tenant
	for i := range s.list {
		t := &s.list[i]
		switch {
		case called == "":
		case t.Tenant == called:
			return t, nil
		case strings.HasPrefix(t.Tenant, called):
			begins = append(begins, t)
		}
	}
	switch {
	case called == "":
		return nil, bad("tenant is missing: a fingerprint, a beginning of it, or a name of tenantNames")
	case len(begins) == 0 && s.partial != nil:
		return nil, s.partial // it may be one of those that are missing
	case len(begins) == 0:
		return nil, errNoTenant
	case len(begins) > 1:
		return nil, bad(status.Number(len(begins)) + " tenants have fingerprints that begin so: say more of it")
	}
	return begins[0], nil
}

// Target names a segment, or with Tenant alone a tenant. A segment's names are nearly
// always enough without Workspace and TrafficType.
type Target struct {
	Tenant      string `json:"tenant,omitempty"` // fingerprint, a beginning of it, or name
	Environment string `json:"environment,omitempty"`
	Segment     string `json:"segment,omitempty"`
	Workspace   string `json:"workspace,omitempty"`
	TrafficType string `json:"trafficType,omitempty"`
}

// whole reports whether a tenant is meant, and not one of its segments.
func (t Target) whole() bool { return t == Target{Tenant: t.Tenant} }

// errNotShown: a segment that is named in full is not in the snapshot. It may be new, or
// was let go with nothing pending.
var errNotShown = errors.New("the segment is not in the snapshot")

// find is the segment that a target means, or the tenant. With errNotShown it is taken as
// it is named.
func (s *snapshot) find(t Target) (in audience.Segment, name string, err error) {
	tenant, err := s.tenant(t.Tenant)
	if err != nil {
		return in, "", err
	}
	in = audience.Segment{Tenant: tenant.ID}
	if t.whole() {
		return in, tenant.Name, nil
	}
	if t.Environment == "" || t.Segment == "" {
		return in, "", bad("a segment is named by environment and segment, both")
	}
	in.Environment, in.Name, in.Workspace, in.TrafficType = t.Environment, t.Segment, t.Workspace, t.TrafficType
	found := map[audience.Segment]bool{}
	for _, of := range tenant.Segments {
		if of.Environment == t.Environment && of.Segment == t.Segment && (t.Workspace == "" || t.Workspace == of.Workspace) && (t.TrafficType == "" || t.TrafficType == of.TrafficType) {
			found[segmentOf(tenant.ID, of)] = true
		}
	}
	switch {
	case len(found) == 0:
		return in, tenant.Name, errNotShown
	case len(found) > 1 && !found[in]:
		return in, "", bad(status.Number(len(found)) + " segments have these names: say workspace and trafficType too")
	case len(found) == 1:
		for only := range maps.Keys(found) {
			in = only
		}
	}
	return in, tenant.Name, nil
}

// find is that of the snapshot. Where that does not have what is meant, the relay is
// asked: what came a moment ago is found too. A segment that the relay does not show
// either is taken as it is named: the relay knows whether there is one.
func (s *Server) find(ctx context.Context, t Target) (in audience.Segment, name string, err error) {
	began := time.Now()
	now, err := s.current(ctx)
	if err != nil {
		return in, "", err
	}
	if in, name, err = now.find(t); !isMissing(err) {
		return in, name, err
	}
	if now, err = s.snapshots.askedSince(ctx, began); err != nil {
		return in, "", err
	}
	if in, name, err = now.find(t); errors.Is(err, errNotShown) {
		err = nil
	}
	return in, name, err
}

func isMissing(err error) bool {
	return errors.Is(err, errNotShown) || errors.Is(err, errNoTenant) || errors.Is(err, status.ErrPartial)
}

// findOne is find for what is about one segment.
func (s *Server) findOne(ctx context.Context, t Target) (audience.Segment, string, error) {
	if t.Tenant != "" && t.whole() {
		return audience.Segment{}, "", bad("name a segment: environment and segment are missing")
	}
	return s.find(ctx, t)
}

func segmentOf(tenant audience.TenantID, s status.Segment) audience.Segment {
	return audience.Segment{Tenant: tenant, Workspace: s.Workspace, Environment: s.Environment, TrafficType: s.TrafficType, Name: s.Segment}
}
