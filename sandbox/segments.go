package sandbox

import (
	"slices"
	"time"

	"audiences/audience"
)

// organisation is a customer of Split.
type organisation struct {
	window   window
	gate     gate
	defined  map[string]definition // by segment name
	segments map[place]*segment    // the active ones
}

type definition struct{ workspace, trafficType string }

type place struct{ environment, name string }

// segment is a segment in one environment.
type segment struct {
	activated time.Time
	members   audience.KeySet
	sorted    []string // the members' texts; nil after a change
	history   map[string][]Applied
}

// Applied is one verb that took effect on one key.
type Applied struct {
	Time time.Time
	Verb audience.Verb
}

// organisation returns the one of that name, making it where needed.
func (s *Split) organisation(name string) *organisation {
	org := s.orgs[name]
	if org == nil {
		org = &organisation{defined: map[string]definition{}, segments: map[place]*segment{}}
		s.orgs[name] = org
	}
	return org
}

// ownerOf names the organisation of a tenant.
func (s *Split) ownerOf(id audience.TenantID) string {
	if name, ok := s.assigned[id]; ok {
		return name
	}
	return id.String()
}

// find returns the target's segment, nil when there is none. Unless the
// sandbox is strict, naming a segment makes it.
func (s *Split) find(t Target, now time.Time) *segment {
	org := s.organisation(t.Organisation)
	at := place{t.Environment, t.Segment}
	seg := org.segments[at]
	if seg == nil && !s.opts.Strict && audience.ValidID(t.Environment) == nil && audience.ValidSegmentName(t.Segment) == nil {
		if _, ok := org.defined[t.Segment]; !ok {
			org.defined[t.Segment] = definition{}
		}
		seg = &segment{activated: now}
		org.segments[at] = seg
	}
	return seg
}

// fits reports whether the segment has room for all the keys; those that are
// in already take none.
func (g *segment) fits(keys []audience.Key, most int) bool {
	if g.members.Len()+len(keys) <= most {
		return true
	}
	fresh := audience.NewKeySet(0)
	for _, key := range keys {
		if !g.members.Has(key) {
			fresh.Add(key)
		}
	}
	return g.members.Len()+fresh.Len() <= most
}

func (g *segment) apply(verb audience.Verb, keys []audience.Key, now time.Time, record bool) {
	g.sorted = nil
	for _, key := range keys {
		if verb == audience.Add {
			g.members.Add(key)
		} else {
			g.members.Remove(key)
		}
		if record {
			if g.history == nil {
				g.history = map[string][]Applied{}
			}
			g.history[key.Text()] = append(g.history[key.Text()], Applied{now, verb})
		}
	}
}

// texts are the members in byte order. The slice is never changed afterwards.
func (g *segment) texts() []string {
	if g.sorted == nil {
		g.sorted = make([]string, 0, g.members.Len())
		for key := range g.members.All() {
			g.sorted = append(g.sorted, key.Text())
		}
		slices.Sort(g.sorted)
	}
	return g.sorted
}
