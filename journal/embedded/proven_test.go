package embedded

import (
	"fmt"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestProvenSurvives: it is known for good who has delivered: after a Close, after a
// power loss as soon as anything newer is durable, and when the token was forgotten
// because nothing else was left of the tenant.
func TestProvenSurvives(t *testing.T) {
	options := inMemory()
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	one, other, third := tenant("one"), tenant("other"), tenant("third")
	for _, known := range []audience.Tenant{one, other, third} {
		j.PutTenant(known)
	}
	j.Prove(one.ID)
	j.Prove(other.ID)
	j.Prove(one.ID)
	add(t, j, segment(other, "s"), audience.Add, keys(1)...)
	want := []audience.TenantID{one.ID, other.ID}
	slices.SortFunc(want, func(a, b audience.TenantID) int { return slices.Compare(a[:], b[:]) })
	expect := func(j *Journal, when string) {
		t.Helper()
		if got, errs := collect(j.Proven(audience.AllSlots())); !slices.Equal(got, want) || len(errs) > 0 {
			t.Errorf("%s: proven are %v %v, want %v", when, got, errs, want)
		}
	}
	expect(j, "at once")
	lost := options
	lost.Memory = options.Memory.CrashClone(nil)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, errs := collect(j.Proven(audience.AllSlots())); len(errs) != 1 {
		t.Fatalf("a closed journal answers %v", errs)
	}
	expect(open(t, lost), "after a power loss")
	again := open(t, options)
	expect(again, "after a Close")
	if got, _ := collect(again.Tenants(audience.AllSlots())); len(got) != 1 {
		t.Errorf("%d tokens are kept, want that of the tenant with a key", len(got))
	}
}

// TestListingCountsFewKeys of each segment, and says where there may be more.
func TestListingCountsFewKeys(t *testing.T) {
	j := open(t, inMemory())
	one := tenant("one")
	want := map[string]journal.Listed{}
	for n := range fewKeys + 3 {
		seg := segment(one, fmt.Sprintf("s%d", n))
		add(t, j, seg, audience.Add, numbers(0, n)...)
		want[seg.Name] = journal.Listed{Segment: seg, Pending: n > 0, Keys: min(n, fewKeys), MoreKeys: n > fewKeys}
	}
	listed, errs := collect(j.Segments(audience.AllSlots()))
	if len(errs) > 0 || len(listed) != len(want) {
		t.Fatalf("%d segments, %v", len(listed), errs)
	}
	for _, got := range listed {
		if got != want[got.Segment.Name] {
			t.Errorf("%+v, want %+v", got, want[got.Segment.Name])
		}
	}
}
