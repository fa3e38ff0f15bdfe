package embedded

import (
	"slices"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestFindByNames: a search for names finds each segment of the tenant that has them, also
// one that was forgotten, and tells whether there is any, over all pages.
func TestFindByNames(t *testing.T) {
	j := open(t, withReceipts())
	named := func(token, workspace, environment, name string) audience.Segment {
		return audience.Segment{Tenant: tenant(token).ID, Workspace: workspace, Environment: environment, TrafficType: "user", Name: name}
	}
	receipt := delivery(audience.Add, 7)
	gone, there := named("a", "w", "e", "s"), named("a", "v", "e", "s")
	for _, seg := range []audience.Segment{gone, there, named("b", "w", "e", "s"), named("a", "w", "f", "s"), named("a", "w", "e", "t")} {
		add(t, j, seg, audience.Add, keys(1)...)
		deliver(t, j, seg, receipt, keys(1)...)
	}
	j.Forget(gone)
	like := func(workspace, trafficType, environment, name string) audience.Segment {
		return audience.Segment{Tenant: tenant("a").ID, Workspace: workspace, TrafficType: trafficType, Environment: environment, Name: name}
	}
	for what, c := range map[string]struct {
		find  journal.Find
		known bool
		want  []audience.Segment
	}{
		"two of them":       {journal.Find{Like: like("", "", "e", "s")}, true, []audience.Segment{gone, there}},
		"one by workspace":  {journal.Find{Like: like("w", "", "e", "s")}, true, []audience.Segment{gone}},
		"none by type":      {journal.Find{Like: like("", "other", "e", "s")}, false, nil},
		"misspelt":          {journal.Find{Like: like("", "", "e", "z")}, false, nil},
		"the forgotten one": {journal.Find{Segment: gone}, true, []audience.Segment{gone}},
		"one, misspelt":     {journal.Find{Segment: like("w", "user", "e", "z")}, false, nil},
	} {
		for key, want := range map[int64][]audience.Segment{1: c.want, 2: nil} {
			f := c.find
			f.Key, f.Limit = keys(key)[0], 1
			var seen []audience.Segment
			for more := true; more; {
				found := find(j, f)
				if found.Err != nil {
					t.Fatal(found.Err)
				}
				for _, s := range found.Sightings {
					seen = append(seen, s.Segment)
				}
				if f.After, more = found.Next, found.More; !more && found.Known != c.known {
					t.Errorf("%s: known %t", what, found.Known)
				}
			}
			slices.SortFunc(seen, func(a, b audience.Segment) int { return strings.Compare(b.Workspace, a.Workspace) })
			if !slices.Equal(seen, want) {
				t.Errorf("%s, key %d: in %v, want %v", what, key, seen, want)
			}
		}
	}
}
