package actors

import (
	"unique"

	"audiences/audience"
)

// localName is the name of a segment within its tenant, and a cheap map key. Each
// change brings strings of its own; those that thousands of segments have in
// common are kept once.
type localName struct {
	where unique.Handle[whereabouts]
	name  string
}

type whereabouts struct{ workspace, environment, trafficType string }

func localNameOf(s audience.Segment) localName {
	return localName{unique.Make(whereabouts{s.Workspace, s.Environment, s.TrafficType}), s.Name}
}

// of is the whole name, with the tenant.
func (n localName) of(tenant audience.TenantID) audience.Segment {
	w := n.where.Value()
	return audience.Segment{Tenant: tenant, Workspace: w.workspace, Environment: w.environment, TrafficType: w.trafficType, Name: n.name}
}
