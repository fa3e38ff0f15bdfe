package admin

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"audiences/audience"
	"audiences/status"
)

// snapshotAge is how long a snapshot is shown. The relay is asked at most once in
// it, however many look.
const snapshotAge = time.Second

// snapshot is the state of all tenants at one time. Several requests share it: nobody
// changes what it holds.
type snapshot struct {
	at       time.Time
	list     []status.Tenant // with their segments
	tenants  table[status.Tenant]
	segments table[ListedSegment]
	waits    map[status.Wait]int // segments that wait, by what for
	oldest   time.Time           // when the oldest pending key that is known of was accepted; zero: none is
}

// snapshots keeps the last one. Its zero value has none.
type snapshots struct {
	mu   sync.Mutex
	last *snapshot
	// asking is closed when the request that asks the relay has its answer; nil: none
	// does.
	asking chan struct{}
}

// current is a snapshot of the last second. One request asks the relay for it, the
// others wait for that one; where it gets no answer, the next one asks.
func (s *Server) current(ctx context.Context) (*snapshot, error) {
	for {
		found, asking, mine := s.snapshots.begin()
		switch {
		case found != nil:
			return found, nil
		case mine:
			return s.ask(ctx, asking)
		}
		select {
		case <-asking:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// begin returns a snapshot that is new enough, or else the channel of who asks for
// one; mine says that this is the caller.
func (s *snapshots) begin() (found *snapshot, asking chan struct{}, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && time.Since(s.last.at) < snapshotAge {
		return s.last, nil, false
	}
	if s.asking != nil {
		return nil, s.asking, false
	}
	s.asking = make(chan struct{})
	return nil, s.asking, true
}

func (s *Server) ask(ctx context.Context, asking chan struct{}) (made *snapshot, err error) {
	defer func() { s.snapshots.end(asking, made) }()
	tenants, err := s.options.Relay.Status(ctx)
	if err != nil {
		return nil, err
	}
	return newSnapshot(tenants, s.options.Names), nil
}

func (s *snapshots) end(asking chan struct{}, made *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(asking)
	if s.asking == asking {
		s.asking, s.last = nil, made
	}
}

// forget has the next request ask the relay: something was changed, also for the answer
// that is on its way.
func (s *snapshots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking, s.last = nil, nil
}

func newSnapshot(tenants []status.Tenant, names map[string]string) *snapshot {
	made := &snapshot{at: time.Now().UTC(), list: tenants, waits: map[status.Wait]int{}}
	segments := 0
	for i := range tenants {
		segments += len(tenants[i].Segments)
	}
	made.tenants.rows = make([]status.Tenant, 0, len(tenants))
	made.segments.rows = make([]ListedSegment, 0, segments)
	for i := range tenants {
		t := &tenants[i]
		t.Name = names[t.Tenant]
		alone := *t
		alone.Segments = nil
		made.tenants.rows = append(made.tenants.rows, alone)
		for _, segment := range t.Segments {
			if at := segment.Oldest; !at.IsZero() && (made.oldest.IsZero() || at.Before(made.oldest)) {
				made.oldest = at
			}
			if segment.State == status.Waiting {
				made.waits[segment.WaitsFor]++
			}
			made.segments.rows = append(made.segments.rows, ListedSegment{Tenant: t.Tenant, Segment: segment, Name: t.Name, id: t.ID})
		}
	}
	made.tenants.place, made.segments.place = placeOfTenant, placeOfSegment
	return made
}

// tenant finds the one that is called so: by its fingerprint, its name, or a beginning
// of the fingerprint that no other has.
func (s *snapshot) tenant(called string) (*status.Tenant, error) {
	var begins []*status.Tenant
	for i := range s.list {
		t := &s.list[i]
		switch {
		case called == "":
		case t.Tenant == called, t.Name == called:
			return t, nil
		case strings.HasPrefix(t.Tenant, called):
			begins = append(begins, t)
		}
	}
	switch {
	case called == "":
		return nil, bad("tenant is missing: a fingerprint, a beginning of it, or a name of tenantNames")
	case len(begins) == 0:
		return nil, refusal{404, "no such tenant is known here"}
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

// find is the segment that a target means, or the tenant. A segment that the snapshot
// does not have, because it was let go with nothing pending, is taken as it is named: the
// relay knows whether there is one.
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
	if len(found) > 1 && !found[in] {
		return in, "", bad(status.Number(len(found)) + " segments have these names: say workspace and trafficType too")
	}
	for only := range maps.Keys(found) {
		if len(found) == 1 {
			in = only
		}
	}
	return in, tenant.Name, nil
}

func segmentOf(tenant audience.TenantID, s status.Segment) audience.Segment {
	return audience.Segment{Tenant: tenant, Workspace: s.Workspace, Environment: s.Environment, TrafficType: s.TrafficType, Name: s.Segment}
}

// oneSegment is find for what is about one segment.
func (s *snapshot) oneSegment(t Target) (audience.Segment, string, error) {
	if t.Tenant != "" && t.whole() {
		return audience.Segment{}, "", bad("name a segment: environment and segment are missing")
	}
	return s.find(t)
}
